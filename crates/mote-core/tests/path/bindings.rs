//! Bindings beside those of versions: made, changed, found after a start, and gone with their function.

use std::sync::Arc;

use mote_core::action::{Action, Done, Qualifier, SettingsPatch, Target};
use mote_core::clock::Timestamp;
use mote_core::directory::Directory;
use mote_core::error::{Code, Result};
use mote_core::event::{Event, HttpRequest};
use mote_core::function::delivery::Destination;
use mote_core::function::{Alias, Binding, Bound, Name, ObjectChange, Seen};
use mote_core::invoke::Invoke;
use mote_core::store::{Catalog, Write};
use mote_testkit::ScriptedEngine;

use crate::house::{Scene, reference};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn bound(id: &str, binding: Binding) -> Bound {
    Bound {
        id: name(id),
        namespace: Name::default_namespace(),
        to: Destination::Function(name("f")),
        qualifier: Qualifier::Live,
        binding,
        enabled: true,
        since: Timestamp::default(),
        label: None,
        dialect: None,
        about: Default::default(),
    }
}

fn route(id: &str, path: &str) -> Bound {
    bound(id, Binding::http(path, Vec::new()))
}

fn photos(id: &str) -> Bound {
    let events = vec![ObjectChange::Created];
    bound(id, Binding::Bucket { bucket: "photos".into(), events, prefix: String::new(), suffix: ".jpg".into(), retry: None })
}

async fn bind(scene: &Scene, bound: Bound) -> Result<Done> {
    scene.admin(Action::Bind { bound: Box::new(bound), seen: Seen::Whatever }).await
}

async fn unbind(scene: &Scene, id: &str) -> Result<Done> {
    scene.admin(Action::Unbind { namespace: Name::default_namespace(), id: name(id) }).await
}

async fn listed(scene: &Scene, after: Option<&str>, limit: usize) -> Vec<String> {
    let action =
        Action::ListBound { namespace: Name::default_namespace(), function: Some(name("f")), after: after.map(str::to_owned), limit };
    let Done::Bound(all) = scene.admin(action).await.unwrap() else { panic!() };
    all.iter().map(|bound| bound.id.to_string()).collect()
}

/// The version that a request for this path reaches.
async fn reached(scene: &Scene, path: &str) -> Result<u64> {
    let mut event: Event = scene.event("");
    event.request = Some(Arc::new(HttpRequest {
        method: http::Method::GET,
        origin: String::new(),
        path: path.into(),
        mount: 0,
        route: None,
        query: String::new(),
        headers: Default::default(),
        params: Vec::new(),
        peer: String::new(),
    }));
    let reply = scene.invoker.call(Target::Route { namespace: Name::default_namespace() }, event).await?;
    Ok(reply.version)
}

#[tokio::test]
async fn who_has_seen_another_binding_changes_none() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    let bind = async |bound: Bound, seen: Seen| match scene.admin(Action::Bind { bound: Box::new(bound), seen }).await {
        Ok(Done::Bound(made)) => Ok(made[0].clone()),
        Ok(_) => panic!("a binding is told"),
        Err(error) => Err(error.code()),
    };
    let first = bind(route("a", "/a"), Seen::Nothing).await.unwrap();
    // Two that both found none.
    assert_eq!(bind(route("a", "/b"), Seen::Nothing).await, Err(Code::Conflict));
    let off = |bound: &Bound| Bound { enabled: false, ..bound.clone() };
    let second = bind(off(&first), Seen::This(first.clone())).await.unwrap();
    // And two that both found the first.
    assert_eq!(bind(route("a", "/b"), Seen::This(first)).await, Err(Code::Conflict));
    unbind(&scene, "a").await.unwrap();
    assert_eq!(bind(off(&second), Seen::This(second.clone())).await, Err(Code::Conflict));
    assert!(listed(&scene, None, 9).await.is_empty());
    bind(off(&second), Seen::Whatever).await.unwrap();
}

