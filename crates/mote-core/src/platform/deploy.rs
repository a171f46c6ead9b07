//! Deploy: unpack → manifest → build and warm → commit → flip → drain the old.
//!
//! Until the commit nothing is visible and an error changes nothing; after it the new version
//! takes every new call and the old one finishes what it has.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;

use super::secrets::Given;
use super::{House, flows};
use crate::access::Patch;
use crate::access::audit::Note;
use crate::access::limits::exceeded;
use crate::action::{Deploy, DeployWish, Deployed, Files, Step, Steps};
use crate::body::Body;
use crate::bundle::{ARCHIVE_BYTES_MAX, Bundle};
use crate::clock::Timestamp;
use crate::dialect::Deployment;
use crate::directory::Head;
use crate::engine::{Prepared, Preparing, Progress};
use crate::error::{Code, Error, Result};
use crate::function::delivery::Destination;
use crate::function::{Binding, Digest, Family, Function, FunctionRef, Name, Runtime, timer};
use crate::invoke::Invoker;
use crate::store::within::{Judged, within};
use crate::store::{Catalog, Objects, Write};

/// Before the keys that say which version refers to which artifact.
const ARTIFACTS: &str = "artifacts/";

/// Versions of a function that are kept.
const VERSIONS_KEPT: usize = 10;

/// Begins a deploy, which goes on to its end even if nobody reads its steps.
pub(super) fn start(house: House, deploy: Deploy, note: Note) -> Steps {
    let (steps, mut told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let tell = steps.clone();
        // A line that nobody reads any more is lost, which is all right.
        let progress = Progress::new(move |line| drop(tell.send(Step::Progress(line))));
        let end = match run(&house, deploy, progress.clone()).await {
            Ok(deployed) => {
                house.access.record(note, None);
                warn(&house.invoker, &house.objects, &deployed, &progress).await;
                Step::Done(deployed)
            }
            Err(error) => {
                house.access.record(note, Some(&error));
                Step::Failed(error)
            }
        };
        drop(steps.send(end));
    });
    Box::pin(futures_util::stream::poll_fn(move |cx| told.poll_recv(cx)))
}

/// Bindings that may be meant so, but will not fire, and would never say why.
async fn warn(invoker: &Invoker, objects: &Arc<dyn Objects>, deployed: &[Deployed], progress: &Progress) {
    for one in deployed {
        let function = FunctionRef { namespace: one.namespace.clone(), name: one.name.clone() };
        let Ok(live) = invoker.directory.entry(&function) else { continue };
        missing(invoker, &live.function).into_iter().for_each(|warning| progress.tell(warning));
        for binding in &live.function.bindings {
            make_queue(invoker, &live.function, binding, progress).await;
            if let Some(warning) = silent(invoker, objects, &live.function, binding).await {
                progress.tell(warning);
            }
        }
        flows::missing_functions(invoker, &live.function).into_iter().for_each(|warning| progress.tell(warning));
    }
}

/// The queue that a function is bound to, if nobody has made it yet.
async fn make_queue(invoker: &Invoker, function: &Function, binding: &Binding, progress: &Progress) {
    let Binding::Queue(binding) = binding else { return };
    let (namespace, name) = (&function.namespace, &binding.queue);
    if invoker.queues.get(namespace, name).is_ok() {
        return;
    }
    match invoker.queues.set(&*invoker.catalog, namespace, name, Patch::new(), invoker.clock.now()).await {
        Ok(_) => progress.tell(format!("made the queue {name}")),
        Err(error) => progress.tell(format!("the queue {name} could not be made: {error}; `mote queue create {name}` tries again")),
    }
}

/// Destinations that are not there: one may come later, but it may be mistyped as well.
fn missing(invoker: &Invoker, function: &Function) -> Vec<String> {
    let destinations = [("on_success", &function.delivery.on_success), ("on_failure", &function.delivery.on_failure)];
    let named = destinations.into_iter().filter_map(|(key, to)| Some((key, to.as_ref()?)));
    let gone = named.filter_map(|(key, to)| match to {
        Destination::Function(name) => {
            let to = FunctionRef { namespace: function.namespace.clone(), name: name.clone() };
            let warning = "which is no function here yet: what is sent there becomes a dead letter";
            invoker.directory.entry(&to).is_err().then(|| format!("{key} of {} names {name}, {warning}", function.name))
        }
        Destination::Queue(name) => invoker.queues.get(&function.namespace, name).is_err().then(|| {
            format!("{key} of {} names a queue that is not there yet: `mote queue create {name}`; what is sent waits for it", function.name)
        }),
        // A topic is made by being named; what a webhook answers is seen when it is called.
        Destination::Topic(_) | Destination::Webhook(_) => None,
    });
    gone.collect()
}

