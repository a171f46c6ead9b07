//! Words of the verbs that bring functions, and tell of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::body::Body;
use crate::clock::Id;
use crate::dialect::Deployment;
use crate::engine::Ready;
use crate::error::Error;
use crate::function::delivery::Delivery;
use crate::function::{Alias, Function, Name, Qualifier, Settings};

#[derive(Debug)]
pub struct Deploy {
    pub wish: DeployWish,
    pub files: Files,
    /// What the caller's API says in place of a manifest in the archive.
    pub declared: Option<Box<Deployment>>,
    pub number: Number,
    /// Archives whose files come along, below [`LAYERS`]; of the same path a later one's stays.
    pub layers: Vec<Bytes>,
    pub expect: Expect,
}

/// What must stand there when a deploy begins, for whoever decided by what he saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    #[default]
    Anything,
    /// No function of that name.
    Nothing,
    /// The live version, by its id.
    Live(Id),
}

/// Where a function finds the files of its layers, below its own; the jail shows them at `/opt` as well.
pub const LAYERS: &str = ".mote/opt";

/// Where the files that one function was made of lie: see [`super::Action::KeepFile`].
pub fn files_of(name: &Name) -> String {
    format!("functions/{name}/")
}

/// What a file that is kept may take the place of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Over {
    #[default]
    Anything,
    /// Refused if one of that key is there.
    Nothing,
    /// Refused if another one is there, or none: an ETag.
    This(String),
}

/// What a deploy makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Number {
    /// A version of its own, which stays as it is.
    #[default]
    Next,
    /// The function's one draft, number 0, in the place of the one before: [`super::Action::Freeze`]
    /// makes a version of it.
    Draft,
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
    /// Oldest first; 0 is the draft.
    pub versions: Vec<u64>,
    pub url_path: Option<String>,
    #[serde(skip_serializing_if = "Settings::is_empty")]
    pub settings: Arc<Settings>,
    /// What is there now of what [`Settings::instances_min`] has kept.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ready: BTreeMap<Qualifier, Ready>,
    /// Of all that is told here but the version itself.
    #[serde(skip)]
    pub revision: u64,
}

/// A change of [`Settings`]: what it does not name stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SettingsPatch {
    /// `None` takes one away.
    pub aliases: BTreeMap<Name, Option<Alias>>,
    pub deliveries: BTreeMap<Qualifier, Option<Delivery>>,
    pub instances_min: BTreeMap<Qualifier, Option<u32>>,
    pub concurrency_max: Option<Option<u32>>,
    /// `null` takes a member away.
    pub about: Map<String, Value>,
}
