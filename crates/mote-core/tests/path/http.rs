//! What a route says beside its path, and what of a reply is read before it goes out.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use mote_core::action::{Action, Target};
use mote_core::body::Body;
use mote_core::clock::Clock;
use mote_core::engine::{Answer, Failure, Payload};
use mote_core::error::{Code, Error, Result};
use mote_core::event::{Event, HttpRequest};
use mote_core::function::delivery::Destination;
use mote_core::function::{Binding, Bound, Cors, HttpRoute, Name, Qualifier, Seen, UrlAccess};
use mote_core::invoke::Invoke;
use mote_core::store::CallEnd;
use mote_testkit::ScriptedEngine;
use serde_json::json;

use crate::house::{Scene, live};

fn asked(scene: &Scene, path: &str) -> Event {
    let mut event = scene.event("body");
    event.request = Some(Arc::new(HttpRequest { method: Method::GET, path: path.into(), ..Default::default() }));
    event
}

fn to() -> Target {
    Target::Route { namespace: Name::default_namespace() }
}

fn route(path: &str) -> HttpRoute {
    HttpRoute::new(path, Vec::new())
}

async fn bind(scene: &Scene, id: &str, route: HttpRoute) -> Result<()> {
    let bound = Bound {
        id: id.parse().unwrap(),
        namespace: Name::default_namespace(),
        to: Destination::Function("f".parse().unwrap()),
        qualifier: Qualifier::Live,
        binding: Binding::Http(Arc::new(route)),
        enabled: true,
        since: Default::default(),
        label: None,
        dialect: None,
        about: Default::default(),
    };
    scene.admin(Action::Bind { bound: Box::new(bound), seen: Seen::Whatever }).await.map(drop)
}

#[tokio::test]
async fn a_route_takes_what_lies_below_it_and_only_leads_there() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.deploy(&[("f.py", "1"), ("g.py", "/urls/b/")]).await.unwrap();
    bind(&scene, "a", HttpRoute { below: true, ..route("/urls/a") }).await.unwrap();
    let seen = |path: &str| {
        let mut event = asked(&scene, path);
        let found = scene.invoker.directory.resolve(&to(), &mut event).map(|entry| entry.bound.is_some());
        let request = event.request.unwrap();
        let route = request.route.as_ref().map(|route| route.path.clone());
        (found.unwrap_or(false), request.path[request.mount..].to_owned(), request.params.len(), route)
    };
    let below = |rest: &str| (true, rest.to_owned(), 0, Some("/urls/a".to_owned()));
    assert_eq!(seen("/urls/a"), below(""));
    assert_eq!(seen("/urls/a/"), below("/"));
    assert_eq!(seen("/urls/a/x/y%20z"), below("/x/y%20z"));
    assert_eq!(seen("/@default/urls/a/x"), below("/x"));
    assert!(!seen("/urls/ab").0);
    // Another's path lies in the way, whichever of the two it is.
    assert_eq!(bind(&scene, "b", HttpRoute { below: true, ..route("/urls/b") }).await.unwrap_err().code(), Code::Conflict);
    for wrong in ["/urls/{id}", "/urls/"] {
        assert_eq!(
            bind(&scene, "c", HttpRoute { below: true, ..route(wrong) }).await.unwrap_err().code(),
            Code::ManifestInvalid,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_route_may_say_who_may_and_what_pages_may_do() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    let cors = Cors { origins: vec!["https://page.example".into()], ..Cors::default() };
    bind(&scene, "a", HttpRoute { access: Some(UrlAccess::Token), ..route("/closed") }).await.unwrap();
    bind(&scene, "b", HttpRoute { cors: Some(cors), ..route("/paged") }).await.unwrap();
    let call = async |path: &str| scene.invoker.call(to(), asked(&scene, path)).await;
    let origin = |headers: &http::HeaderMap| headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(call("/closed").await.unwrap_err().code(), Code::CredentialMissing);
    assert_eq!(origin(&call("/f").await.unwrap().headers), None);
    assert_eq!(origin(&call("/paged").await.unwrap().headers).as_deref(), Some("https://page.example"));
}

#[tokio::test]
async fn a_failure_is_told_in_the_contracts_words_and_recorded_as_one() {
    let scene = Scene::new(ScriptedEngine::new(|_, _, _| async { Ok(Answer::Failed(Failure::default())) })).await;
    let told = HttpRoute { about: json!({ "failed": "went wrong" }).as_object().unwrap().clone(), ..route("/told") };
    scene.install("f", |f| f.bindings = vec![Binding::Http(Arc::new(told)), Binding::http("/plain", Vec::new())]);
    let reply = scene.invoker.call(to(), asked(&scene, "/told")).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.version), (502, 1));
    assert_eq!(reply.body.collect(100).await.unwrap(), "went wrong");
    assert!(matches!(&scene.store.calls()[0].end, CallEnd::Failed { code, .. } if code == "function-failed"));
    assert_eq!(scene.invoker.call(to(), asked(&scene, "/plain")).await.unwrap_err().code(), Code::FunctionFailed);
    // Nor is it an answer where the request was accepted for later: it would count as done.
    let mut later = asked(&scene, "/told");
    later.lineage.accepted = Some(scene.clock.now());
    assert_eq!(scene.invoker.attempt(to(), later, 2).await.unwrap_err().code(), Code::FunctionFailed);
    // Who did not ask over HTTP hears of it as ever.
    assert_eq!(scene.invoker.call(live("f"), scene.event("")).await.unwrap_err().code(), Code::FunctionFailed);
}

#[tokio::test]
async fn who_answers_slowly_or_too_much_has_failed() {
    let script = |body: fn() -> Body| {
        ScriptedEngine::new(move |_, _, _| async move { Ok(Answer::Reply(Payload { head: Default::default(), body: body() })) })
    };
    let slow = Arc::new(Scene::new(script(|| Body::stream(futures_util::stream::pending::<Result<_, Error>>(), None))).await);
    slow.install("replies-whole", |f| f.limits.timeout_ms = 5000);
    let call = tokio::spawn({
        let slow = slow.clone();
        async move { slow.invoker.call(live("replies-whole"), slow.event("")).await.map(drop) }
    });
    slow.clock.sleepers(1).await;
    slow.clock.advance(Duration::from_secs(5));
    assert_eq!(call.await.unwrap().unwrap_err().code(), Code::FunctionTimeout);

    let large = Scene::new(script(|| "eleven byte".into())).await;
    large.install("replies-whole", |_| {});
    assert_eq!(large.invoker.call(live("replies-whole"), large.event("")).await.unwrap_err().code(), Code::ReplyInvalid);
    let whole = Scene::new(script(|| "ten bytes.".into())).await;
    whole.install("replies-whole", |_| {});
    let reply = whole.invoker.call(live("replies-whole"), whole.event("")).await.unwrap();
    assert_eq!(reply.body.as_bytes().unwrap(), "ten bytes.");
}
