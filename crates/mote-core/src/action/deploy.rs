//! Words of the verbs that bring functions, and tell of them.

use std::sync::Arc;

use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::dialect::Deployment;
use crate::error::Error;
use crate::function::{Function, Name};

#[derive(Debug)]
pub struct Deploy {
    pub wish: DeployWish,
    pub files: Files,
    /// What the caller's API says in place of a manifest in the archive.
    pub declared: Option<Box<Deployment>>,
}

/// The files of a deploy.
#[derive(Debug)]
pub enum Files {
    /// Read as `tar.gz`, `zip` or `tar` by its first bytes.
    Archive(Body),
    /// Those of the live version, as they were built: what is declared changes the rest alone.
    AsTheyAre,
}

/// What the person who deploys says beside the manifest.
#[derive(Clone, Debug)]
pub struct DeployWish {
    pub namespace: Name,
    /// Overrides the manifest's.
    pub name: Option<Name>,
    /// For a manifest that gives no name: that of the folder or file.
    pub default_name: Option<Name>,
    pub dev: bool,
}

/// What a deploy says while it goes on; the last is `Done` or `Failed`.
pub type Steps = std::pin::Pin<Box<dyn Stream<Item = Step> + Send>>;

#[derive(Debug)]
pub enum Step {
    /// A line for the person who waits.
    Progress(String),
    Done(Vec<Deployed>),
    Failed(Error),
}

/// A function that a deploy has made live.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployed {
    pub namespace: Name,
    pub name: Name,
    pub version: u64,
    pub runtime: String,
    /// The function URL's path on the public door; a door that knows its own address completes it.
    pub path: Option<String>,
    /// The barriers in force around an instance.
    pub isolation: Vec<String>,
    /// Spent in the installer; zero when its result was cached.
    pub dependencies_ms: u64,
    pub total_ms: u64,
}

#[derive(Debug, Serialize)]
pub struct Description {
    pub function: Arc<Function>,
    /// Oldest first.
    pub versions: Vec<u64>,
    pub url_path: Option<String>,
}
