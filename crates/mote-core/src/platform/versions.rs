//! A function's versions and what stands beside them: telling of them, going back to one, making one
//! of the draft, dropping one.
//!
//! How a version comes about by a deploy: [`super::deploy`].

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::Digest as _;

use super::{House, deploy};
use crate::action::{Description, Done, SettingsPatch};
use crate::clock::{Id, Timestamp};
use crate::directory::{Head, stored};
use crate::error::{Code, Error, Result};
use crate::function::{Digest, Function, FunctionRef, Qualifier};
use crate::invoke::Invoke as _;
use crate::store::{Record, Write};

/// Made of drafts, of one function: nobody takes them away but who asks for it.
const FROZEN_MAX: usize = 1000;

impl House {
    pub(super) async fn describe(&self, function: &FunctionRef, version: &Qualifier) -> Result<Description> {
        let (revision, head) = self.head(function).await?;
        let described = match version {
            Qualifier::Live => Arc::new(head.live),
            version => self.invoker.version(function.clone(), version.clone()).await?,
        };
        let url_path = deploy::url_path(&described);
        let ready = self.ready(function, &head.settings).await?;
        Ok(Description { function: described, versions: head.versions, url_path, settings: Arc::new(head.settings), ready, revision })
    }

    pub(super) async fn list_versions(&self, function: &FunctionRef, after: Option<u64>, limit: usize) -> Result<Vec<Arc<Function>>> {
        let (_, head) = self.head(function).await?;
        let mut listed = Vec::new();
        let numbers = head.versions.iter().filter(|number| after.is_none_or(|after| **number > after));
        for &number in numbers.take(limit) {
            listed.push(Arc::new(stored(self.catalog(), function, number).await?));
        }
        Ok(listed)
    }

    pub(super) async fn freeze(&self, function: &FunctionRef, about: Map<String, Value>, expect: Option<Id>) -> Result<Arc<Function>> {
        let _turn = self.turns.function(function).await;
        let (revision, mut head) = self.head(function).await?;
        if expect.is_some_and(|draft| draft != head.live.id) {
            return Err(Error::new(Code::Conflict, format!("{function} was changed meanwhile")).hint("Look at it again, and then decide."));
        }
        if head.live.version != Function::DRAFT {
            return Ok(Arc::new(head.live));
        }
        let draft = digest(&head.live)?;
        if let Some((&version, _)) = head.frozen.last_key_value().filter(|(_, of)| **of == draft) {
            return Ok(Arc::new(stored(self.catalog(), function, version).await?));
        }
        if head.frozen.len() >= FROZEN_MAX {
            return Err(Error::new(Code::QuotaExceeded, format!("{function} has {FROZEN_MAX} versions, which is the most"))
                .hint("Remove those that nothing leads to."));
        }
        let now = self.invoker.clock.now();
        let mut version =
            Function { id: self.invoker.clock.id(), version: head.latest + 1, created: now, live_since: now, ..head.live.clone() };
        version.about.extend(about);
        deploy::promise(&self.invoker, &mut version)?;
        head.latest = version.version;
        head.versions.push(version.version);
        head.frozen.insert(version.version, draft);
        let mut batch = deploy::version_writes(&version)?;
        batch.push(head_write(function, revision, &head)?);
        self.catalog().commit(batch).await?;
        Ok(Arc::new(version))
    }

    pub(super) async fn remove_version(&self, function: &FunctionRef, version: u64) -> Result<Done> {
        let _turn = self.turns.function(function).await;
        let (revision, mut head) = self.head(function).await?;
        let used = |by: String| {
            Err(Error::new(Code::Conflict, format!("the version {version} of {function} can't be removed: {by}"))
                .hint("Lead that to another version first."))
        };
        if head.live.version == version {
            return used("it is live".to_owned());
        }
        if let Some(alias) = head.settings.leads_to(version) {
            return used(format!("the alias {alias} leads to it"));
        }
        let gone = Arc::new(stored(self.catalog(), function, version).await?);
        let (dropped, mut batch) = deploy::drop_version(self.catalog(), function, version).await?;
        head.versions.retain(|kept| *kept != version);
        head.frozen.remove(&version);
        head.previous = head.previous.filter(|previous| *previous != version);
        let kept = head.settings.minimums().contains_key(&version);
        head.settings.retain(&head.versions);
        batch.push(head_write(function, revision, &head)?);
        self.catalog().commit(batch).await?;
        self.directory().settle(Arc::new(head.live), head.settings);
        if kept {
            self.invoker.engines.keep_ready(&gone, 0);
        }
        deploy::retire(&self.invoker, &gone);
        self.turns.forget_unused(&self.invoker, dropped).await;
        Ok(Done::Nothing)
    }