async fn silent(invoker: &Invoker, objects: &Arc<dyn Objects>, function: &Function, binding: &Binding) -> Option<String> {
    let name = &function.name;
    match binding {
        Binding::Http { .. } | Binding::Topic(_) | Binding::Queue(_) | Binding::Mqtt(_) => None,
        Binding::Webhook(inlet) => {
            let known = invoker.secrets.reveal(&function.namespace, &inlet.secret).await;
            known.is_err().then(|| {
                format!("the webhook {} of {name} takes nothing before its secret is there: `mote secret set {}`", inlet.path, inlet.secret)
            })
        }
        // A binding may come before its bucket, but it may be mistyped as well.
        Binding::Bucket { bucket, .. } => {
            let missing = within(objects.clone(), &function.namespace, Judged).bucket(bucket).await;
            missing
                .is_err_and(|error| error.code() == Code::BucketNotFound)
                .then(|| format!("{name} waits for a bucket that is not there yet: `mote bucket create {bucket}`"))
        }
        Binding::Timer(timer) => {
            let next = timer.schedule.next_after(invoker.clock.now(), &timer.options);
            (timer.enabled && next.is_none())
                .then(|| format!("the timer {} of {name} never fires again: {}", timer.name(name), timer.schedule))
        }
    }
}

async fn run(house: &House, Deploy { wish, files, declared }: Deploy, progress: Progress) -> Result<Vec<Deployed>> {
    let (invoker, turns) = (&*house.invoker, &house.turns);
    let begun = invoker.clock.monotonic();
    let _place = turns.deploy().await;
    let bundle = match files {
        Files::Archive(archive) => Some(unpack(archive).await?),
        Files::AsTheyAre => None,
    };
    let (mut drafts, mut held) = (Vec::new(), Vec::new());
    let deployments = match (declared, &bundle) {
        (Some(declared), _) => vec![*declared],
        (None, Some(bundle)) => manifest(invoker, bundle)?,
        (None, None) => return Err(Error::internal("a deploy without files says nothing")),
    };
    for (name, deployment) in named(&wish, deployments)? {
        held.push(turns.function(&FunctionRef { namespace: wish.namespace.clone(), name: name.clone() }).await);
        drafts.push(draft(invoker, &wish, deployment, name, bundle.as_ref()).await?);
    }
    // Judged once more at the flip; here it spares a build that would be for nothing.
    check_routes(invoker, &drafts)?;
    let given = house.given(&functions(&drafts)).await?;
    check_number(invoker, &wish.namespace, &drafts)?;

    let _builder = match &bundle {
        Some(bundle) => Some(turns.bundle(bundle.digest()).await),
        None => None,
    };
    let artifacts = turns.artifacts().await;
    let mut prepared: Vec<Prepared> = Vec::new();
    let made = async {
        for Draft { function, how, .. } in &mut drafts {
            let done = match &bundle {
                Some(bundle) => invoker.engines.get(function.runtime.family)?.prepare(function, bundle, *how, progress.clone()).await?,
                None => as_they_are(function),
            };
            function.artifact = done.artifact;
            function.signature = done.signature.clone();
            prepared.push(done);
        }
        // Not before: a build may take minutes.
        drafts.iter_mut().for_each(|draft| draft.function.live_since = invoker.clock.now());
        go_live(house, &drafts, &given).await
    };
    let made = made.await;
    drop(artifacts);
    if let Err(error) = made {
        // Ends the instances that were warmed for versions that will never be.
        let warmed = || drafts.iter().take(prepared.len()).map(|draft| &draft.function);
        warmed().for_each(|function| retire(invoker, function));
        turns.forget_unused(invoker, warmed().map(|function| (function.artifact, function.runtime.family))).await;
        return Err(error);
    }
    turns.forget_unused(invoker, drafts.iter().flat_map(|draft| draft.dropped.iter().copied())).await;
    let total_ms = (invoker.clock.monotonic() - begun).as_millis() as u64;
    Ok(drafts.iter().zip(prepared).map(|(draft, prepared)| deployed(&draft.function, prepared, total_ms)).collect())
}

