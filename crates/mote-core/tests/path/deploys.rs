//! Deploy, rollback and removal: what is stored, what is live, what an error leaves behind.

use std::sync::Arc;

use mote_core::action::{Action, Deploy, DeployWish, Done, Expect, Files, Number, Qualifier};
use mote_core::bundle::Bundle;
use mote_core::dialect::{Deployment, Dialect as _};
use mote_core::directory::{Directory, Head};
use mote_core::error::Code;
use mote_core::function::{Family, Name};
use mote_core::invoke::Invoke;
use mote_core::store::{Catalog, Write};
use mote_testkit::{EchoDialect, ScriptedEngine};

use crate::house::{Scene, live, reference};

async fn live_version(scene: &Scene) -> u64 {
    let entry = scene.invoker.directory.entry(&reference("f")).unwrap();
    let reloaded = Directory::default();
    reloaded.load(&*scene.store).await.unwrap();
    let stored = reloaded.entry(&reference("f")).unwrap();
    assert_eq!(entry.function, stored.function, "memory and disk differ");
    entry.function.version
}

#[tokio::test]
async fn a_deploy_warms_flips_and_drains() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let first = scene.deploy(&[("f.py", "1")]).await.unwrap();
    assert_eq!((first[0].version, first[0].path.as_deref()), (1, Some("/f")));
    scene.invoker.call(live("f"), scene.event("")).await.unwrap();
    scene.deploy(&[("f.py", "2")]).await.unwrap();
    assert_eq!(live_version(&scene).await, 2);
    assert_eq!(scene.engine.diary(), ["prepare f v1", "run f v1", "prepare f v2", "retire f v1"]);
}

#[tokio::test]
async fn a_configuration_goes_live_over_the_files_that_are_there() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let mut bundle = Bundle::default();
    bundle.insert("f.py", "1", false).unwrap();
    let mut declared = EchoDialect.manifest(&bundle, &Default::default()).unwrap().unwrap().functions.remove(0);
    declared.limits.timeout_ms = 7;
    let change = async |declared: &Deployment| {
        let wish = DeployWish { namespace: Name::default_namespace(), name: None, default_name: None, dev: false };
        let deploy = Deploy {
            wish,
            files: Files::AsTheyAre,
            declared: Some(declared.clone().into()),
            number: Number::Next,
            layers: Vec::new(),
            expect: Expect::Anything,
        };
        scene.admin(Action::Deploy(Box::new(deploy))).await?.whole().await
    };
    assert_eq!(change(&declared).await.err().unwrap().code(), Code::FunctionNotFound);
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    let first = scene.invoker.live(&reference("f")).unwrap();
    change(&declared).await.unwrap();
    let second = scene.invoker.live(&reference("f")).unwrap();
    assert_eq!((second.version, second.limits.timeout_ms, second.artifact), (2, 7, first.artifact));
    assert_eq!(scene.engine.diary(), ["prepare f v1", "retire f v1"]);
    // Files of another runtime's are other files; and nothing is forgotten that is still in use.
    declared.runtime = Family::Node.into();
    assert_eq!(change(&declared).await.err().unwrap().code(), Code::Unsupported);
    declared.runtime = Family::Python.into();
    scene.store.faults.fail_writes(1);
    assert_eq!(change(&declared).await.err().unwrap().code(), Code::StorageFull);
    assert!(!scene.engine.diary().contains(&"forget".to_owned()), "{:?}", scene.engine.diary());
    scene.invoker.call(live("f"), scene.event("")).await.unwrap();
}

