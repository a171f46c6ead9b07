//! A call by name and by route: resolve, run, decode, and what each failure becomes.

use std::sync::Arc;

use mote_core::action::{Qualifier, Target};
use mote_core::dialect::{Dialect, Parsed, Stamp};
use mote_core::engine::{Answer, Failure};
use mote_core::error::{Code, Report};
use mote_core::event::Event;
use mote_core::function::{Binding, Name};
use mote_core::invoke::Invoke;
use mote_testkit::{EchoDialect, ScriptedEngine};

use crate::house::{Scene, live, reference};

fn request(scene: &Scene, method: &str, uri: &str) -> Event {
    use mote_core::clock::Clock;
    let request = http::Request::builder().method(method).uri(uri).body("body".into()).unwrap();
    let stamp = Stamp { id: scene.clock.id(), time: scene.clock.now(), peer: String::new(), origin: String::new() };
    match EchoDialect.parse(request, &stamp).unwrap() {
        Parsed::Action(_, mote_core::action::Action::Call { event, .. }) => event,
        _ => panic!("the echo dialect takes every request as a call"),
    }
}

fn route() -> Target {
    Target::Route { namespace: Name::default_namespace() }
}

#[tokio::test]
async fn a_call_runs_the_live_version() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.install("echo", |_| {});
    let reply = scene.invoker.call(live("echo"), scene.event("hello")).await.unwrap();
    assert_eq!(reply.body.collect(100).await.unwrap(), "hello");
    assert_eq!(scene.engine.diary(), ["run echo v1"]);
}

#[tokio::test]
async fn an_unknown_name_is_the_callers_fault() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.install("echo", |_| {});
    let error = scene.invoker.call(live("ecko"), scene.event("")).await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionNotFound);
    let pinned = Target::Function { function: reference("echo"), version: Qualifier::Version(9) };
    let error = scene.invoker.call(pinned, scene.event("")).await.unwrap_err();
    assert_eq!(error.code(), Code::VersionNotFound);
    assert!(scene.engine.diary().is_empty());
}

#[tokio::test]
async fn routes_go_before_function_urls_and_know_their_methods() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let on = |path: &str, methods: &[&str]| Binding::http(path, methods.iter().map(|m| m.to_string()).collect());
    scene.install("order", |f| f.bindings = vec![on("/orders/{id}", &["GET", "PUT"])]);
    scene.install("orders", |f| f.bindings = vec![on("/orders/{id}", &["DELETE"])]);
    scene.install("hidden", |f| f.http.url = false);
    let call = async |method: &str, uri: &str| scene.invoker.call(route(), request(&scene, method, uri)).await;

    call("GET", "/orders/7").await.unwrap();
    call("DELETE", "/orders/7").await.unwrap();
    call("HEAD", "/orders/7").await.unwrap();
    call("GET", "/order").await.unwrap();
    call("GET", "/order/with/a/rest?x=1").await.unwrap();
    assert_eq!(scene.engine.diary(), ["run order v1", "run orders v1", "run order v1", "run order v1", "run order v1"]);

    let mut preflight = request(&scene, "OPTIONS", "/orders/7");
    Arc::make_mut(preflight.request.as_mut().unwrap()).headers.insert("access-control-request-method", "DELETE".parse().unwrap());
    scene.invoker.call(route(), preflight).await.unwrap();
    assert_eq!(scene.engine.diary().last().unwrap(), "run orders v1");

    let error = call("PATCH", "/orders/7").await.unwrap_err();
    assert_eq!((error.code(), error.headers()["allow"].to_str().unwrap()), (Code::MethodNotAllowed, "GET, PUT, DELETE"));
    for uri in ["/hidden", "/nobody", "/", "/@other/order", "/@default"] {
        assert_eq!(call("GET", uri).await.unwrap_err().code(), Code::FunctionNotFound, "{uri}");
    }
    call("GET", "/@default/order").await.unwrap();
}

#[tokio::test]
async fn a_call_knows_how_much_of_its_path_only_led_there() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.install("order", |f| f.bindings = vec![Binding::http("/orders/{id}", Vec::new())]);
    let check = |uri: &str, mount: &str| {
        let mut event = request(&scene, "GET", uri);
        scene.invoker.directory.resolve(&route(), &mut event).unwrap();
        let request = event.request.unwrap();
        assert_eq!(&request.path[..request.mount], mount, "{uri}");
    };
    check("/orders/7", "");
    check("/@default/orders/7", "/@default");
    check("/order", "/order");
    check("/order/", "/order");
    check("/order/a/order", "/order");
    check("//order/a", "//order");
    check("/@default/order/a", "/@default/order");
}

#[tokio::test]
async fn a_route_has_one_owner_per_method() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let on = |path: &str, methods: &[&str]| Binding::http(path, methods.iter().map(|m| m.to_string()).collect());
    scene.install("get", |f| f.bindings = vec![on("/orders/{id}", &["GET"])]);
    let owner = scene.invoker.directory.entry(&reference("get")).unwrap().function;
    let check = |path: &str, methods: &[&str], expect: Option<Code>| {
        let other = mote_core::function::Function { name: "other".parse().unwrap(), bindings: vec![on(path, methods)], ..(*owner).clone() };
        assert_eq!(scene.invoker.directory.check_routes(&[&other]).err().map(|e| e.code()), expect, "{path} {methods:?}");
    };
    check("/orders/{id}", &["PUT"], None);
    check("/orders/{id}", &["PUT", "GET"], Some(Code::Conflict));
    check("/orders/{id}", &[], Some(Code::Conflict));
    check("/orders/{number}", &["PUT"], Some(Code::Conflict));
    check("/orders/new", &["GET"], None);
    check("/orders/{", &["GET"], Some(Code::ManifestInvalid));
    assert!(scene.invoker.directory.check_routes(&[&owner]).is_ok());
}

#[tokio::test]
async fn a_functions_words_reach_the_log_and_no_remote_caller() {
    let failing = |_, _, _| async {
        let report = Report { kind: "ValueError".into(), message: "the secret is 7".into(), trace: "line 1".into(), ..Report::default() };
        Ok(Answer::Failed(Failure { code: String::new(), report }))
    };
    let scene = Scene::new(ScriptedEngine::new(failing)).await;
    scene.install("remote", |_| {});
    scene.install("local", |f| f.dev = true);

    let error = scene.invoker.call(live("remote"), scene.event("")).await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionFailed);
    assert!(error.report().is_none() && !error.detail().contains("secret"));
    let line = scene.store.lines().pop().unwrap();
    assert!(line.text.contains("ValueError: the secret is 7") && line.text.contains("line 1"), "{}", line.text);

    let error = scene.invoker.call(live("local"), scene.event("")).await.unwrap_err();
    assert_eq!(error.report().unwrap().message, "the secret is 7");
}
