//! The pools of all versions that have an instance; a version that nobody calls costs nothing here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mote_core::clock::{Clock, Id};
use mote_core::engine::Ready;
use mote_core::function::Function;

use crate::pool::{Pool, Starter};

/// Functions of which an idle instance is kept, beyond their minimum; past it the idlest ends. A
/// server with a thousand functions must not hold a thousand processes for what nobody calls.
pub(crate) const IDLE_MAX: usize = 64;

pub(crate) struct Pools {
    by_version: Mutex<HashMap<Id, Arc<Pool>>>,
    starter: Arc<Starter>,
    clock: Arc<dyn Clock>,
}

impl Pools {
    pub(crate) fn new(starter: Starter, clock: Arc<dyn Clock>) -> Pools {
        Pools { by_version: Mutex::default(), starter: Arc::new(starter), clock }
    }

    pub(crate) fn of(&self, function: &Arc<Function>) -> Arc<Pool> {
        let mut pools = self.lock();
        if let Some(pool) = pools.get(&function.id) {
            return pool.clone();
        }
        // A new version is the moment to forget old ones: it happens now and then, and to the caller who waits for a start anyway.
        pools.retain(|_, pool| Arc::strong_count(pool) > 1 || !pool.is_empty());
        pools.entry(function.id).or_insert_with(|| Pool::new(function.clone(), self.starter.clone(), self.clock.clone())).clone()
    }

    /// Keeps to [`IDLE_MAX`]; to be called when an instance has been added.
    pub(crate) fn trim(&self) {
        let pools: Vec<_> = self.lock().values().cloned().collect();
        let mut idle: Vec<_> = pools.iter().filter_map(|pool| Some((pool.idlest()?, pool))).collect();
        let surplus = idle.len().saturating_sub(IDLE_MAX);
        idle.sort_by_key(|(since, _)| *since);
        idle.iter().take(surplus).for_each(|(_, pool)| pool.end_idlest());
    }

    pub(crate) fn instances(&self) -> usize {
        self.lock().values().map(|pool| pool.instances()).sum()
    }

    pub(crate) fn keep_ready(&self, function: &Arc<Function>, instances: u32) {
        let known = self.lock().get(&function.id).cloned();
        match (known, instances) {
            (Some(pool), instances) => pool.keep_ready(instances),
            (None, 0) => {}
            (None, instances) => self.of(function).keep_ready(instances),
        }
    }

    pub(crate) fn ready(&self, version: Id) -> Ready {
        let pool = self.lock().get(&version).cloned();
        pool.map(|pool| pool.ready()).unwrap_or_default()
    }

    pub(crate) fn retire(&self, version: Id) {
        let pool = self.lock().get(&version).cloned();
        if let Some(pool) = pool {
            pool.retire();
        }
    }

    pub(crate) fn renew(&self, version: Id) {
        let pool = self.lock().get(&version).cloned();
        if let Some(pool) = pool {
            pool.renew();
        }
    }

    pub(crate) async fn stop(&self, grace: Duration) {
        let pools: Vec<_> = self.lock().values().cloned().collect();
        futures_util::future::join_all(pools.iter().map(|pool| pool.stop(grace))).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Arc<Pool>>> {
        self.by_version.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