#[tokio::test]
async fn what_is_declared_comes_with_the_functions_or_not_at_all() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let files = [("f.py", "1"), ("photos.bucket", ""), ("jobs.queue", r#"{"dead_letters":{"queue":"old-jobs","receives_max":3}}"#)];
    let queues = || scene.invoker.queues.list(&Name::default_namespace(), None, 10);
    let before = scene.store.keys();
    // Its dead letters have nowhere to go.
    let refused = scene.deploy(&files).await.err().unwrap();
    assert_eq!((refused.code(), scene.engine.diary().len(), scene.store.keys()), (Code::QueueNotFound, 0, before.clone()));
    let files = [&files[..], &[("old-jobs.queue", "{}")]].concat();
    scene.store.faults.fail_writes(1);
    assert_eq!(scene.deploy(&files).await.err().unwrap().code(), Code::StorageFull);
    assert_eq!((scene.store.buckets().len(), queues().len(), scene.store.keys()), (0, 0, before));
    scene.deploy(&files).await.unwrap();
    assert_eq!((scene.store.buckets(), queues().len()), (vec!["photos".to_owned()], 2));
    // The same again, and a queue that can't become what is wanted.
    scene.deploy(&files).await.unwrap();
    let other = [&files[..], &[("g.py", "1"), ("jobs.queue", r#"{"fifo":true}"#)]].concat();
    let other: Vec<_> = other.into_iter().filter(|(path, text)| *path != "jobs.queue" || text.contains("fifo")).collect();
    assert_eq!(scene.deploy(&other).await.err().unwrap().code(), Code::Conflict);
    assert_eq!(
        (scene.invoker.directory.entry(&reference("g")).err().unwrap().code(), live_version(&scene).await),
        (Code::FunctionNotFound, 2)
    );
}

#[tokio::test]
async fn functions_of_one_bundle_have_files_of_their_own() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.deploy(&[("f.py", "1"), ("g.py", "1"), ("g/a.txt", "2"), ("h.py", "1")]).await.unwrap();
    let artifact = |name: &str| scene.invoker.live(&reference(name)).unwrap().artifact;
    assert!(artifact("f") == artifact("h") && artifact("f") != artifact("g"));
    let mut alone = Bundle::default();
    alone.insert("a.txt", "2", false).unwrap();
    assert_eq!(artifact("g"), alone.digest());
}

#[tokio::test]
async fn who_decides_by_what_he_saw_changes_nothing_that_has_changed_since() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let mut bundle = Bundle::default();
    bundle.insert("f.py", "1", false).unwrap();
    let declared = EchoDialect.manifest(&bundle, &Default::default()).unwrap().unwrap().functions.remove(0);
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    let seen = scene.invoker.live(&reference("f")).unwrap().id;
    let change = async |expect: Expect| {
        let wish = DeployWish { namespace: Name::default_namespace(), name: None, default_name: None, dev: false };
        let declared = Some(declared.clone().into());
        let deploy = Deploy { wish, files: Files::AsTheyAre, declared, number: Number::Draft, layers: Vec::new(), expect };
        scene.admin(Action::Deploy(Box::new(deploy))).await?.whole().await.map(drop)
    };
    assert_eq!(change(Expect::Nothing).await.err().unwrap().code(), Code::Conflict);
    // Of two at one moment the second one is told.
    let (one, other) = tokio::join!(change(Expect::Live(seen)), change(Expect::Live(seen)));
    let codes = [one, other].map(|changed| changed.err().map(|error| error.code()));
    assert!(codes.contains(&None) && codes.contains(&Some(Code::Conflict)), "{codes:?}");
    change(Expect::Anything).await.unwrap();
}

#[tokio::test]
async fn a_function_that_cannot_be_read_keeps_no_other_from_being_served() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    scene.deploy(&[("g.py", "1")]).await.unwrap();
    let before = scene.store.keys();
    scene.deploy(&[("old.py", "1")]).await.unwrap();
    // As a server wrote it whose flows had conditions of another kind.
    for key in [Head::key(&reference("old")), Head::version_key(&reference("old"), 1)] {
        let record = scene.store.get(&key).await.unwrap().unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        let arms = serde_json::json!([{"when": {"path": "$.a", "is": 1}, "steps": []}]);
        let flow = serde_json::json!({"steps": [{"name": "b", "branch": {"arms": arms}}]});
        let function = if value.get("live").is_some() { &mut value["live"] } else { &mut value };
        function["flow"] = flow;
        let put = Write::Put { key, expect: record.revision, value: value.to_string().into() };
        scene.store.commit(vec![put]).await.unwrap();
    }
    let directory = Directory::default();
    assert_eq!(directory.load(&*scene.store).await.unwrap(), 2);
    assert!(directory.entry(&reference("f")).is_ok() && directory.entry(&reference("g")).is_ok());
    // A deploy says what to do, and that can be done.
    scene.invoker.directory.remove(&reference("old"));
    let error = scene.deploy(&[("old.py", "2")]).await.unwrap_err();
    assert!(error.hint_text().unwrap_or_default().contains("remove the function"), "{error:?}");
    scene.admin(Action::Remove { function: reference("old") }).await.unwrap();
    assert_eq!(scene.store.keys(), before);
    scene.deploy(&[("old.py", "2")]).await.unwrap();
}

#[tokio::test]
async fn a_refused_deploy_changes_nothing() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    let before = scene.store.keys();
    assert_eq!(scene.deploy(&[("readme", "no function")]).await.unwrap_err().code(), Code::ManifestInvalid);
    scene.store.faults.fail_writes(1);
    assert_eq!(scene.deploy(&[("f.py", "2")]).await.unwrap_err().code(), Code::StorageFull);
    assert_eq!((scene.store.keys(), live_version(&scene).await), (before, 1));
    // The instance that was warmed for the version that never was is ended, its artifact forgotten.
    assert_eq!(scene.engine.diary()[1..], ["prepare f v2", "retire f v2", "forget"]);
}

