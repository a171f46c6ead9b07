//! Secrets and the functions that are given them: a new value reaches the instances that live, a
//! secret that is used is not removed, and no version goes live without those it asks for.
//!
//! Values are kept by [`crate::secret::vault`]; an engine fetches them when it starts an instance.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::House;
use crate::action::{Done, SecretEntry};
use crate::body::Body;
use crate::directory::Head;
use crate::error::{Code, Error, Result};
use crate::function::{Function, Name};
use crate::secret::Secret;

/// Versions, and the generation of each secret when it was looked up for them.
pub(super) struct Given(Vec<(Arc<Function>, HashMap<Name, u64>)>);

impl House {
    /// Once the new value is on disk, whoever calls next is served by an instance that has it.
    pub(super) async fn set_secret(&self, namespace: &Name, name: &Name, value: Body) -> Result<Done> {
        let value = value.collect(Secret::BYTES_MAX as u64).await?;
        let info = self.vault.set(namespace, name, &Secret::new(value.to_vec())).await?;
        if info.generation > 1 {
            for function in self.users(namespace, name).await? {
                self.renew(&function);
            }
        }
        Ok(Done::Secret(info))
    }

    pub(super) async fn list_secrets(&self, namespace: &Name) -> Result<Vec<SecretEntry>> {
        let infos = self.vault.list(namespace).await?;
        let mut used_by: HashMap<Name, Vec<Name>> = HashMap::new();
        for function in self.live(namespace) {
            // One may be given twice: as a variable and as a file.
            let secrets: BTreeSet<&Name> = names(&function).collect();
            for secret in secrets {
                used_by.entry(secret.clone()).or_default().push(function.name.clone());
            }
        }
        Ok(infos.into_iter().map(|info| SecretEntry { used_by: used_by.remove(&info.name).unwrap_or_default(), info }).collect())
    }

    pub(super) async fn remove_secret(&self, namespace: &Name, name: &Name, force: bool) -> Result<Done> {
        // No version goes live between the look and the removal.
        let _flip = self.turns.flip().await;
        let users: Vec<_> =
            self.live(namespace).filter(|function| uses(function, name)).map(|function| function.name.to_string()).collect();
        if !users.is_empty() && !force {
            return Err(Error::new(Code::SecretInUse, format!("the secret {name} is used by {}", users.join(", ")))
                .hint("Deploy them without it first, or remove it by force: their next instances will then fail to start."));
        }
        self.vault.remove(namespace, name).await?;
        Ok(Done::Nothing)
    }

    /// What these versions are about to be given; an error if something of it is not there.
    pub(super) async fn given(&self, functions: &[&Function]) -> Result<Given> {
        let mut given = Vec::new();
        for &function in functions {
            let mut generations = HashMap::new();
            for name in names(function) {
                generations.insert(name.clone(), self.vault.info(&function.namespace, name).await?.generation);
            }
            if !generations.is_empty() {
                given.push((Arc::new(function.clone()), generations));
            }
        }
        Ok(Given(given))
    }

    /// For versions that have just become live: a value that was set while their first instance
    /// started reached nobody, since nothing said yet that they use it.
    pub(super) async fn renew_if_changed(&self, given: &Given) {
        for (function, generations) in &given.0 {
            for (name, generation) in generations {
                let now = self.vault.info(&function.namespace, name).await;
                if now.is_ok_and(|info| info.generation != *generation) {
                    self.renew(function);
                    break;
                }
            }
        }
    }

    /// Every version that may have an instance with the secret: those that are live, and those
    /// that are kept and may be called by their number.
    async fn users(&self, namespace: &Name, name: &Name) -> Result<Vec<Arc<Function>>> {
        const PAGE: usize = 1000;
        let mut users: Vec<_> = self.live(namespace).filter(|function| uses(function, name)).collect();
        let prefix = Head::versions_prefix(namespace);
        let mut after: Option<String> = None;
        loop {
            let page = self.catalog().scan(&prefix, after.as_deref(), PAGE).await?;
            // One that can't be read can't have been started either.
            let stored = page.iter().filter_map(|record| serde_json::from_slice::<Function>(&record.value).ok());
            users.extend(stored.filter(|function| uses(function, name)).map(Arc::new));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => return Ok(users),
            }
        }
    }

    fn live(&self, namespace: &Name) -> impl Iterator<Item = Arc<Function>> {
        self.directory().list(namespace, None, usize::MAX).into_iter()
    }

    fn renew(&self, function: &Function) {
        if let Ok(engine) = self.invoker.engines.get(function.runtime.family) {
            engine.renew(function);
        }
    }
}

fn names(function: &Function) -> impl Iterator<Item = &Name> {
    function.secrets.iter().map(|used| &used.secret)
}

fn uses(function: &Function, name: &Name) -> bool {
    names(function).any(|used| used == name)
}
