//! The draft, the versions made of it, and what stands beside them: aliases, reserved concurrency, deliveries.

use std::sync::Arc;
use std::time::Duration;

use mote_core::action::{Action, Description, Done, Qualifier, SettingsPatch, Target};
use mote_core::clock::{Id, Timestamp};
use mote_core::directory::Directory;
use mote_core::engine::{Answer, Payload};
use mote_core::error::{Code, Error, Result};
use mote_core::function::delivery::{Delivery, Destination, Retry};
use mote_core::function::{Alias, Binding, Bound, Function, Name, Seen};
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::Deliverer;
use mote_core::trigger::{Stopper, Trigger};
use mote_testkit::ScriptedEngine;

use crate::house::{Scene, reference};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn alias(to: &str, version: u64, shares: &[(u64, f64)]) -> SettingsPatch {
    let alias = Alias { version, shares: shares.iter().copied().collect(), ..Alias::default() };
    SettingsPatch { aliases: [(name(to), Some(alias))].into(), ..SettingsPatch::default() }
}

async fn freeze(scene: &Scene) -> Result<Arc<Function>> {
    let done = scene.admin(Action::Freeze { function: reference("f"), about: Default::default(), expect: None }).await?;
    let Done::Version(version) = done else { panic!("no version") };
    Ok(version)
}

async fn configure(scene: &Scene, patch: SettingsPatch, expect: Option<u64>) -> Result<Description> {
    let done = scene.admin(Action::Configure { function: reference("f"), patch: Box::new(patch), expect }).await?;
    let Done::Function(described) = done else { panic!("no function") };
    Ok(*described)
}

async fn describe(scene: &Scene, version: Qualifier) -> Result<Description> {
    let Done::Function(described) = scene.admin(Action::Describe { function: reference("f"), version }).await? else { panic!() };
    Ok(*described)
}

async fn drop_version(scene: &Scene, version: u64) -> Result<()> {
    scene.admin(Action::RemoveVersion { function: reference("f"), version }).await.map(drop)
}

/// The version that ran, for a call with that id.
async fn ran(scene: &Scene, version: Qualifier, id: Id) -> Result<u64> {
    let mut event = scene.event("");
    event.id = id;
    let reply = scene.invoker.call(Target::Function { function: reference("f"), version }, event).await?;
    Ok(reply.version)
}

fn called(text: &str) -> Qualifier {
    Qualifier::try_from(text.to_owned()).unwrap()
}

#[tokio::test]
async fn a_draft_takes_the_place_of_the_one_before() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let before = scene.store.keys();
    assert_eq!(scene.draft(&[("f.py", "1")]).await.unwrap()[0].version, 0);
    let first = scene.store.keys();
    scene.draft(&[("f.py", "2")]).await.unwrap();
    assert_eq!(scene.store.keys().len(), first.len());
    assert_eq!(scene.engine.diary(), ["prepare f v0", "prepare f v0", "retire f v0", "forget"]);
    // The same files again: what it refers to stays.
    scene.draft(&[("f.py", "2")]).await.unwrap();
    assert_eq!(scene.engine.diary().iter().filter(|line| *line == "forget").count(), 1);
    assert_eq!(
        (ran(&scene, Qualifier::Live, Id(1)).await.unwrap(), describe(&scene, Qualifier::Live).await.unwrap().versions),
        (0, vec![0])
    );
    // A plain deploy goes on in numbers of its own, and leaves the draft where it is.
    assert_eq!(scene.deploy(&[("f.py", "3")]).await.unwrap()[0].version, 1);
    assert_eq!(ran(&scene, Qualifier::Version(0), Id(1)).await.unwrap(), 0);
    scene.admin(Action::Remove { function: reference("f") }).await.unwrap();
    assert_eq!(scene.store.keys(), before);
}