    pub(super) async fn configure(&self, function: &FunctionRef, patch: SettingsPatch, expect: Option<u64>) -> Result<Done> {
        let _turn = self.turns.function(function).await;
        let (revision, mut head) = self.head(function).await?;
        if expect.is_some_and(|seen| seen != revision) {
            return Err(Error::new(Code::Conflict, format!("{function} was changed meanwhile")).hint("Look at it again, and then decide."));
        }
        let settings = head.settings.patched(patch, &head.versions)?;
        if settings != head.settings {
            let before = std::mem::replace(&mut head.settings, settings.clone()).minimums();
            self.catalog().commit(vec![head_write(function, revision, &head)?]).await?;
            self.directory().settle(Arc::new(head.live), head.settings);
            self.keep_ready(function, &before, &settings).await;
        }
        Ok(Done::Function(Box::new(self.describe(function, &Qualifier::Live).await?)))
    }

    pub(super) async fn head(&self, function: &FunctionRef) -> Result<(u64, Head)> {
        let record = self.record(function).await?;
        Ok((record.revision, Head::read(&record)?))
    }

    async fn record(&self, function: &FunctionRef) -> Result<Record> {
        match self.catalog().get(&Head::key(function)).await? {
            Some(record) => Ok(record),
            // The directory's error names what to do.
            None => Err(self.directory().entry(function).err().unwrap_or_else(|| Error::internal("the catalog and the directory differ"))),
        }
    }

    pub(super) async fn remove(&self, function: &FunctionRef) -> Result<Done> {
        let _turn = self.turns.function(function).await;
        let record = self.record(function).await?;
        // Nothing is bound to it meanwhile.
        let flip = self.turns.flip().await;
        let mut batch = vec![Write::Delete { key: Head::key(function), expect: record.revision }];
        batch.extend(self.unbinding(function).await?);
        let (mut artifacts, mut kept) = (Vec::new(), Vec::new());
        let minimums = Head::read(&record).map(|head| head.settings.minimums()).unwrap_or_default();
        for version in Head::versions(&record)? {
            if minimums.contains_key(&version) {
                kept.extend(stored(self.catalog(), function, version).await.map(Arc::new));
            }
            let (dropped, writes) = deploy::drop_version(self.catalog(), function, version).await?;
            artifacts.extend(dropped);
            batch.extend(writes);
        }
        self.catalog().commit(batch).await?;
        for old in &kept {
            self.invoker.engines.keep_ready(old, 0);
        }
        for old in self.directory().remove(function).iter().chain(&kept) {
            deploy::retire(&self.invoker, old);
        }
        // What is deleted from the disk holds up no other function.
        drop(flip);
        self.turns.forget_unused(&self.invoker, artifacts).await;
        self.drop_files_of(function).await;
        Ok(Done::Nothing)
    }

    pub(super) async fn point(&self, function: &FunctionRef, version: Option<u64>) -> Result<Done> {
        let _turn = self.turns.function(function).await;
        let (revision, mut head) = self.head(function).await?;
        let version = version
            .or(head.previous)
            .ok_or_else(|| Error::new(Code::VersionNotFound, format!("{function} has no earlier version to go back to")))?;
        let record = self.catalog().get(&Head::version_key(function, version)).await?.ok_or_else(|| {
            Error::new(Code::VersionNotFound, format!("{function} has no version {version}")).hint(format!(
                "Versions that can be made live: {}.",
                head.versions.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
            ))
        })?;
        let mut live: Function = serde_json::from_slice(&record.value)
            .map_err(|e| Error::internal(format!("the record {} can't be read", record.key)).caused_by(e))?;
        // A new one, or it would go on in the pool that was retired with it, and keep nothing warm.
        let (id, since) = if version == head.live.version {
            (head.live.id, head.live.live_since)
        } else {
            (self.invoker.clock.id(), self.invoker.clock.now())
        };
        (live.id, live.live_since) = (id, since);
        let flip = self.turns.flip().await;
        let given = self.given(&[&live]).await?;
        self.check_timers(&live, None)?;
        self.directory().check_routes(&[&live])?;
        if live.version != head.live.version {
            head.previous = Some(head.live.version);
        }
        head.live = live.clone();
        self.catalog().commit(vec![head_write(function, revision, &head)?]).await?;
        let live = Arc::new(live);
        self.invoker.engines.keep_warm(&live);
        for old in self.directory().replace(vec![live]) {
            if old.version != head.live.version {
                deploy::retire(&self.invoker, &old);
            }
        }
        self.renew_if_changed(&given).await;
        drop(flip);
        Ok(Done::Function(Box::new(self.describe(function, &Qualifier::Live).await?)))
    }
}

/// Of what a version is made of; when and how often it was put there says nothing.
fn digest(draft: &Function) -> Result<Digest> {
    let none = Timestamp::default();
    let plain = Function { id: Id(0), created: none, live_since: none, contract_env: Default::default(), ..draft.clone() };
    let text = serde_json::to_vec(&plain).map_err(|e| Error::internal("a version can't be written").caused_by(e))?;
    Ok(Digest(sha2::Sha256::digest(text).into()))
}

fn head_write(function: &FunctionRef, expect: u64, head: &Head) -> Result<Write> {
    let value = serde_json::to_vec(head).map_err(|e| Error::internal("a head can't be written").caused_by(e))?;
    Ok(Write::Put { key: Head::key(function), expect, value: value.into() })
}
