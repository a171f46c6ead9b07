//! What of a function is in memory beside its live version: its settings, and the versions that
//! calls name.
//!
//! Made anew at each change of the settings and at each deploy, so that nothing stale is found here.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Code, Error, Result};
use crate::function::delivery::Delivery;
use crate::function::{Function, FunctionRef, Qualifier, Settings};
use crate::store::Catalog;

use super::Head;

/// Versions that are held; a function with more of them in use reads some anew.
const HELD_MAX: usize = 64;

/// See the module's text.
#[derive(Debug)]
pub struct Beside {
    pub settings: Arc<Settings>,
    /// The live version as it is stored: what is set for the live version's name is not in it.
    live: Arc<Function>,
    /// As they are called: an alias may have a delivery of its own.
    held: RwLock<HashMap<(Qualifier, u64), Arc<Function>>>,
}

impl Beside {
    /// With nothing held: a deploy may have pushed versions out, or replaced the draft.
    pub(crate) fn new(settings: Arc<Settings>, live: Arc<Function>) -> Arc<Beside> {
        Arc::new(Beside { settings, live, held: RwLock::default() })
    }

    /// The live version, as it is called by its function's name.
    pub(crate) fn live(&self) -> Arc<Function> {
        self.settings.applied(self.live.clone(), &Qualifier::Live)
    }

    /// How that name of the function gets the events that nobody waits for; as the live version has it,
    /// where nothing is set for that name.
    pub(crate) fn delivery(&self, called: &Qualifier) -> Delivery {
        self.settings.delivery(&self.live, called).unwrap_or_else(|| self.live.delivery.clone())
    }

    /// Whether the version is the live one, and no other when it is called by that name.
    pub(crate) fn is_live(&self, version: u64, called: &Qualifier) -> bool {
        let set = &self.settings.deliveries;
        self.live.version == version && !set.contains_key(called) && !set.contains_key(&Qualifier::Live)
    }

    /// A version as it is called by that name, where that is not [the live one](Self::is_live).
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
