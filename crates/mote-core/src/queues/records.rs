//! The records of queues: kept in the catalog, held in memory for senders and receivers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Queues;
use super::settings::Settings;
use crate::access::Patch;
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::store::{Catalog, Write};

/// Of one namespace.
pub const QUEUES_MAX: usize = 10_000;
/// Dead-letter queues behind one another.
const CHAIN_MAX: usize = 8;
const PREFIX: &str = "queues/";
const PAGE: usize = 1000;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub settings: Settings,
    pub created: Timestamp,
}

#[derive(Default)]
pub(super) struct Records {
    table: RwLock<HashMap<Name, BTreeMap<Name, Record>>>,
    /// One change at a time.
    turn: tokio::sync::Mutex<()>,
    changes: watch::Sender<u64>,
}

/// Queues as they are to be.
pub struct Planned<'a> {
    namespace: Name,
    records: BTreeMap<Name, Record>,
    /// Of those that come or change.
    pub writes: Vec<Write>,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

impl Planned<'_> {
    /// They are written.
    pub fn stands(self, queues: &Queues) {
        for (name, record) in self.records {
            queues.put(self.namespace.clone(), name, record);
        }
    }
}

impl Queues {
    /// Reads what is stored.
    pub async fn load(&self, catalog: &dyn Catalog) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page = catalog.scan(PREFIX, after.as_deref(), PAGE).await?;
            for record in &page {
                let unreadable = || Error::internal(format!("the record {} can't be read", record.key));
                let key = record.key.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')).ok_or_else(unreadable)?;
                let read: Record = serde_json::from_slice(&record.value).map_err(|e| unreadable().caused_by(e))?;
                self.put(Name::new(key.0)?, Name::new(key.1)?, read);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => return Ok(()),
            }
        }
    }

    pub fn get(&self, namespace: &Name, name: &Name) -> Result<Record> {
        let table = self.records.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(namespace).and_then(|queues| queues.get(name)).cloned().ok_or_else(|| {
            Error::new(Code::QueueNotFound, format!("there is no queue {name} in the namespace {namespace}"))
                .hint("`mote queue list` shows those there are; `mote queue create NAME` makes one.")
        })
    }

    /// In name order, after a name.
    pub fn list(&self, namespace: &Name, after: Option<&str>, limit: usize) -> Vec<Name> {
        use std::ops::Bound::{Excluded, Unbounded};
        let table = self.records.table.read().unwrap_or_else(PoisonError::into_inner);
        let Some(queues) = table.get(namespace) else { return Vec::new() };
        queues.range::<str, _>((after.map_or(Unbounded, Excluded), Unbounded)).take(limit).map(|(name, _)| name.clone()).collect()
    }

    /// Those of all namespaces that have an alarm.
    pub fn alarmed(&self) -> Vec<(Name, Name)> {
        let table = self.records.table.read().unwrap_or_else(PoisonError::into_inner);
        let all = table.iter().flat_map(|(namespace, queues)| queues.iter().map(move |(name, record)| (namespace, name, record)));
        all.filter(|(.., record)| record.settings.alarm.is_some()).map(|(namespace, name, _)| (namespace.clone(), name.clone())).collect()
    }

    /// Tells when a queue has come, changed or gone.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.records.changes.subscribe()
    }

    /// Makes a queue, or changes what the patch names of the one that is there.
    pub async fn set(&self, catalog: &dyn Catalog, namespace: &Name, name: &Name, patch: Patch, now: Timestamp) -> Result<Record> {
        let planned = self.plan(catalog, namespace, &BTreeMap::from([(name.clone(), patch)]), now).await?;
        let record = planned.records.get(name).cloned().ok_or_else(|| Error::internal("what was planned is not there"))?;
        let writes = planned.writes.clone();
        if !writes.is_empty() {
            catalog.commit(writes).await?;
            planned.stands(self);
        }
        Ok(record)
    }

    /// What several of them would be, judged together; for whoever writes them with something else.
    /// No queue changes before the plan is dropped.
    pub async fn plan(
        &self,
        catalog: &dyn Catalog,
        namespace: &Name,
        wanted: &BTreeMap<Name, Patch>,
        now: Timestamp,
    ) -> Result<Planned<'_>> {
        let turn = self.records.turn.lock().await;
        let mut planned = Planned { namespace: namespace.clone(), records: BTreeMap::new(), writes: Vec::new(), _turn: turn };
        for (name, patch) in wanted {
            let before = self.get(namespace, name).unwrap_or(Record { settings: Settings::default(), created: now });
            let record = Record { settings: before.settings.patched(patch.clone())?, created: before.created };
            planned.records.insert(name.clone(), record);
        }
        let new = planned.records.keys().filter(|name| self.get(namespace, name).is_err()).count();
        if new > 0 && self.list(namespace, None, QUEUES_MAX).len() + new > QUEUES_MAX {
            return Err(Error::new(Code::QuotaExceeded, format!("the namespace {namespace} may have {QUEUES_MAX} queues"))
                .hint("`mote queue delete NAME` takes one away."));
        }
        for (name, record) in &planned.records {
            let earlier = self.get(namespace, name).ok();
            if earlier.as_ref() == Some(record) {
                continue;
            }
            self.check(&planned, name, earlier.as_ref(), record)?;
            let key = key(namespace, name);
            let expect = catalog.get(&key).await?.map_or(0, |record| record.revision);
            let value = serde_json::to_vec(record).map_err(|e| Error::internal("a queue can't be written").caused_by(e))?;
            planned.writes.push(Write::Put { key, expect, value: value.into() });
        }
        Ok(planned)
    }

    /// As it is, or as it is planned.
    fn look(&self, planned: &Planned<'_>, name: &Name) -> Result<Record> {
        planned.records.get(name).cloned().map_or_else(|| self.get(&planned.namespace, name), Ok)
    }

    fn check(&self, planned: &Planned<'_>, name: &Name, earlier: Option<&Record>, record: &Record) -> Result<()> {
        let settings = &record.settings;
        if earlier.is_some_and(|earlier| earlier.settings.fifo != settings.fifo) {
            return Err(Error::new(Code::Conflict, format!("the queue {name} is {}, and stays so", kind(!settings.fifo)))
                .hint("Make another queue, and have its senders use that."));
        }
        let Some(rule) = &settings.dead_letters else { return Ok(()) };
        if rule.queue == *name {
            return Err(Error::new(Code::RequestInvalid, format!("the queue {name} would be its own dead-letter queue"))
                .hint("Name another queue of the namespace."));
        }
        let dead = self.look(planned, &rule.queue)?;
        if dead.settings.fifo != settings.fifo {
            let detail =
                format!("the dead-letter queue {} is {}, and {name} is {}", rule.queue, kind(dead.settings.fifo), kind(settings.fifo));
            return Err(Error::new(Code::RequestInvalid, detail).hint("Both are FIFO, or none is: groups go on in order."));
        }
        self.check_chain(planned, name, &rule.queue)
    }

    /// In a ring of dead-letter queues a message would go round for ever, and be young again in each.
    fn check_chain(&self, planned: &Planned<'_>, name: &Name, dead: &Name) -> Result<()> {
        let next = |queue: &Name| Some(self.look(planned, queue).ok()?.settings.dead_letters?.queue);
        let chain: Vec<Name> = std::iter::successors(Some(dead.clone()), next).take(CHAIN_MAX + 1).collect();
        if chain.len() <= CHAIN_MAX && !chain.contains(name) {
            return Ok(());
        }
        let shown = chain.iter().map(Name::as_str).collect::<Vec<_>>().join(" → ");
        let detail = format!("{name} → {shown} comes to no end within {CHAIN_MAX} dead-letter queues");
        Err(Error::new(Code::RequestInvalid, detail)
            .hint("Let the last of them keep its messages: `mote queue set NAME --no-dead-letters`."))
    }

    pub async fn remove(&self, catalog: &dyn Catalog, namespace: &Name, name: &Name) -> Result<()> {
        let _turn = self.records.turn.lock().await;
        self.get(namespace, name)?;
        if let Some(other) = self.buried_in(namespace, name) {
            return Err(Error::new(Code::Conflict, format!("the dead letters of the queue {other} go to {name}"))
                .hint(format!("`mote queue set {other} --no-dead-letters`, or name another queue for them.")));
        }
        let key = key(namespace, name);
        if let Some(record) = catalog.get(&key).await? {
            catalog.commit(vec![Write::Delete { key, expect: record.revision }]).await?;
        }
        let mut table = self.records.table.write().unwrap_or_else(PoisonError::into_inner);
        table.get_mut(namespace).and_then(|queues| queues.remove(name));
        drop(table);
        self.records.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// The first queue whose dead letters go to this one.
    fn buried_in(&self, namespace: &Name, dead: &Name) -> Option<Name> {
        let table = self.records.table.read().unwrap_or_else(PoisonError::into_inner);
        let goes = |record: &Record| record.settings.dead_letters.as_ref().is_some_and(|rule| rule.queue == *dead);
        table.get(namespace)?.iter().find(|(_, record)| goes(record)).map(|(name, _)| name.clone())
    }

    fn put(&self, namespace: Name, name: Name, record: Record) {
        self.records.table.write().unwrap_or_else(PoisonError::into_inner).entry(namespace).or_default().insert(name, record);
        self.records.changes.send_modify(|count| *count += 1);
    }
}

fn kind(fifo: bool) -> &'static str {
    if fifo { "FIFO" } else { "not FIFO" }
}

fn key(namespace: &Name, name: &Name) -> String {
    format!("{PREFIX}{namespace}/{name}")
}