/// Built before; what its engine keeps for it, the first call makes.
fn as_they_are(function: &Function) -> Prepared {
    Prepared { artifact: function.artifact, signature: function.signature.clone(), isolation: Vec::new(), dependencies: Duration::ZERO }
}

async fn unpack(archive: Body) -> Result<Bundle> {
    let archive = archive.collect(ARCHIVE_BYTES_MAX).await?;
    let unpacked = tokio::task::spawn_blocking(move || Bundle::unpack(&archive)).await;
    unpacked.map_err(|e| Error::internal("unpacking panicked").caused_by(e))?
}

/// Each function with its name, in name order, so that two deploys of the same functions can't
/// wait for each other.
fn named(wish: &DeployWish, mut deployments: Vec<Deployment>) -> Result<Vec<(Name, Deployment)>> {
    if wish.name.is_some() && deployments.len() > 1 {
        return Err(Error::new(Code::ManifestInvalid, "one name was given for a bundle of several functions"));
    }
    deployments.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = deployments.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let name = pair[0].name.as_ref().map_or("no name", Name::as_str);
        return Err(Error::new(Code::ManifestInvalid, format!("two functions of the bundle have the same name: {name}")));
    }
    let name = |deployment: &Deployment| {
        let name = wish.name.clone().or_else(|| deployment.name.clone()).or_else(|| wish.default_name.clone());
        name.ok_or_else(|| Error::new(Code::ManifestInvalid, "the function has no name").hint("Give `--name`, or `name` in mote.toml."))
    };
    deployments.into_iter().map(|deployment| Ok((name(&deployment)?, deployment))).collect()
}

/// Commit and flip. The old versions take no new call from here on.
async fn go_live(house: &House, drafts: &[Draft], given: &Given) -> Result<()> {
    let invoker = &*house.invoker;
    let _flip = house.turns.flip().await;
    check_routes(invoker, drafts)?;
    // A secret may have been removed during the build.
    house.given(&functions(drafts)).await?;
    if let Some(draft) = drafts.first() {
        check_number(invoker, &draft.function.namespace, drafts)?;
    }
    commit(invoker, drafts).await?;
    // On disk: from here on nothing may fail.
    let live = drafts.iter().map(|draft| Arc::new(draft.function.clone())).collect();
    for old in invoker.directory.replace(live) {
        retire(invoker, &old);
    }
    house.renew_if_changed(given).await;
    Ok(())
}

/// An error if the namespace may not have so many functions.
fn check_number(invoker: &Invoker, namespace: &Name, drafts: &[Draft]) -> Result<()> {
    let Some(max) = invoker.access.limits.quota(namespace).functions else { return Ok(()) };
    let new = drafts.iter().filter(|draft| draft.head.is_none()).count();
    let count = (invoker.directory.count(Some(namespace)) + new) as u64;
    if new > 0 && count > max { Err(exceeded("functions", max, namespace.as_str())) } else { Ok(()) }
}

fn check_routes(invoker: &Invoker, drafts: &[Draft]) -> Result<()> {
    invoker.directory.check_routes(&functions(drafts))
}

fn functions(drafts: &[Draft]) -> Vec<&Function> {
    drafts.iter().map(|draft| &draft.function).collect()
}

/// Lets an engine end what it keeps for a version. A server without that engine keeps nothing.
pub(super) fn retire(invoker: &Invoker, function: &Function) {
    if let Ok(engine) = invoker.engines.get(function.runtime.family) {
        engine.retire(function);
    }
}

fn manifest(invoker: &Invoker, bundle: &Bundle) -> Result<Vec<Deployment>> {
    for dialect in invoker.dialects.iter() {
        if let Some(deployments) = dialect.manifest(bundle)? {
            return Ok(deployments);
        }
    }
    let detail = format!("no manifest was found, and no file that tells what to run, among {}", first_of(bundle));
    Err(Error::new(Code::ManifestInvalid, detail)
        .hint("Deploy one `.py`, `.js` or `.ts` file, an executable, or a folder with a mote.toml."))
}

/// `"a.txt", "b.txt", "c.txt" and 4 more`.
fn first_of(bundle: &Bundle) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = bundle.files().map(|(path, _)| format!("{path:?}")).take(SHOWN).collect();
    match bundle.files().len() {
        0 => "no files at all".to_owned(),
        1..=SHOWN => names.join(", "),
        all => format!("{} and {} more", names.join(", "), all - SHOWN),
    }
}

/// A version before its commit, and what must still stand then.
struct Draft {
    function: Function,
    how: Preparing,
    head: Option<(u64, Head)>,
    /// Writes that drop versions beyond those kept.
    pruning: Vec<Write>,
    dropped: Vec<(Digest, Family)>,
}

