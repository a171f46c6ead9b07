//! Secrets: values that a function is given by name, and that nobody can read back.
//!
//! A manifest refers to a secret; the value is fetched when an instance starts, so that a changed
//! value needs no deploy. How they are kept: [`vault`], sealed by [`cipher`]; an engine sees [`Secrets`].

pub mod cipher;
pub mod vault;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::BoxFuture;
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};
use crate::function::Name;

/// One secret that a version asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretUse {
    pub secret: Name,
    pub given_as: GivenAs,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GivenAs {
    /// An environment variable of this name.
    Env(String),
    /// The file `/secrets/<name>`, for the function's user alone.
    File(String),
}

/// A value in the clear: never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(zeroize::Zeroizing<Vec<u8>>);

impl Secret {
    pub const BYTES_MAX: usize = 64 << 10;

    pub fn new(value: Vec<u8>) -> Secret {
        Secret(zeroize::Zeroizing::new(value))
    }

    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What may be told of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInfo {
    pub name: Name,
    /// Grows with every value that it is given.
    pub generation: u64,
    pub changed: Timestamp,
}

/// Where an engine gets the values that a version asks for.
pub trait Secrets: Send + Sync {
    fn reveal<'a>(&'a self, namespace: &'a Name, name: &'a Name) -> BoxFuture<'a, Result<Secret>>;
}

/// For an engine that is given none.
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn reveal<'a>(&'a self, _: &'a Name, name: &'a Name) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(async move { Err(Error::new(Code::SecretNotFound, format!("there is no secret {name}"))) })
    }
}
