//! Who waits for whom: one change of a function at a time, one build of the same files, and no
//! artifact deleted under a deploy that is about to refer to it.
//!
//! Order of taking, so that no two wait for each other: a deploy's place, functions by name, the
//! bundle, the artifacts, the flip.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{MutexGuard, OwnedMutexGuard, RwLock, RwLockReadGuard, Semaphore, SemaphorePermit};

use crate::function::{Digest, Family, FunctionRef};
use crate::invoke::Invoker;

/// Deploys at once; each may hold its archive and its files in memory.
const DEPLOYS_MAX: usize = 4;

#[derive(Clone)]
pub(super) struct Turns(Arc<Inner>);

struct Inner {
    deploys: Semaphore,
    functions: Keyed<FunctionRef>,
    bundles: Keyed<Digest>,
    flip: tokio::sync::Mutex<()>,
    /// Read by deploys, from finding an artifact to the commit that refers to it.
    artifacts: RwLock<()>,
    /// What was dropped, and is to be deleted if no stored version refers to it.
    dropped: Mutex<HashSet<(Digest, Family)>>,
}

impl Turns {
    pub(super) fn new() -> Turns {
        Turns(Arc::new(Inner {
            deploys: Semaphore::new(DEPLOYS_MAX),
            functions: Keyed::default(),
            bundles: Keyed::default(),
            flip: Default::default(),
            artifacts: Default::default(),
            dropped: Default::default(),
        }))
    }

    /// A place among the deploys.
    pub(super) async fn deploy(&self) -> Option<SemaphorePermit<'_>> {
        // `None` would mean that it was closed, which nobody does.
        self.0.deploys.acquire().await.ok()
    }

    /// One deploy, rollback or removal of a function at a time.
    pub(super) async fn function(&self, function: &FunctionRef) -> OwnedMutexGuard<()> {
        self.0.functions.take(function).await
    }

    /// Whoever builds the same files waits, and then finds them built.
    pub(super) async fn bundle(&self, bundle: Digest) -> OwnedMutexGuard<()> {
        self.0.bundles.take(&bundle).await
    }

    /// No artifact is deleted meanwhile.
    pub(super) async fn artifacts(&self) -> RwLockReadGuard<'_, ()> {
        self.0.artifacts.read().await
    }

    /// What is checked against the directory still holds when it is changed.
    pub(super) async fn flip(&self) -> MutexGuard<'_, ()> {
        self.0.flip.lock().await
    }

    /// Lets engines delete those of the artifacts that no stored version refers to. While a deploy
    /// is under way nothing is deleted: it may have found one of them in place; at its end it comes here.
    pub(super) async fn forget_unused(&self, invoker: &Invoker, artifacts: impl IntoIterator<Item = (Digest, Family)>) {
        self.dropped().extend(artifacts);
        // Asked outside the lock: who finds it taken leaves the rest to the holder, who looks again.
        while !self.dropped().is_empty() {
            let Ok(_alone) = self.0.artifacts.try_write() else { return };
            let dropped = std::mem::take(&mut *self.dropped());
            for (artifact, family) in dropped {
                match invoker.catalog.scan(&format!("artifacts/{artifact}/"), None, 1).await {
                    Ok(references) if !references.is_empty() => {}
                    Ok(_) => {
                        if let Ok(engine) = invoker.engines.get(family) {
                            engine.forget(artifact).await;
                        }
                    }
                    Err(error) => tracing::warn!(%artifact, ?error, "an artifact that nothing may use any more stays on disk"),
                }
            }
        }
    }

    fn dropped(&self) -> std::sync::MutexGuard<'_, HashSet<(Digest, Family)>> {
        self.0.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock for each key that somebody holds or waits for.
struct Keyed<K>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>);

impl<K> Default for Keyed<K> {
    fn default() -> Self {
        Keyed(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Keyed<K> {
    async fn take(&self, key: &K) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(key.clone()).or_default().clone()
        };
        turn.lock_owned().await
    }
}
