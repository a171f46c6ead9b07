//! The rules that there are: kept in the catalog, held in memory for those who publish and for the clock.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::{RULE_BYTES_MAX, RULES_MAX, Rule, TARGETS_MAX};
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::store::{Catalog, Record, Write};

const PAGE: usize = 1000;

/// See the module's text.
#[derive(Default)]
pub struct Rules {
    table: RwLock<Table>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
    /// One change at a time.
    turn: tokio::sync::Mutex<()>,
}

/// By group and name.
type OfOne = BTreeMap<(Name, Name), Arc<Rule>>;

#[derive(Default)]
struct Table {
    all: BTreeMap<Name, OfOne>,
    /// Those that want events of a topic: publishing looks at no other.
    by_topic: HashMap<Name, HashMap<Name, OfOne>>,
}

impl Rules {
    /// Reads what is stored. One that can't be read keeps no other from being followed.
    pub async fn load(&self, catalog: &dyn Catalog) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page = catalog.scan(Rule::PREFIX, after.as_deref(), PAGE).await?;
            for record in &page {
                match read(record) {
                    Ok(rule) => self.write().put(Arc::new(rule)),
                    Err(error) => tracing::error!(record = %record.key, ?error, "a rule is left out, since it can't be read"),
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => break,
            }
        }
        self.changed();
        Ok(())
    }

    /// Tells when a rule has come, changed or gone.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Enabled ones that listen to a topic, before any filter.
    pub fn on(&self, namespace: &Name, topic: &Name) -> Vec<Arc<Rule>> {
        let table = self.read();
        let listening = table.by_topic.get(namespace).and_then(|topics| topics.get(topic));
        listening.into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Enabled ones that the clock fires.
    pub fn timed(&self) -> Vec<Arc<Rule>> {
        let table = self.read();
        let all = table.all.values().flat_map(BTreeMap::values);
        all.filter(|rule| rule.enabled && rule.timer.as_ref().is_some_and(|timer| timer.enabled)).cloned().collect()
    }

    /// Of a namespace, or of one group in it: in the order of groups and names.
    pub fn list(&self, namespace: &Name, group: Option<&Name>) -> Vec<Arc<Rule>> {
        let table = self.read();
        let all = table.all.get(namespace).into_iter().flat_map(BTreeMap::values);
        all.filter(|rule| group.is_none_or(|group| rule.group == *group)).cloned().collect()
    }

    /// With its revision, for [`Rules::set`].
    pub async fn show(&self, catalog: &dyn Catalog, namespace: &Name, group: &Name, name: &Name) -> Result<(Rule, u64)> {
        match catalog.get(&Rule::key(namespace, group, name)).await? {
            Some(record) => Ok((read(&record)?, record.revision)),
            None => Err(missing(group, name)),
        }
    }

    /// `expect`: the revision that stands there, 0 if none does; `None`: whatever does.
    pub async fn set(&self, catalog: &dyn Catalog, rule: Rule, expect: Option<u64>) -> Result<Arc<Rule>> {
        let _turn = self.turn.lock().await;
        let (namespace, key) = (&rule.namespace, Rule::key(&rule.namespace, &rule.group, &rule.name));
        let found = catalog.get(&key).await?.map_or(0, |record| record.revision);
        if expect.is_some_and(|expect| expect != found) {
            return Err(Error::new(Code::Conflict, format!("somebody else has changed the rule {} meanwhile", rule.name))
                .hint("Look at it again, and change what is there now."));
        }
        if found == 0 && self.read().all.get(namespace).map_or(0, BTreeMap::len) >= RULES_MAX {
            return Err(Error::new(Code::QuotaExceeded, format!("the namespace {namespace} has {RULES_MAX} rules, which is the most"))
                .hint("Take away those that nobody needs."));
        }
        let value = serde_json::to_vec(&rule).map_err(|e| Error::internal("a rule can't be written").caused_by(e))?;
        if rule.targets.len() > TARGETS_MAX || value.len() > RULE_BYTES_MAX {
            let (targets, bytes) = (rule.targets.len(), value.len());
            let detail = format!("the rule has {targets} targets and {bytes} bytes; {TARGETS_MAX} and {RULE_BYTES_MAX} are the most");
            return Err(Error::new(Code::QuotaExceeded, detail).hint("Let one target tell the others."));
        }
        catalog.commit(vec![Write::Put { key, expect: found, value: value.into() }]).await?;
        let rule = Arc::new(rule);
        self.write().put(rule.clone());
        self.changed();
        Ok(rule)
    }

    /// `only`: if it is still this one.
    pub async fn remove(&self, catalog: &dyn Catalog, namespace: &Name, group: &Name, name: &Name, only: Option<&Rule>) -> Result<()> {
        let _turn = self.turn.lock().await;
        let Some(record) = catalog.get(&Rule::key(namespace, group, name)).await? else { return Err(missing(group, name)) };
        if only.is_some_and(|only| read(&record).is_ok_and(|found| found != *only)) {
            return Ok(());
        }
        catalog.commit(vec![Write::Delete { key: record.key, expect: record.revision }]).await?;
        self.write().take(namespace, &(group.clone(), name.clone()));
        self.changed();
        Ok(())
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn put(&mut self, rule: Arc<Rule>) {
        let (namespace, key) = (rule.namespace.clone(), (rule.group.clone(), rule.name.clone()));
        self.take(&namespace, &key);
        if let Some(on) = rule.on.as_ref().filter(|_| rule.enabled) {
            let topics = self.by_topic.entry(namespace.clone()).or_default();
            topics.entry(on.topic.clone()).or_default().insert(key.clone(), rule.clone());
        }
        self.all.entry(namespace).or_default().insert(key, rule);
    }

    fn take(&mut self, namespace: &Name, key: &(Name, Name)) {
        let Some(rule) = self.all.get_mut(namespace).and_then(|all| all.remove(key)) else { return };
        let Some(on) = &rule.on else { return };
        let topics = self.by_topic.get_mut(namespace);
        if let Some(topics) = topics
            && let Some(listening) = topics.get_mut(&on.topic)
        {
            listening.remove(key);
            if listening.is_empty() {
                topics.remove(&on.topic);
            }
        }
    }
}

fn read(record: &Record) -> Result<Rule> {
    serde_json::from_slice(&record.value).map_err(|e| Error::internal(format!("the record {} can't be read", record.key)).caused_by(e))
}

fn missing(group: &Name, name: &Name) -> Error {
    Error::new(Code::RuleNotFound, format!("there is no rule {name} in {group}")).hint("`aws events list-rules` names those there are.")
}
