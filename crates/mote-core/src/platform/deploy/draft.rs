//! A version as it is written: its record, its reference to its artifact, its function's head; and what
//! goes for it.
//!
//! Not here: when a deploy commits, and what it makes live ([`super`]).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;

use crate::action::{DeployWish, Expect, Number};
use crate::bundle::Bundle;
use crate::clock::Timestamp;
use crate::dialect::Deployment;
use crate::directory::Head;
use crate::engine::Preparing;
use crate::error::{Code, Error, Result};
use crate::function::delivery::Destination;
use crate::function::{Digest, Family, Function, FunctionRef, Name, Qualifier, Runtime, timer};
use crate::invoke::Invoker;
use crate::store::{Catalog, Write};

/// Before the keys that say which version refers to which artifact.
const ARTIFACTS: &str = "artifacts/";

/// Versions of a function that are kept.
const VERSIONS_KEPT: usize = 10;

/// A version before its commit, and what must still stand then.
pub(super) struct Draft {
    pub(super) function: Function,
    /// `None`: those of the live version.
    pub(super) files: Option<Arc<Bundle>>,
    pub(super) how: Preparing,
    pub(super) head: Option<(u64, Head)>,
    /// Writes that would drop the draft in whose place this one comes.
    pub(super) drafted: Vec<Write>,
    /// Writes that drop versions beyond those kept.
    pub(super) pruning: Vec<Write>,
    pub(super) dropped: Vec<(Digest, Family)>,
}

pub(super) async fn draft(
    invoker: &Invoker,
    wish: &DeployWish,
    deployment: Deployment,
    name: Name,
    (files, number, expect): (Option<Arc<Bundle>>, Number, Expect),
) -> Result<Draft> {
    let reference = FunctionRef { namespace: wish.namespace.clone(), name: name.clone() };
    let head = match invoker.catalog.get(&Head::key(&reference)).await? {
        Some(record) => Some((record.revision, Head::read(&record)?)),
        None => None,
    };
    // Its turn is held: nobody changes it from here on.
    let live = head.as_ref().map(|(_, head)| head.live.id);
    match expect {
        Expect::Nothing if live.is_some() => {
            return Err(Error::new(Code::Conflict, format!("there is a function {reference} already")).hint("Look at it, and then decide."));
        }
        Expect::Live(seen) if live != Some(seen) => {
            return Err(Error::new(Code::Conflict, format!("{reference} was changed meanwhile")).hint("Look at it again, and then decide."));
        }
        Expect::Anything | Expect::Nothing | Expect::Live(_) => {}
    }
    let (artifact, signature) = match (&files, &head) {
        (Some(files), _) => (files.digest(), Default::default()),
        (None, Some((_, head))) if head.live.runtime == deployment.runtime => (head.live.artifact, head.live.signature.clone()),
        (None, Some((_, head))) => {
            let detail = format!("{reference} was built for {}, and {} is wanted", head.live.runtime, deployment.runtime);
            return Err(Error::new(Code::Unsupported, detail).hint("Deploy its files anew."));
        }
        // The directory's error names what to do.
        (None, None) => {
            let missing = invoker.directory.entry(&reference).err();
            return Err(missing.unwrap_or_else(|| Error::internal("the catalog and the directory differ")));
        }
    };
    let mut function = Function {
        id: invoker.clock.id(),
        namespace: wish.namespace.clone(),
        name,
        version: match number {
            Number::Next => head.as_ref().map_or(1, |(_, head)| head.latest + 1),
            Number::Draft => Function::DRAFT,
        },
        runtime: deployment.runtime,
        dialect: deployment.dialect.to_owned(),
        entry: deployment.entry,
        artifact,
        limits: deployment.limits,
        env: deployment.env,
        secrets: deployment.secrets,
        egress: deployment.egress,
        isolation: deployment.isolation,
        delivery: deployment.delivery,
        records: deployment.records,
        port: deployment.port,
        pulls: deployment.pulls,
        contract_env: BTreeMap::new(),
        contract_start: None,
        about: deployment.about,
        dev: wish.dev,
        http: deployment.http,
        bindings: deployment.bindings,
        signature,
        flow: deployment.flow,
        created: invoker.clock.now(),
        live_since: Timestamp::default(),
    };
    promise(invoker, &mut function)?;
    timer::check_names(&function.name, &function.bindings)?;
    let (mut pruning, mut dropped) = (Vec::new(), Vec::new());
    if let (Some((_, head)), Number::Next) = (&head, number) {
        let wanted = wanted(invoker, &reference);
        let passing: Vec<u64> =
            head.versions.iter().copied().filter(|version| passes(head, *version) && !wanted.contains(version)).collect();
        let excess = (passing.len() + 1).saturating_sub(VERSIONS_KEPT);
        for version in passing.into_iter().filter(|version| *version != head.live.version).take(excess) {
            let (artifact, writes) = drop_version(&*invoker.catalog, &reference, version).await?;
            dropped.extend(artifact);
            pruning.extend(writes);
        }
    }
    let drafted = match (&head, number) {
        (Some((_, head)), Number::Draft) if head.versions.contains(&Function::DRAFT) => {
            let (artifact, writes) = drop_version(&*invoker.catalog, &reference, Function::DRAFT).await?;
            dropped.extend(artifact);
            writes
        }
        _ => Vec::new(),
    };
    Ok(Draft { drafted, function, files, how: deployment.preparing, head, pruning, dropped })
}