async fn draft(invoker: &Invoker, wish: &DeployWish, deployment: Deployment, name: Name, bundle: Option<&Bundle>) -> Result<Draft> {
    let reference = FunctionRef { namespace: wish.namespace.clone(), name: name.clone() };
    let head = match invoker.catalog.get(&Head::key(&reference)).await? {
        Some(record) => Some((record.revision, Head::read(&record)?)),
        None => None,
    };
    let (artifact, signature) = match (bundle, &head) {
        (Some(bundle), _) => (bundle.digest(), Default::default()),
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
        version: head.as_ref().map_or(1, |(_, head)| head.latest + 1),
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
        about: deployment.about,
        dev: wish.dev,
        http: deployment.http,
        bindings: deployment.bindings,
        signature,
        flow: deployment.flow,
        created: invoker.clock.now(),
        live_since: Timestamp::default(),
    };
    function.contract_env = invoker.dialects.get(&function.dialect)?.environment(&function);
    timer::check_names(&function.name, &function.bindings)?;
    let (mut pruning, mut dropped) = (Vec::new(), Vec::new());
    if let Some((_, head)) = &head {
        let excess = (head.versions.len() + 1).saturating_sub(VERSIONS_KEPT);
        for &version in head.versions.iter().filter(|v| **v != head.live.version).take(excess) {
            let (artifact, writes) = drop_version(&*invoker.catalog, &reference, version).await?;
            dropped.extend(artifact);
            pruning.extend(writes);
        }
    }
    Ok(Draft { function, how: deployment.preparing, head, pruning, dropped })
}

/// All functions of the bundle in one transaction: the versions, their artifact references, the heads.
async fn commit(invoker: &Invoker, drafts: &[Draft]) -> Result<()> {
    let mut batch = Vec::new();
    for Draft { function, head, pruning, .. } in drafts {
        let reference = function.reference();
        let gone = |version: &u64| {
            pruning.iter().any(|w| matches!(w, Write::Delete { key, .. } if *key == Head::version_key(&reference, *version)))
        };
        let (revision, versions, previous) = match head {
            Some((revision, head)) => (*revision, head.versions.iter().copied().filter(|v| !gone(v)).collect(), Some(head.live.version)),
            None => (0, Vec::new(), None),
        };
        let mut next = Head { live: function.clone(), latest: function.version, versions, previous };
        next.versions.push(function.version);
        let put = |key, expect, value: Result<Vec<u8>, serde_json::Error>| {
            let value = value.map_err(|e| Error::internal("a record can't be written").caused_by(e))?.into();
            Ok::<_, Error>(Write::Put { key, expect, value })
        };
        batch.push(put(Head::version_key(&reference, function.version), 0, serde_json::to_vec(function))?);
        batch.push(put(artifact_key(&function.artifact, &reference, function.version), 0, Ok(Vec::new()))?);
        batch.push(put(Head::key(&reference), revision, serde_json::to_vec(&next))?);
        batch.extend(pruning.iter().cloned());
    }
    invoker.catalog.commit(batch).await.map_err(|error| match error.code() {
        Code::Conflict => Error::new(Code::Conflict, "somebody else deployed this function at the same time").hint("Deploy again."),
        _ => error,
    })
}

/// What of a stored version has to be known to drop it: more may be in words that are unknown by now.
#[derive(Deserialize)]
struct Dropped {
    artifact: Digest,
    runtime: Runtime,
}

/// The stored version's artifact, and the writes that drop the version with its reference to that.
pub(super) async fn drop_version(
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
pub(super) async fn artifacts(catalog: &dyn Catalog) -> Result<HashSet<Digest>> {
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

/// Where the function URL is on the public door.
pub(super) fn url_path(function: &Function) -> Option<String> {
    let namespace = if function.namespace.as_str() == Name::DEFAULT { String::new() } else { format!("/@{}", function.namespace) };
    function.http.url.then(|| format!("{namespace}/{}", function.name))
}

fn deployed(function: &Function, prepared: Prepared, total_ms: u64) -> Deployed {
    Deployed {
        namespace: function.namespace.clone(),
        name: function.name.clone(),
        version: function.version,
        runtime: function.runtime.to_string(),
        path: url_path(function),
        isolation: prepared.isolation,
        dependencies_ms: Duration::as_millis(&prepared.dependencies) as u64,
        total_ms,
    }
}