#[tokio::test]
async fn a_binding_comes_changes_and_goes_by_itself() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    assert_eq!(bind(&scene, photos("a")).await.err().unwrap().code(), Code::FunctionNotFound);
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    let wanted =
        |scene: &Scene, key: &str| scene.invoker.directory.bound_to(&Name::default_namespace(), "photos", key, ObjectChange::Created).len();
    for id in ["a", "b", "c"] {
        bind(&scene, photos(id)).await.unwrap();
    }
    // The same function hears of the same object once.
    assert_eq!((wanted(&scene, "x.jpg"), wanted(&scene, "x.png")), (1, 0));
    assert_eq!(
        (listed(&scene, None, 2).await, listed(&scene, Some("b"), 2).await),
        (vec!["a".to_owned(), "b".into()], vec!["c".to_owned()])
    );
    for id in ["a", "b"] {
        unbind(&scene, id).await.unwrap();
    }
    assert_eq!(unbind(&scene, "a").await.err().unwrap().code(), Code::BindingNotFound);
    let off = Bound { enabled: false, ..photos("c") };
    bind(&scene, off).await.unwrap();
    assert_eq!((wanted(&scene, "x.jpg"), listed(&scene, None, 9).await), (0, vec!["c".to_owned()]));
    bind(&scene, photos("c")).await.unwrap();
    // It is there after a start, and a record that can't be read keeps no other from being served.
    let broken = Write::Put { key: "bindings/default/broken".into(), expect: 0, value: "{".into() };
    scene.store.commit(vec![broken]).await.unwrap();
    let reloaded = Directory::default();
    reloaded.load(&*scene.store).await.unwrap();
    assert_eq!(reloaded.bound_to(&Name::default_namespace(), "photos", "x.jpg", ObjectChange::Created).len(), 1);
    // A deploy leaves it, and it goes with its function.
    scene.deploy(&[("f.py", "2")]).await.unwrap();
    assert_eq!(wanted(&scene, "x.jpg"), 1);
    scene.admin(Action::Remove { function: reference("f") }).await.unwrap();
    assert_eq!(wanted(&scene, "x.jpg"), 0);
    assert!(scene.store.get(&Bound::key(&Name::default_namespace(), &name("c"))).await.unwrap().is_none());
}

#[tokio::test]
async fn a_route_beside_versions_meets_no_other_and_calls_what_it_names() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.draft(&[("f.py", "1")]).await.unwrap();
    scene.deploy(&[("g.py", "/orders")]).await.unwrap();
    assert_eq!(bind(&scene, route("a", "/orders")).await.err().unwrap().code(), Code::Conflict);
    bind(&scene, route("a", "/photos")).await.unwrap();
    assert_eq!(scene.deploy(&[("g.py", "/photos")]).await.unwrap_err().code(), Code::Conflict);
    assert_eq!(reached(&scene, "/photos").await.unwrap(), 0);
    // An alias has to be there, and is looked up at each call.
    let stable = |qualifier| Bound { qualifier, ..route("a", "/photos") };
    let alias = Qualifier::Alias(name("stable"));
    assert_eq!(bind(&scene, stable(alias.clone())).await.err().unwrap().code(), Code::VersionNotFound);
    scene.admin(Action::Freeze { function: reference("f"), about: Default::default(), expect: None }).await.unwrap();
    let lead =
        SettingsPatch { aliases: [(name("stable"), Some(Alias { version: 1, ..Alias::default() }))].into(), ..SettingsPatch::default() };
    scene.admin(Action::Configure { function: reference("f"), patch: Box::new(lead), expect: None }).await.unwrap();
    bind(&scene, stable(alias)).await.unwrap();
    assert_eq!(reached(&scene, "/photos").await.unwrap(), 1);
    unbind(&scene, "a").await.unwrap();
    assert_eq!(reached(&scene, "/photos").await.unwrap_err().code(), Code::FunctionNotFound);
}

#[tokio::test]
async fn doors_hear_of_a_new_version_that_something_beside_it_calls() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    let mut changes = scene.invoker.directory.changes();
    scene.deploy(&[("f.py", "2")]).await.unwrap();
    assert!(!changes.has_changed().unwrap(), "nothing calls it");
    bind(&scene, photos("a")).await.unwrap();
    changes.mark_unchanged();
    scene.deploy(&[("f.py", "3")]).await.unwrap();
    assert!(changes.has_changed().unwrap());
}