/// All functions of the bundle in one transaction: the versions, their artifact references, the heads;
/// and what comes with them.
pub(super) async fn commit(invoker: &Invoker, drafts: &[Draft], beside: Vec<Write>) -> Result<()> {
    let mut batch = beside;
    for Draft { drafted, function, head, pruning, .. } in drafts {
        let reference = function.reference();
        let gone = |version: &u64| {
            pruning.iter().any(|w| matches!(w, Write::Delete { key, .. } if *key == Head::version_key(&reference, *version)))
        };
        let (revision, mut next) = match head {
            Some((revision, head)) => (*revision, Head { live: function.clone(), ..head.clone() }),
            None => (0, Head::new(function.clone())),
        };
        if let Some((_, head)) = head.as_ref().filter(|(_, head)| head.live.version != function.version) {
            next.previous = Some(head.live.version);
        }
        next.latest = next.latest.max(function.version);
        next.versions.retain(|version| *version != function.version && !gone(version));
        next.versions.push(function.version);
        next.versions.sort_unstable();
        next.settings.retain(&next.versions);
        let value = serde_json::to_vec(&next).map_err(|e| Error::internal("a record can't be written").caused_by(e))?;
        batch.push(Write::Put { key: Head::key(&reference), expect: revision, value: value.into() });
        batch.extend(in_place_of(drafted, version_writes(function)?));
        batch.extend(pruning.iter().cloned());
    }
    invoker.catalog.commit(batch).await.map_err(|error| match error.code() {
        Code::Conflict => Error::new(Code::Conflict, "somebody else deployed this function at the same time").hint("Deploy again."),
        _ => error,
    })
}

/// What the function's dialect promises of it; asked for each version that is made.
pub(in crate::platform) fn promise(invoker: &Invoker, function: &mut Function) -> Result<()> {
    let dialect = invoker.dialects.get(&function.dialect)?;
    function.contract_env = dialect.environment(function);
    function.contract_start = dialect.log_starting(function);
    Ok(())
}

/// The version, and its reference to its artifact.
pub(in crate::platform) fn version_writes(function: &Function) -> Result<Vec<Write>> {
    let reference = function.reference();
    let value = serde_json::to_vec(function).map_err(|e| Error::internal("a record can't be written").caused_by(e))?;
    let key = Head::version_key(&reference, function.version);
    let artifact = artifact_key(&function.artifact, &reference, function.version);
    Ok(vec![Write::Put { key, expect: 0, value: value.into() }, Write::Put { key: artifact, expect: 0, value: Vec::new().into() }])
}