#[tokio::test]
async fn rollback_goes_back_and_forth() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    let point = |version| Action::Point { function: reference("f"), version };
    assert_eq!(scene.admin(point(None)).await.err().unwrap().code(), Code::VersionNotFound);
    scene.deploy(&[("f.py", "2")]).await.unwrap();
    scene.admin(point(None)).await.unwrap();
    assert_eq!(live_version(&scene).await, 1);
    scene.admin(point(None)).await.unwrap();
    assert_eq!(live_version(&scene).await, 2);
    scene.admin(point(Some(1))).await.unwrap();
    assert_eq!(live_version(&scene).await, 1);
    assert_eq!(scene.admin(point(Some(3))).await.err().unwrap().code(), Code::VersionNotFound);
    // A deploy after a rollback takes a number that was never given.
    assert_eq!(scene.deploy(&[("f.py", "3")]).await.unwrap()[0].version, 3);
}

#[tokio::test]
async fn a_version_that_goes_live_again_is_not_the_retired_one() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let id = || scene.invoker.directory.entry(&reference("f")).unwrap().function.id;
    let point = |version| scene.admin(Action::Point { function: reference("f"), version: Some(version) });
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    let first = id();
    scene.deploy(&[("f.py", "2")]).await.unwrap();
    point(1).await.unwrap();
    let again = id();
    assert_ne!(again, first);
    // What is live already stays as it is, with its instances.
    point(1).await.unwrap();
    assert_eq!((id(), live_version(&scene).await), (again, 1));
}

#[tokio::test]
async fn ten_versions_are_kept_and_unused_artifacts_forgotten() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    for content in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        scene.deploy(&[("f.py", content)]).await.unwrap();
    }
    let Done::Function(description) = scene.admin(Action::Describe { function: reference("f"), version: Qualifier::Live }).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(description.versions, (3..=12).collect::<Vec<_>>());
    assert_eq!(scene.engine.diary().iter().filter(|line| *line == "forget").count(), 2);
}

#[tokio::test]
async fn removal_leaves_no_record() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let before = scene.store.keys();
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    scene.deploy(&[("f.py", "2")]).await.unwrap();
    scene.admin(Action::Remove { function: reference("f") }).await.unwrap();
    assert_eq!(scene.store.keys(), before);
    assert_eq!(scene.invoker.call(live("f"), scene.event("")).await.unwrap_err().code(), Code::FunctionNotFound);
    assert_eq!(scene.admin(Action::Remove { function: reference("f") }).await.err().unwrap().code(), Code::FunctionNotFound);
}

#[tokio::test]
async fn a_start_keeps_what_stored_versions_refer_to() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    for (name, content) in [("f", "1"), ("f", "2"), ("g", "2")] {
        scene.deploy_as(Some(name), &[("f.py", content)]).await.unwrap();
    }
    scene.house.forget_orphans().await;
    assert_eq!(scene.engine.diary().last().unwrap(), "keep only 2");
    // What can't be read is no reason to delete anything.
    let key = "artifacts/unreadable/default/f/1".to_owned();
    scene.store.commit(vec![Write::Put { key, expect: 0, value: Default::default() }]).await.unwrap();
    scene.house.forget_orphans().await;
    assert_eq!(scene.engine.diary().iter().filter(|line| line.starts_with("keep only")).count(), 1);
}

#[tokio::test]
async fn deploys_of_one_function_take_turns() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let (a, b) = tokio::join!(scene.deploy(&[("f.py", "1")]), scene.deploy(&[("f.py", "2")]));
    let mut versions = [a.unwrap()[0].version, b.unwrap()[0].version];
    versions.sort();
    assert_eq!(versions, [1, 2]);
    assert_eq!(live_version(&scene).await, 2);
}

