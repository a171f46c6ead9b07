//! Deploy: unpack → manifest → build and warm → commit → flip → drain the old.
//!
//! Until the commit nothing is visible and an error changes nothing; after it the new version
//! takes every new call and the old one finishes what it has. What is written then: [`draft`].

mod draft;
mod manifest;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use self::draft::{Draft, commit, draft};
pub(super) use self::draft::{artifacts, drop_version, promise, version_writes};
use self::manifest::Beside;
use super::secrets::Given;
use super::{House, flows};
use crate::access::Patch;
use crate::access::audit::Note;
use crate::access::limits::exceeded;
use crate::action::{Deploy, DeployWish, Deployed, Files, LAYERS, Step, Steps};
use crate::body::Body;
use crate::bundle::{ARCHIVE_BYTES_MAX, Bundle};
use crate::dialect::Deployment;
use crate::engine::{Prepared, Progress};
use crate::error::{Code, Error, Result};
use crate::function::delivery::Destination;
use crate::function::{Binding, Function, FunctionRef, Name};
use crate::invoke::Invoker;
use crate::store::Objects;
use crate::store::within::{Judged, within};

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
        Binding::Http(_) | Binding::Topic(_) | Binding::Queue(_) | Binding::Mqtt(_) => None,
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

async fn run(house: &House, Deploy { wish, files, declared, number, layers, expect }: Deploy, progress: Progress) -> Result<Vec<Deployed>> {
    let (invoker, turns) = (&*house.invoker, &house.turns);
    let begun = invoker.clock.monotonic();
    let _place = turns.deploy().await;
    let mut bundle = match files {
        Files::Archive(archive) => Some(unpack(archive, layers).await?),
        Files::AsTheyAre => None,
    };
    let (mut drafts, mut held, mut building) = (Vec::new(), Vec::new(), Vec::new());
    let said =
        bundle.as_mut().filter(|_| declared.is_none()).map(|bundle| manifest::parameters(&wish, bundle)).transpose()?.unwrap_or_default();
    let bundle = bundle.map(Arc::new);
    let mut manifest = match (declared, &bundle) {
        (Some(declared), _) => vec![*declared].into(),
        (None, Some(bundle)) => manifest::read(&house.invoker, bundle.clone(), said).await?,
        (None, None) => return Err(Error::internal("a deploy without files says nothing")),
    };
    manifest.notes.iter().for_each(|note| progress.tell(note));
    let beside = Beside::of(invoker, &wish.namespace, &mut manifest).await?;
    for (name, mut deployment) in named(&wish, manifest.functions)? {
        held.push(turns.function(&FunctionRef { namespace: wish.namespace.clone(), name: name.clone() }).await);
        let files = deployment.files.take().or_else(|| bundle.clone());
        drafts.push(draft(invoker, &wish, deployment, name, (files, number, expect)).await?);
    }
    // Judged once more at the flip; here it spares a build that would be for nothing.
    check_routes(invoker, &drafts)?;
    let given = house.given(&functions(&drafts)).await?;
    check_number(invoker, &wish.namespace, &drafts)?;

    let builders = match &bundle {
        // Each once, and in one order, so that two deploys can't wait for each other.
        Some(_) => drafts.iter().map(|draft| draft.function.artifact).collect(),
        None => BTreeSet::new(),
    };
    for files in builders {
        building.push(turns.bundle(files).await);
    }
    let artifacts = turns.artifacts().await;
    let mut prepared: Vec<Prepared> = Vec::new();
    let made = async {
        for Draft { function, files, how, .. } in &mut drafts {
            let done = match files {
                Some(files) => invoker.engines.get(function.runtime.family)?.prepare(function, files, *how, progress.clone()).await?,
                None => as_they_are(function),
            };
            function.artifact = done.artifact;
            function.signature = done.signature.clone();
            prepared.push(done);
        }
        // Not before: a build may take minutes.
        drafts.iter_mut().for_each(|draft| draft.function.live_since = invoker.clock.now());
        go_live(house, &wish.namespace, &drafts, &beside, &given).await
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

async fn unpack(archive: Body, layers: Vec<Bytes>) -> Result<Bundle> {
    let archive = archive.collect(ARCHIVE_BYTES_MAX).await?;
    let all = move || {
        let mut bundle = Bundle::unpack(&archive)?;
        layers.iter().try_for_each(|layer| bundle.overlay(LAYERS, Bundle::unpack(layer)?))?;
        Ok(bundle)
    };
    let unpacked = tokio::task::spawn_blocking(all).await;
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
async fn go_live(house: &House, namespace: &Name, drafts: &[Draft], beside: &Beside, given: &Given) -> Result<()> {
    let invoker = &*house.invoker;
    let _flip = house.turns.flip().await;
    check_routes(invoker, drafts)?;
    drafts.iter().try_for_each(|draft| house.check_timers(&draft.function, None))?;
    // A secret may have been removed during the build.
    house.given(&functions(drafts)).await?;
    check_number(invoker, namespace, drafts)?;
    let (writes, queues) = beside.plan(invoker, namespace).await?;
    commit(invoker, drafts, writes).await?;
    // On disk: from here on nothing may fail.
    queues.into_iter().for_each(|queues| queues.stands(&invoker.queues));
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
