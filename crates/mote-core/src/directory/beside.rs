//! What of a function is in memory beside its live version: its settings, and the versions that
//! calls name.
//!
//! Made anew at each change of the settings and at each deploy, so that nothing stale is found here.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Code, Error, Result};
use crate::function::{Function, FunctionRef, Qualifier, Settings};
use crate::store::Catalog;

use super::Head;

/// Versions that are held; a function with more of them in use reads some anew.
const HELD_MAX: usize = 64;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Beside {
    pub settings: Arc<Settings>,
    /// As they are called: an alias may have a delivery of its own.
    held: RwLock<HashMap<(Qualifier, u64), Arc<Function>>>,
}

impl Beside {
    pub(crate) fn new(settings: Settings) -> Arc<Beside> {
        Arc::new(Beside { settings: Arc::new(settings), held: RwLock::default() })
    }

    /// The same settings, and nothing held: a deploy may have pushed versions out, or replaced the draft.
    pub(crate) fn anew(&self) -> Arc<Beside> {
        Arc::new(Beside { settings: self.settings.clone(), held: RwLock::default() })
    }

    /// A version that is not the live one, as it is called by that name.
    pub(crate) async fn version(
        &self,
        catalog: &dyn Catalog,
        function: &FunctionRef,
        called: &Qualifier,
        version: u64,
    ) -> Result<Arc<Function>> {
        let key = (called.clone(), version);
        if let Some(held) = self.held.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(held.clone());
        }
        let stored = Arc::new(stored(catalog, function, version).await?);
        let applied = self.settings.applied(stored, called);
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= HELD_MAX {
            held.clear();
        }
        Ok(held.entry(key).or_insert(applied).clone())
    }

    /// Those that may have instances, for whoever ends them.
    pub(crate) fn held(&self) -> Vec<Arc<Function>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// A version as it is stored.
pub(crate) async fn stored(catalog: &dyn Catalog, function: &FunctionRef, version: u64) -> Result<Function> {
    let record = catalog.get(&Head::version_key(function, version)).await?.ok_or_else(|| {
        Error::new(Code::VersionNotFound, format!("{function} has no version {version}"))
            .hint(format!("`mote show {function}` lists its versions."))
    })?;
    serde_json::from_slice(&record.value).map_err(|e| Error::internal(format!("the record {} can't be read", record.key)).caused_by(e))
}