#[tokio::test]
async fn an_artifact_is_kept_for_a_deploy_that_found_it() {
    for fails in [0, 1] {
        let scene = Arc::new(Scene::new(ScriptedEngine::echo()).await);
        scene.deploy(&[("f.py", "same")]).await.unwrap();
        let held = scene.engine.building.lock().await;
        let deploying = tokio::spawn({
            let scene = scene.clone();
            async move { scene.deploy_as(Some("g"), &[("f.py", "same")]).await }
        });
        scene.engine.wrote("prepare g v1").await;
        // The last stored version with that artifact goes, while the other is about to have it.
        scene.admin(Action::Remove { function: reference("f") }).await.unwrap();
        scene.store.faults.fail_writes(fails);
        drop(held);
        assert_eq!(deploying.await.unwrap().is_err(), fails == 1);
        let forgotten = scene.engine.diary().iter().filter(|line| *line == "forget").count();
        assert_eq!(forgotten as u32, fails, "{:?}", scene.engine.diary());
    }
}

#[tokio::test]
async fn two_deploys_do_not_take_the_same_route() {
    let scene = Arc::new(Scene::new(ScriptedEngine::echo()).await);
    let held = scene.engine.building.lock().await;
    let deploy = |file: &'static str| {
        let scene = scene.clone();
        tokio::spawn(async move { scene.deploy(&[(file, "/route")]).await })
    };
    let (a, b) = (deploy("a.py"), deploy("b.py"));
    scene.engine.wrote("prepare a v1").await;
    scene.engine.wrote("prepare b v1").await;
    drop(held);
    let codes = [a.await.unwrap(), b.await.unwrap()].map(|outcome| outcome.err().map(|error| error.code()));
    assert!(codes == [None, Some(Code::Conflict)] || codes == [Some(Code::Conflict), None], "{codes:?}");
    assert_eq!(scene.invoker.directory.count(None), 1);
}

#[tokio::test]
async fn the_routes_of_a_bundle_are_judged_together() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let clash = scene.deploy(&[("a.py", "/{x}"), ("b.py", "/{y}")]).await.unwrap_err();
    assert_eq!((clash.code(), scene.engine.diary().len()), (Code::Conflict, 0));
    scene.deploy(&[("a.py", "/1"), ("b.py", "/2")]).await.unwrap();
    // Each takes what the other gives up.
    scene.deploy(&[("a.py", "/2"), ("b.py", "/1")]).await.unwrap();
}

#[tokio::test]
async fn a_change_ends_though_the_caller_went_away() {
    let scene = Arc::new(Scene::new(ScriptedEngine::echo()).await);
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    scene.deploy(&[("f.py", "2")]).await.unwrap();
    let stored = async || scene.store.get(&Head::key(&reference("f"))).await.unwrap().map(|head| Head::read(&head).unwrap().live.version);
    let served = || scene.invoker.directory.entry(&reference("f")).ok().map(|entry| entry.function.version);
    let back = Action::Point { function: reference("f"), version: None };
    for (action, wanted) in [(back, Some(1)), (Action::Remove { function: reference("f") }, None)] {
        let held = scene.store.answering.lock().await;
        let changing = tokio::spawn({
            let scene = scene.clone();
            async move { scene.admin(action).await.map(drop) }
        });
        while stored().await != wanted {
            tokio::task::yield_now().await;
        }
        changing.abort();
        assert!(changing.await.unwrap_err().is_cancelled());
        drop(held);
        while served() != wanted {
            tokio::task::yield_now().await;
        }
    }
}

/// The collector must not strand what the live version, or a rollback, still leads to.
#[tokio::test]
async fn collection_spares_what_is_live_and_what_a_rollback_leads_to() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    for content in ["a", "b", "c"] {
        scene.deploy(&[("f.py", content)]).await.unwrap();
    }
    scene.admin(Action::Point { function: reference("f"), version: Some(1) }).await.unwrap();
    // The oldest of all is live; a deploy that is one too many collects another one.
    for content in ["d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"] {
        scene.deploy(&[("f.py", content)]).await.unwrap();
        scene.admin(Action::Point { function: reference("f"), version: Some(1) }).await.unwrap();
        scene.house.forget_orphans().await;
    }
    assert_eq!(live_version(&scene).await, 1);
    scene.invoker.call(live("f"), scene.event("")).await.unwrap();
    scene.deploy(&[("f.py", "o")]).await.unwrap();
    scene.house.forget_orphans().await;
    scene.admin(Action::Point { function: reference("f"), version: None }).await.unwrap();
    assert_eq!(live_version(&scene).await, 1);
    assert_eq!(scene.engine.diary().iter().filter(|line| *line == "forget").count(), 5, "{:?}", scene.engine.diary());
}