#[tokio::test]
async fn a_version_is_made_of_the_draft_once() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.draft(&[("f.py", "1")]).await.unwrap();
    assert_eq!(freeze(&scene).await.unwrap().version, 1);
    assert_eq!(freeze(&scene).await.unwrap().version, 1);
    // The same files are no change.
    scene.draft(&[("f.py", "1")]).await.unwrap();
    assert_eq!(freeze(&scene).await.unwrap().version, 1);
    scene.draft(&[("f.py", "2")]).await.unwrap();
    let second = freeze(&scene).await.unwrap();
    assert_eq!(second.version, 2);
    assert_ne!(second.id, describe(&scene, Qualifier::Live).await.unwrap().function.id);
    assert_eq!(ran(&scene, Qualifier::Version(1), Id(1)).await.unwrap(), 1);
    // The number of one that is gone is not given again.
    drop_version(&scene, 2).await.unwrap();
    assert_eq!(ran(&scene, Qualifier::Version(2), Id(1)).await.unwrap_err().code(), Code::VersionNotFound);
    assert_eq!(freeze(&scene).await.unwrap().version, 3);
    let expect = Some(Id(5));
    let stale = Action::Freeze { function: reference("f"), about: Default::default(), expect };
    assert_eq!(scene.admin(stale).await.err().unwrap().code(), Code::Conflict);
}

#[tokio::test]
async fn versions_made_of_drafts_are_pushed_out_by_nothing() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.draft(&[("f.py", "1")]).await.unwrap();
    freeze(&scene).await.unwrap();
    for content in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        scene.deploy(&[("f.py", content)]).await.unwrap();
    }
    assert_eq!(describe(&scene, Qualifier::Live).await.unwrap().versions[..3], [0, 1, 4]);
    let listed = Action::ListVersions { function: reference("f"), after: Some(0), limit: 2 };
    let Done::Functions(listed) = scene.admin(listed).await.unwrap() else { panic!() };
    assert_eq!(listed.iter().map(|version| version.version).collect::<Vec<_>>(), [1, 4]);
}

#[tokio::test]
async fn an_alias_shares_out_calls_and_holds_its_versions() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.draft(&[("f.py", "1")]).await.unwrap();
    freeze(&scene).await.unwrap();
    scene.draft(&[("f.py", "2")]).await.unwrap();
    freeze(&scene).await.unwrap();
    assert_eq!(ran(&scene, called("stable"), Id(1)).await.unwrap_err().code(), Code::VersionNotFound);
    let described = configure(&scene, alias("stable", 1, &[(2, 0.5)]), None).await.unwrap();
    assert_eq!(described.settings.aliases[&name("stable")].version, 1);
    assert_eq!((ran(&scene, called("stable"), Id(1)).await.unwrap(), ran(&scene, called("stable"), Id(u128::MAX)).await.unwrap()), (2, 1));
    for held in [1, 2] {
        assert_eq!(drop_version(&scene, held).await.unwrap_err().code(), Code::Conflict);
    }
    // A change of what somebody else has changed meanwhile is refused.
    let stale = configure(&scene, alias("stable", 2, &[]), Some(described.revision - 1)).await.unwrap_err();
    assert_eq!(stale.code(), Code::Conflict);
    configure(&scene, alias("stable", 2, &[]), Some(described.revision)).await.unwrap();
    assert_eq!(ran(&scene, called("stable"), Id(u128::MAX)).await.unwrap(), 2);
    drop_version(&scene, 1).await.unwrap();
    // All of it is there after a start, and a new draft takes nothing of it away.
    scene.draft(&[("f.py", "3")]).await.unwrap();
    let reloaded = Directory::default();
    reloaded.load(&*scene.store).await.unwrap();
    let entry = reloaded.entry(&reference("f")).unwrap();
    assert_eq!(entry.beside.settings.aliases[&name("stable")].version, 2);
    assert_eq!(ran(&scene, called("stable"), Id(1)).await.unwrap(), 2);
}

#[tokio::test]
async fn what_a_deploy_replaced_or_pushed_out_is_called_by_no_name() {
    let ran = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = ran.clone();
    let engine = ScriptedEngine::new(move |function: Arc<Function>, _, _: Payload| {
        seen.lock().unwrap().push(function.artifact);
        async { Ok(Answer::Reply(Payload::default())) }
    });
    let scene = Scene::new(engine).await;
    let call = async |version: Qualifier| {
        scene.invoker.call(Target::Function { function: reference("f"), version }, scene.event("")).await.map(|reply| reply.version)
    };
    scene.draft(&[("f.py", "1")]).await.unwrap();
    let own = SettingsPatch { deliveries: [(called("stable"), Some(Delivery::default()))].into(), ..alias("stable", 0, &[]) };
    configure(&scene, own, None).await.unwrap();
    call(called("stable")).await.unwrap();
    scene.draft(&[("f.py", "2")]).await.unwrap();
    call(called("stable")).await.unwrap();
    let artifacts = ran.lock().unwrap().clone();
    assert_ne!(artifacts[0], artifacts[1]);
    scene.deploy(&[("f.py", "a")]).await.unwrap();
    scene.deploy(&[("f.py", "b")]).await.unwrap();
    assert_eq!(call(Qualifier::Version(1)).await.unwrap(), 1);
    for content in ["c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        scene.deploy(&[("f.py", content)]).await.unwrap();
    }
    assert_eq!(call(Qualifier::Version(1)).await.unwrap_err().code(), Code::VersionNotFound);
}

