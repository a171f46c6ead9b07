//! Instances that are kept ready of versions by name: what the settings say, told to the engines.
//!
//! The settings say it of qualifiers, an engine keeps it of versions; here the one becomes the other, at
//! each change of the settings and at a start of the server. How it is kept: the engine's pool.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::House;
use crate::directory::stored;
use crate::engine::Ready;
use crate::error::Result;
use crate::function::{Function, FunctionRef, Qualifier, Settings};

impl House {
    /// All that is to be ready, after a start of the server. A version that can't be read keeps no other
    /// from it.
    pub async fn keep_all_ready(&self) {
        for function in self.directory().kept_ready() {
            // Somebody may change it meanwhile.
            let _turn = self.turns.function(&function).await;
            if let Ok(entry) = self.directory().entry(&function) {
                self.keep_ready(&function, &BTreeMap::new(), &entry.beside.settings).await;
            }
        }
    }

    /// Tells engines what is new; `before`: what they have been told.
    pub(super) async fn keep_ready(&self, function: &FunctionRef, before: &BTreeMap<u64, u32>, settings: &Settings) {
        let now = settings.minimums();
        for version in before.keys().chain(now.keys().filter(|version| !before.contains_key(version))) {
            let wanted = now.get(version).copied().unwrap_or_default();
            if before.get(version) == Some(&wanted) {
                continue;
            }
            match stored(self.catalog(), function, *version).await {
                Ok(version) => self.invoker.engines.keep_ready(&Arc::new(version), wanted),
                Err(error) => tracing::warn!(%function, version, ?error, "instances are not kept as they should be"),
            }
        }
    }

    /// What of it is there.
    pub(super) async fn ready(&self, function: &FunctionRef, settings: &Settings) -> Result<BTreeMap<Qualifier, Ready>> {
        let mut ready = BTreeMap::new();
        for (qualifier, wanted) in &settings.instances_min {
            let Some(version) = settings.version_of(qualifier).filter(|version| *version != Function::DRAFT) else { continue };
            let version = stored(self.catalog(), function, version).await?;
            let there = match self.invoker.engines.get(version.runtime.family) {
                Ok(engine) => engine.ready(&version),
                Err(_) => Ready::default(),
            };
            ready.insert(qualifier.clone(), Ready { instances: there.instances.min(*wanted), ..there });
        }
        Ok(ready)
    }
}
