//! The record of a function: which version is live, which ones there are, and what stands beside them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::function::{Digest, Function, FunctionRef, Name, Settings};
use crate::store::Record;

/// The record of a function: its live version whole, so that a start reads one record each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    pub live: Function,
    /// The highest number ever given.
    pub latest: u64,
    /// Versions that are still stored, oldest first.
    pub versions: Vec<u64>,
    /// The version that was live before, for a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u64>,
    /// Versions that were made of the draft, which stay until somebody removes them, each with the
    /// digest of the draft as it was.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub frozen: BTreeMap<u64, Digest>,
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
}

impl Head {
    /// Of a function that there was not before.
    pub(crate) fn new(live: Function) -> Head {
        Head { latest: live.version, live, versions: Vec::new(), previous: None, frozen: BTreeMap::new(), settings: Settings::default() }
    }

    pub const PREFIX: &str = "functions/";

    pub fn key(function: &FunctionRef) -> String {
        format!("{}{}/{}", Self::PREFIX, function.namespace, function.name)
    }

    pub fn version_key(function: &FunctionRef, version: u64) -> String {
        format!("{}{}/{version:010}", Self::versions_prefix(&function.namespace), function.name)
    }

    pub fn versions_prefix(namespace: &Name) -> String {
        format!("versions/{namespace}/")
    }

    pub fn read(record: &Record) -> Result<Head> {
        serde_json::from_slice(&record.value).map_err(|e| {
            Error::internal(format!("the record {} can't be read", record.key))
                .caused_by(e)
                .hint("Another version of mote wrote it: remove the function, then deploy it again.")
        })
    }

    /// The stored versions alone, which are told also where the live one can't be read.
    pub fn versions(record: &Record) -> Result<Vec<u64>> {
        #[derive(Deserialize)]
        struct Versions {
            versions: Vec<u64>,
        }
        match serde_json::from_slice(&record.value) {
            Ok(Versions { versions }) => Ok(versions),
            Err(_) => Head::read(record).map(|head| head.versions),
        }
    }
}