#[tokio::test]
async fn reserved_concurrency_lets_nobody_wait() {
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let engine = ScriptedEngine::new(move |_, _, _: Payload| {
        let arrived = arrived.clone();
        async move {
            let (go, gone) = tokio::sync::oneshot::channel::<()>();
            arrived.send(go).unwrap();
            gone.await.unwrap();
            Ok(Answer::Reply(Payload::default()))
        }
    });
    let scene = Arc::new(Scene::new(engine).await);
    scene.draft(&[("f.py", "1")]).await.unwrap();
    let reserve = |calls| SettingsPatch { concurrency_max: Some(calls), ..SettingsPatch::default() };
    configure(&scene, reserve(Some(1)), None).await.unwrap();
    let first = tokio::spawn({
        let scene = scene.clone();
        async move { ran(&scene, Qualifier::Live, Id(1)).await }
    });
    let go = arrivals.recv().await.unwrap();
    assert_eq!(ran(&scene, Qualifier::Live, Id(2)).await.unwrap_err().code(), Code::Throttled);
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), 0);
    configure(&scene, reserve(Some(0)), None).await.unwrap();
    assert_eq!(ran(&scene, Qualifier::Live, Id(3)).await.unwrap_err().code(), Code::Throttled);
    configure(&scene, reserve(None), None).await.unwrap();
    let last = tokio::spawn({
        let scene = scene.clone();
        async move { ran(&scene, Qualifier::Live, Id(4)).await }
    });
    arrivals.recv().await.unwrap().send(()).unwrap();
    last.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_alias_has_a_delivery_of_its_own() {
    let (ran, mut runs) = tokio::sync::mpsc::unbounded_channel();
    let engine = ScriptedEngine::new(move |function, attempt, _: Payload| {
        ran.send((function.version, attempt)).unwrap();
        async { Err(Error::new(Code::FunctionFailed, "no")) }
    });
    let scene = Scene::new(engine).await;
    scene.draft(&[("f.py", "1")]).await.unwrap();
    freeze(&scene).await.unwrap();
    configure(&scene, alias("stable", 1, &[]), None).await.unwrap();
    let once = Delivery { retry: Retry { attempts_max: 1, ..Retry::default() }, ..Delivery::default() };
    let patch = SettingsPatch { deliveries: [(called("stable"), Some(once))].into(), ..SettingsPatch::default() };
    configure(&scene, patch, None).await.unwrap();
    let (_stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    let to = |version| Target::Function { function: reference("f"), version };
    scene.invoker.send(to(called("stable")), scene.event("")).await.unwrap();
    scene.invoker.send(to(called("1")), scene.event("")).await.unwrap();
    let mut seen = [runs.recv().await.unwrap(), runs.recv().await.unwrap()];
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1), (1, 1)]);
    // The other has the version's own: it is tried again.
    loop {
        scene.clock.advance(Duration::from_secs(3600));
        tokio::task::yield_now().await;
        if let Ok(again) = runs.try_recv() {
            assert_eq!(again, (1, 2));
            break;
        }
    }
    let dead = Action::ListDead {
        letters: mote_core::action::Letters { namespace: Name::default_namespace(), to: Default::default(), function: None, ids: None },
        after: None,
        limit: 10,
    };
    let Done::Dead(dead) = scene.admin(dead).await.unwrap() else { panic!() };
    assert_eq!(dead[0].attempts, 1);
}