/// Each key once: what would be deleted and written again is overwritten.
fn in_place_of(deletes: &[Write], mut puts: Vec<Write>) -> Vec<Write> {
    for delete in deletes {
        let Write::Delete { key: old, expect: stands } = delete else { continue };
        let again = puts.iter_mut().find_map(|write| match write {
            Write::Put { key, expect, .. } if key == old => Some(expect),
            Write::Put { .. } | Write::Delete { .. } | Write::Bucket { .. } => None,
        });
        match again {
            Some(expect) => *expect = *stands,
            None => puts.push(delete.clone()),
        }
    }
    puts
}

/// The versions that something beside them calls by number: a binding, or a rule.
fn wanted(invoker: &Invoker, function: &FunctionRef) -> HashSet<u64> {
    let number = |qualifier: &Qualifier| match qualifier {
        Qualifier::Version(version) => Some(*version),
        Qualifier::Live | Qualifier::Alias(_) => None,
    };
    let bound = invoker.directory.bound(&function.namespace, Some(&function.name), None, usize::MAX);
    let rules = invoker.topics.rules.list(&function.namespace, None);
    let told = rules
        .iter()
        .flat_map(|rule| &rule.targets)
        .filter(|target| matches!(&target.to, Destination::Function(name) if *name == function.name));
    bound.iter().map(|bound| &bound.qualifier).chain(told.map(|target| &target.version)).filter_map(number).collect()
}

/// Whether a later deploy may push it out: what was made of a draft, and what an alias leads to, stays.
fn passes(head: &Head, version: u64) -> bool {
    version != Function::DRAFT
        && !head.frozen.contains_key(&version)
        && head.settings.leads_to(version).is_none()
        && !head.settings.instances_min.contains_key(&Qualifier::Version(version))
}

/// What of a stored version has to be known to drop it: more may be in words that are unknown by now.
#[derive(Deserialize)]
struct Dropped {
    artifact: Digest,
    runtime: Runtime,
}

/// The stored version's artifact, and the writes that drop the version with its reference to that.
pub(in crate::platform) async fn drop_version(
    catalog: &dyn Catalog,
    function: &FunctionRef,
    version: u64,
) -> Result<(Option<(Digest, Family)>, Vec<Write>)> {
    let Some(record) = catalog.get(&Head::version_key(function, version)).await? else { return Ok((None, Vec::new())) };
    let Dropped { artifact, runtime } = serde_json::from_slice(&record.value)
        .map_err(|e| Error::internal(format!("the record {} can't be read", record.key)).caused_by(e))?;
    let mut writes = vec![Write::Delete { key: record.key, expect: record.revision }];
    if let Some(reference) = catalog.get(&artifact_key(&artifact, function, version)).await? {
        writes.push(Write::Delete { key: reference.key, expect: reference.revision });
    }
    Ok((Some((artifact, runtime.family)), writes))
}

fn artifact_key(artifact: &Digest, function: &FunctionRef, version: u64) -> String {
    format!("{ARTIFACTS}{artifact}/{}/{}/{version:010}", function.namespace, function.name)
}

/// All that some stored version refers to.
pub(in crate::platform) async fn artifacts(catalog: &dyn Catalog) -> Result<HashSet<Digest>> {
    const PAGE: usize = 1000;
    let (mut after, mut artifacts) = (None, HashSet::new());
    loop {
        let page = catalog.scan(ARTIFACTS, after.as_deref(), PAGE).await?;
        for record in &page {
            let digest = record.key.strip_prefix(ARTIFACTS).and_then(|rest| rest.split('/').next()).unwrap_or_default();
            artifacts.insert(Digest::try_from(digest.to_owned())?);
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
            _ => return Ok(artifacts),
        }
    }
}