#[tokio::test]
async fn instances_are_kept_of_whatever_a_name_leads_to() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.draft(&[("f.py", "1")]).await.unwrap();
    freeze(&scene).await.unwrap();
    scene.draft(&[("f.py", "2")]).await.unwrap();
    freeze(&scene).await.unwrap();
    let keep = |name: &str, instances| SettingsPatch { instances_min: [(called(name), instances)].into(), ..SettingsPatch::default() };
    let kept = || -> Vec<String> { scene.engine.diary().into_iter().filter(|line| line.contains(" ready of ")).collect() };
    configure(&scene, alias("stable", 1, &[]), None).await.unwrap();
    configure(&scene, keep("stable", Some(3)), None).await.unwrap();
    assert_eq!(kept(), ["keep 3 ready of f v1"]);
    configure(&scene, alias("stable", 2, &[]), None).await.unwrap();
    assert_eq!(kept()[1..], ["keep 0 ready of f v1", "keep 3 ready of f v2"]);
    // The same again tells nobody, and a start of the server tells all of it.
    configure(&scene, keep("stable", Some(3)), None).await.unwrap();
    assert_eq!(kept().len(), 3);
    scene.house.keep_all_ready().await;
    assert_eq!(kept()[3..], ["keep 3 ready of f v2"]);
    let described = describe(&scene, called("stable")).await.unwrap();
    assert_eq!(described.settings.instances_min, [(called("stable"), 3)].into());
    assert_eq!(described.ready.keys().cloned().collect::<Vec<_>>(), [called("stable")]);
    assert!(described.function.limits.instances_max >= 3);
    let gone = SettingsPatch { aliases: [(name("stable"), None)].into(), ..SettingsPatch::default() };
    configure(&scene, gone, None).await.unwrap();
    assert_eq!(kept()[4..], ["keep 0 ready of f v2"]);
    configure(&scene, keep("2", Some(1)), None).await.unwrap();
    scene.admin(Action::Remove { function: reference("f") }).await.unwrap();
    assert_eq!(kept()[5..], ["keep 1 ready of f v2", "keep 0 ready of f v2"]);
}

#[tokio::test]
async fn what_is_set_for_the_live_version_holds_for_its_name_alone() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.draft(&[("f.py", "1")]).await.unwrap();
    freeze(&scene).await.unwrap();
    configure(&scene, alias("stable", 0, &[]), None).await.unwrap();
    let once = Delivery { retry: Retry { attempts_max: 1, ..Retry::default() }, ..Delivery::default() };
    let set = |delivery| SettingsPatch { deliveries: [(called("$live"), delivery)].into(), ..SettingsPatch::default() };
    configure(&scene, set(Some(once.clone())), None).await.unwrap();
    let own = Delivery::default();
    for (qualifier, delivery) in [("$live", &once), ("stable", &own), ("0", &own), ("1", &own)] {
        let looked_up = scene.invoker.directory.delivery(&reference("f"), &called(qualifier)).unwrap();
        let resolved = scene.invoker.version(reference("f"), called(qualifier)).await.unwrap().delivery.clone();
        assert_eq!((&looked_up, &resolved), (delivery, delivery), "{qualifier}");
    }
    // Taken back, it is the version's own again.
    configure(&scene, set(None), None).await.unwrap();
    assert_eq!(scene.invoker.live(&reference("f")).unwrap().delivery, own);
}

#[tokio::test]
async fn what_something_calls_by_number_is_pushed_out_by_nothing() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    scene.deploy(&[("f.py", "2")]).await.unwrap();
    let bound = Bound {
        id: name("first"),
        namespace: Name::default_namespace(),
        to: Destination::Function(name("f")),
        qualifier: Qualifier::Version(1),
        binding: Binding::http("/first", Vec::new()),
        enabled: true,
        since: Timestamp::default(),
        label: None,
        dialect: None,
        about: Default::default(),
    };
    scene.admin(Action::Bind { bound: Box::new(bound), seen: Seen::Whatever }).await.unwrap();
    let set = SettingsPatch { deliveries: [(called("2"), Some(Delivery::default()))].into(), ..SettingsPatch::default() };
    configure(&scene, set, None).await.unwrap();
    for content in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        scene.deploy(&[("f.py", content)]).await.unwrap();
    }
    assert_eq!(ran(&scene, called("1"), Id(1)).await.unwrap(), 1);
    assert_eq!(ran(&scene, called("2"), Id(1)).await.unwrap_err().code(), Code::VersionNotFound);
    // Nor does anything stay of the one that went.
    let reloaded = Directory::default();
    reloaded.load(&*scene.store).await.unwrap();
    assert!(reloaded.entry(&reference("f")).unwrap().beside.settings.deliveries.is_empty());
}
