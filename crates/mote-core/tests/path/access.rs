//! Who may do what: every action by every right in every namespace, and the life of a token.

use std::sync::Arc;
use std::time::Duration;

use mote_core::Code;
use mote_core::access::Credential;
use mote_core::access::rights::{Right, Scope};
use mote_core::access::tokens::{NewToken, TokenWish};
use mote_core::action::{
    Action, Deploy, DeployWish, Done, Expect, Fate, Files, Letters, Number, Outgoing, Over, Platform, Qualifier, SettleMessages, SignWish,
    Target,
};
use mote_core::body::Body;
use mote_core::clock::{Clock, Timestamp};
use mote_core::engine::{Answer, Payload};
use mote_core::error::Result;
use mote_core::event::HttpRequest;
use mote_core::function::delivery::Destination;
use mote_core::function::{Binding, Bound, Cors, FunctionRef, Name, Seen, UrlAccess};
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::mqtt::{Message, Qos};
use mote_core::rule::Rule;
use mote_core::store::{ObjectListQuery, ObjectMeta};
use mote_core::topic::Subscriber;
use mote_testkit::ScriptedEngine;

use crate::house::Scene;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// One of each, about the namespace.
fn every(scene: &Scene, namespace: &Name) -> Vec<Action> {
    let function = || FunctionRef { namespace: namespace.clone(), name: name("f") };
    let wish = DeployWish { namespace: namespace.clone(), name: None, default_name: None, dev: false };
    let (bucket, key) = (|| "photos".to_owned(), || "k".to_owned());
    let ns = || namespace.clone();
    let letters = || Letters { namespace: namespace.clone(), to: Default::default(), function: None, ids: None };
    let token =
        TokenWish { name: name("t"), scope: Scope::One(ns()), rights: [Right::Read].into_iter().collect(), expires: None, s3: false };
    let sign = SignWish { function: function(), method: http::Method::GET, path: None, life: Duration::from_secs(1) };
    let subscriber = || Subscriber {
        name: name("s"),
        topic: name("t"),
        to: Destination::Function(name("f")),
        filter: None,
        retry: None,
        adds: Default::default(),
        created: scene.clock.now(),
        ended: None,
    };
    vec![
        Action::Call { to: Target::live(function()), event: scene.event("") },
        Action::DryRun { function: function(), version: Qualifier::Live },
        Action::Call { to: Target::Route { namespace: ns() }, event: scene.event("") },
        Action::Send { to: Target::live(function()), event: scene.event(""), wish: Wish::default() },
        Action::ShowCall { namespace: ns(), id: scene.clock.id(), wait: Duration::ZERO },
        Action::ListCalls { namespace: ns(), query: Default::default() },
        Action::Trace { namespace: ns(), id: scene.clock.id() },
        Action::Replay { namespace: ns(), id: scene.clock.id(), on: Default::default() },
        Action::CancelCall { namespace: ns(), id: scene.clock.id() },
        Action::ListDead { letters: letters(), after: None, limit: 1 },
        Action::SettleDead { letters: letters(), fate: Fate::Forget },
        Action::Publish { namespace: ns(), topic: name("t"), event: scene.event(""), wish: Wish::default() },
        Action::ListTopics { namespace: ns() },
        Action::ShowTopic { namespace: ns(), topic: name("t") },
        Action::Subscribe { namespace: ns(), subscriber: Box::new(subscriber()) },
        Action::Unsubscribe { namespace: ns(), topic: name("t"), name: name("s") },
        Action::SetQueue { namespace: ns(), name: name("q"), patch: Default::default() },
        Action::RemoveQueue { namespace: ns(), name: name("q") },
        Action::ListQueues { namespace: ns(), after: None, limit: 1 },
        Action::ShowQueue { namespace: ns(), name: name("q") },
        Action::SendMessages { namespace: ns(), name: name("q"), what: Outgoing::Ready(Vec::new()) },
        Action::ReceiveMessages { namespace: ns(), name: name("q"), max: 1, visibility: None, wait: None },
        Action::SettleMessages { namespace: ns(), name: name("q"), what: SettleMessages::Delete { receipts: Vec::new() } },
        Action::PurgeQueue { namespace: ns(), name: name("q") },
        Action::RedriveQueue { namespace: ns(), name: name("q"), to: None, per_second: None },
        Action::Deploy(Box::new(Deploy {
            wish,
            files: Files::AsTheyAre,
            declared: None,
            number: Number::Next,
            layers: Vec::new(),
            expect: Expect::Anything,
        })),
        Action::Remove { function: function() },
        Action::Describe { function: function(), version: Qualifier::Live },
        Action::List { namespace: ns(), after: None, limit: 1 },
        Action::ListVersions { function: function(), after: None, limit: 1 },
        Action::Freeze { function: function(), about: Default::default(), expect: None },
        Action::RemoveVersion { function: function(), version: 1 },
        Action::Configure { function: function(), patch: Default::default(), expect: None },
        Action::Point { function: function(), version: None },
        Action::Bind { bound: Box::new(bound(namespace)), seen: Seen::Whatever },
        Action::Unbind { namespace: ns(), id: name("b") },
        Action::ListBound { namespace: ns(), function: None, after: None, limit: 1 },
        Action::SetRule { rule: Box::new(rule(namespace)), expect: None },
        Action::ShowRule { namespace: ns(), group: name("g"), name: name("r") },
        Action::RemoveRule { namespace: ns(), group: name("g"), name: name("r") },
        Action::ListRules { namespace: ns(), group: None },
        Action::Logs { namespace: ns(), query: Default::default() },
        Action::ListTimers { namespace: ns(), next: 1 },
        Action::PublishMqtt { namespace: ns(), message: Message::new("t".parse().unwrap(), Qos::AtMost, "").into(), body: Body::empty() },
        Action::ShowMqtt { namespace: ns() },
        Action::CreateBucket { namespace: ns(), name: bucket() },
        Action::DeleteBucket { namespace: ns(), name: bucket() },
        Action::ListBuckets { namespace: ns() },
        Action::PutObject { namespace: ns(), bucket: bucket(), key: key(), meta: ObjectMeta::default(), body: Body::empty() },
        Action::GetObject { namespace: ns(), bucket: bucket(), key: key() },
        Action::DeleteObject { namespace: ns(), bucket: bucket(), key: key() },
        Action::ListObjects { namespace: ns(), bucket: bucket(), query: ObjectListQuery::default() },
        Action::KeepFile { namespace: ns(), key: key(), body: Body::empty(), over: Over::Anything },
        Action::ReadFile { namespace: ns(), key: key() },
        Action::ListFiles { namespace: ns(), query: Default::default() },
        Action::DropFile { namespace: ns(), key: key() },
        Action::SetSecret { namespace: ns(), name: name("s"), value: Body::empty() },
        Action::ListSecrets { namespace: ns() },
        Action::RemoveSecret { namespace: ns(), name: name("s"), force: false },
        Action::CreateToken(Box::new(token)),
        Action::ListTokens { scope: Scope::One(ns()) },
        Action::RevokeToken { scope: Scope::One(ns()), name: name("t") },
        Action::SignUrl(Box::new(sign)),
        Action::RotateSigning { namespace: ns() },
        Action::SetQuota { namespace: ns(), patch: Default::default() },
        Action::ShowQuota { namespace: ns() },
        Action::ListNamespaces,
        Action::ReadAudit { namespace: Some(ns()), tail: 1 },
        Action::WhoAmI,
        Action::Status,
    ]
}

/// Who may, as the guide has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    Anybody,
    /// Everybody but a stranger.
    Somebody,
    Known,
    /// A token with the right, and code of the namespace's functions.
    Inside(Right),
    Token(Right),
    AdminOfAll,
}

/// No arm for the rest: a new action is a new line here, and one in `every`.
fn bound(namespace: &Name) -> Bound {
    Bound {
        id: name("b"),
        namespace: namespace.clone(),
        to: Destination::Function(name("f")),
        qualifier: Qualifier::Live,
        binding: Binding::http("/b", Vec::new()),
        enabled: true,
        since: Timestamp::default(),
        label: None,
        dialect: None,
        about: Default::default(),
    }
}

fn rule(namespace: &Name) -> Rule {
    Rule {
        namespace: namespace.clone(),
        group: name("g"),
        name: name("r"),
        dialect: "plain".into(),
        on: None,
        timer: None,
        enabled: true,
        since: Timestamp::default(),
        ends: false,
        targets: Vec::new(),
        about: Default::default(),
    }
}

fn may(action: &Action) -> May {
    use Right::{Admin, Deploy, Invoke, Read};
    match action {
        Action::Call { to: Target::Route { .. }, .. } | Action::Send { to: Target::Route { .. }, .. } => May::Anybody,
        Action::Call { to: Target::Function { .. }, .. } | Action::Send { to: Target::Function { .. }, .. } => May::Inside(Invoke),
        Action::DryRun { .. } => May::Inside(Invoke),
        Action::Publish { .. } => May::Inside(Invoke),
        Action::Subscribe { .. } | Action::Unsubscribe { .. } => May::Token(Deploy),
        Action::ListTopics { .. } | Action::ShowTopic { .. } => May::Token(Read),
        Action::ShowCall { .. } | Action::ListCalls { .. } | Action::Trace { .. } | Action::ListDead { .. } => May::Token(Read),
        Action::Replay { .. } | Action::CancelCall { .. } | Action::SettleDead { .. } => May::Token(Invoke),
        Action::SetQueue { .. } | Action::RemoveQueue { .. } | Action::PurgeQueue { .. } => May::Token(Deploy),
        Action::ListQueues { .. } => May::Token(Read),
        Action::ShowQueue { .. } => May::Inside(Read),
        Action::SendMessages { .. } | Action::ReceiveMessages { .. } | Action::SettleMessages { .. } => May::Inside(Invoke),
        Action::RedriveQueue { .. } => May::Token(Invoke),
        Action::Deploy(_) | Action::Remove { .. } | Action::Point { .. } => May::Token(Deploy),
        Action::Bind { .. } | Action::Unbind { .. } => May::Token(Deploy),
        Action::ListBound { .. } => May::Token(Read),
        Action::SetRule { .. } | Action::RemoveRule { .. } => May::Token(Deploy),
        Action::ShowRule { .. } | Action::ListRules { .. } => May::Token(Read),
        Action::Freeze { .. } | Action::RemoveVersion { .. } | Action::Configure { .. } => May::Token(Deploy),
        Action::ListVersions { .. } => May::Token(Read),
        Action::Describe { .. } | Action::List { .. } | Action::Logs { .. } | Action::ListTimers { .. } => May::Token(Read),
        Action::PublishMqtt { .. } => May::Inside(Invoke),
        Action::ShowMqtt { .. } => May::Token(Read),
        Action::CreateBucket { .. } | Action::DeleteBucket { .. } => May::Token(Deploy),
        Action::ListBuckets { .. } | Action::GetObject { .. } | Action::ListObjects { .. } => May::Inside(Read),
        Action::PutObject { .. } | Action::DeleteObject { .. } => May::Inside(Invoke),
        Action::KeepFile { .. } | Action::DropFile { .. } => May::Token(Deploy),
        Action::ReadFile { .. } | Action::ListFiles { .. } => May::Token(Read),
        Action::SetSecret { .. } | Action::RemoveSecret { .. } => May::Token(Deploy),
        Action::ListSecrets { .. } | Action::ShowQuota { .. } => May::Token(Read),
        Action::CreateToken(_) | Action::ListTokens { .. } | Action::RevokeToken { .. } => May::Token(Admin),
        Action::RotateSigning { .. } | Action::ReadAudit { .. } => May::Token(Admin),
        Action::SignUrl(_) => May::Token(Invoke),
        Action::SetQuota { .. } => May::AdminOfAll,
        Action::WhoAmI => May::Somebody,
        Action::ListNamespaces | Action::Status => May::Known,
    }
}

async fn make(scene: &Scene, scope: Scope, right: Right) -> NewToken {
    let wish = TokenWish {
        name: name(&format!("t{}", scene.clock.id().0)),
        scope,
        rights: [right].into_iter().collect(),
        expires: None,
        s3: true,
    };
    let Done::Token(made) = scene.admin(Action::CreateToken(Box::new(wish))).await.unwrap() else { panic!("not a token") };
    *made
}

#[tokio::test]
async fn every_action_by_every_right_in_every_namespace() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let (own, other) = (name("shop"), name("office"));
    let access = &scene.house.access;
    let mut judged = 0;
    for action in every(&scene, &own) {
        let may = may(&action);
        let mut check = |who: &Credential, expect: Result<(), Code>| {
            judged += 1;
            let found = access.judge(who, &action).map(drop).map_err(|error| error.code());
            assert_eq!(found, expect, "{action:?}");
        };
        check(&Credential::Token("token".into()), Ok(()));
        check(&Credential::Token("tokem".into()), Err(Code::CredentialInvalid));
        check(&Credential::Anonymous, if may == May::Anybody { Ok(()) } else { Err(Code::CredentialMissing) });
        let inside = matches!(may, May::Anybody | May::Somebody | May::Inside(_));
        check(&Credential::Instance(own.clone()), if inside { Ok(()) } else { Err(Code::Forbidden) });
        check(
            &Credential::Instance(other.clone()),
            if matches!(may, May::Anybody | May::Somebody) { Ok(()) } else { Err(Code::Forbidden) },
        );
        for right in Right::ALL {
            for scope in [Scope::One(own.clone()), Scope::One(other.clone()), Scope::All] {
                let here = scope.covers(&own);
                let has = |needed| here && (right == needed || right == Right::Admin);
                let expect = match may {
                    May::Anybody | May::Somebody | May::Known => true,
                    May::Inside(needed) | May::Token(needed) => has(needed),
                    May::AdminOfAll => right == Right::Admin && scope == Scope::All,
                };
                let expect = if expect { Ok(()) } else { Err(Code::Forbidden) };
                let made = make(&scene, scope, right).await;
                check(&Credential::Token(made.token), expect);
                check(&Credential::AccessKey(made.info.access_key_id.unwrap()), expect);
            }
        }
    }
    assert_eq!(judged, 70 * (5 + 4 * 3 * 2));
}

#[tokio::test]
async fn a_refusal_tells_nothing_of_what_is_there() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.install("there", |_| {});
    let token = make(&scene, Scope::One(name("shop")), Right::Admin).await.token;
    let ask = async |function: &str| {
        let function = FunctionRef { namespace: Name::default_namespace(), name: name(function) };
        let refused = scene.house.execute(Credential::Token(token.clone()), Action::Describe { function, version: Qualifier::Live }).await;
        refused.map(drop).unwrap_err().to_string()
    };
    assert_eq!(ask("there").await, ask("gone").await);
    let caller = scene.house.access.judge(&Credential::Token(token), &Action::ListNamespaces).unwrap();
    assert_eq!(caller.bound(), Some(&name("shop")));
}

#[tokio::test]
async fn a_token_ends_when_it_expires_or_is_revoked() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let judge = |token: &str| scene.house.access.judge(&Credential::Token(token.to_owned()), &Action::Status).map(drop);
    let kept = make(&scene, Scope::All, Right::Read).await;
    let wish = TokenWish {
        name: name("short"),
        scope: Scope::All,
        rights: [Right::Read].into_iter().collect(),
        expires: Some(scene.clock.now().plus(Duration::from_secs(60))),
        s3: true,
    };
    let Done::Token(short) = scene.admin(Action::CreateToken(Box::new(wish.clone()))).await.unwrap() else { panic!("not a token") };
    assert!(judge(&short.token).is_ok());
    // A name is one token's.
    let again = scene.admin(Action::CreateToken(Box::new(wish))).await.map(drop).unwrap_err();
    assert_eq!(again.code(), Code::Conflict);
    scene.clock.advance(Duration::from_secs(60));
    let expired = judge(&short.token).unwrap_err();
    assert!(expired.code() == Code::CredentialInvalid && expired.detail().contains("expired"), "{expired}");
    let key = Credential::AccessKey(short.info.access_key_id.clone().unwrap());
    assert_eq!(scene.house.access.caller(&key).unwrap_err().code(), Code::CredentialInvalid);
    // Whoever has not the secret is not told so much.
    let forged = format!("{}{}", &short.token[..short.token.len() - 1], if short.token.ends_with('0') { '1' } else { '0' });
    assert!(!judge(&forged).unwrap_err().detail().contains("expired"));

    assert!(judge(&kept.token).is_ok());
    scene.admin(Action::RevokeToken { scope: Scope::All, name: kept.info.name.clone() }).await.map(drop).unwrap();
    assert_eq!(judge(&kept.token).unwrap_err().code(), Code::CredentialInvalid);
    assert_eq!(scene.house.access.secret_of(kept.info.access_key_id.as_deref().unwrap()), None);
    let gone = scene.admin(Action::RevokeToken { scope: Scope::All, name: kept.info.name }).await.map(drop).unwrap_err();
    assert_eq!(gone.code(), Code::TokenNotFound);
}

#[tokio::test]
async fn what_could_not_be_written_has_not_happened() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let kept = make(&scene, Scope::All, Right::Read).await;
    let wish = TokenWish { name: name("new"), scope: Scope::All, rights: [Right::Read].into_iter().collect(), expires: None, s3: false };
    scene.store.faults.fail_writes(3);
    assert!(scene.admin(Action::CreateToken(Box::new(wish))).await.is_err());
    assert!(scene.admin(Action::RevokeToken { scope: Scope::All, name: kept.info.name.clone() }).await.is_err());
    let patch = serde_json::json!({ "functions": 1 }).as_object().unwrap().clone();
    assert!(scene.admin(Action::SetQuota { namespace: name("shop"), patch }).await.is_err());
    assert_eq!(scene.house.access.tokens.list(None).len(), 1);
    assert!(scene.house.access.judge(&Credential::Token(kept.token), &Action::Status).is_ok());
    assert_eq!(scene.house.access.limits.quota(&name("shop")), Default::default());
}

#[tokio::test]
async fn a_restart_knows_tokens_quotas_and_voided_urls() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let made = make(&scene, Scope::One(name("shop")), Right::Read).await;
    let patch = serde_json::json!({ "rate": "5/s" }).as_object().unwrap().clone();
    scene.admin(Action::SetQuota { namespace: name("shop"), patch }).await.map(drop).unwrap();
    scene.admin(Action::RotateSigning { namespace: name("shop") }).await.map(drop).unwrap();
    let next = crate::house::access(&scene.clock, &scene.store);
    next.load(&*scene.store).await.unwrap();
    let key_id = made.info.access_key_id.unwrap();
    assert!(next.judge(&Credential::Token(made.token.clone()), &Action::Status).is_ok());
    assert_eq!(next.secret_of(&key_id), made.secret_access_key);
    assert_eq!(next.limits.quota(&name("shop")), scene.house.access.limits.quota(&name("shop")));
    // Nothing that opens a door is in the store.
    let secret = made.token.rsplit('_').next().unwrap();
    for record in mote_core::store::Catalog::scan(&*scene.store, "", None, 1000).await.unwrap() {
        let text = String::from_utf8_lossy(&record.value).into_owned();
        assert!(!text.contains(secret) && !text.contains(made.secret_access_key.as_deref().unwrap()), "{text}");
    }
}

#[tokio::test]
async fn changes_and_refusals_are_written_down() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let token = make(&scene, Scope::One(name("shop")), Right::Invoke).await;
    let function = FunctionRef { namespace: name("shop"), name: name("orders") };
    let refused = scene.house.execute(Credential::Token(token.token.clone()), Action::Remove { function }).await;
    assert!(refused.is_err());
    let _ = scene.house.execute(Credential::Anonymous, Action::Status).await;
    let failed = scene.admin(Action::RevokeToken { scope: Scope::One(name("shop")), name: name("nobody") }).await;
    assert!(failed.is_err());
    let lines = scene.house.access.audit(None, 100).await.unwrap();
    let told: Vec<_> =
        lines.iter().map(|line| format!("{} {} {} {} {}", line.who, line.verb, line.namespace, line.about, line.result)).collect();
    let who = &token.info.name;
    let expect = [
        format!("admin create-token shop {who} ok"),
        format!("token shop/{who} remove shop orders forbidden"),
        "admin revoke-token shop nobody token-not-found".to_owned(),
    ];
    assert_eq!(told, expect);
    assert!(scene.store.lines().iter().all(|line| !line.text.contains(&token.token)));
}

#[tokio::test]
async fn code_in_a_function_does_not_fill_the_audit() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let try_door = async |namespace: &str| {
        let action = Action::PurgeQueue { namespace: name(namespace), name: name("q") };
        assert!(scene.house.execute(Credential::Instance(name(namespace)), action).await.is_err());
    };
    for namespace in ["shop", "shop", "team", "shop"] {
        try_door(namespace).await;
    }
    scene.clock.advance(Duration::from_secs(60));
    try_door("shop").await;
    let lines = scene.house.access.audit(None, 100).await.unwrap();
    let who: Vec<&str> = lines.iter().map(|line| line.who.as_str()).collect();
    assert_eq!(who, ["function shop", "function team", "function shop"]);
}

/// A function in the default namespace, called by its URL with these headers and query.
async fn by_url(scene: &Scene, method: &str, query: &str, headers: &[(&str, &str)]) -> Result<Done> {
    let mut event = scene.event("");
    let mut request = HttpRequest { method: method.parse().unwrap(), path: "/f".into(), query: query.into(), ..Default::default() };
    for (name, value) in headers {
        request.headers.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    event.request = Some(Arc::new(request));
    let to = Target::Route { namespace: Name::default_namespace() };
    scene.house.execute(Credential::Anonymous, Action::Call { to, event }).await
}

/// Answers with what the function is shown of a request.
fn mirror() -> Arc<ScriptedEngine> {
    ScriptedEngine::new(|_, _, shown| async { Ok(Answer::Reply(Payload { head: Default::default(), body: shown.head.into() })) })
}

#[tokio::test]
async fn a_url_lets_in_whom_its_access_names() {
    let scene = Scene::new(mirror()).await;
    let invoke = make(&scene, Scope::One(Name::default_namespace()), Right::Invoke).await.token;
    let read = make(&scene, Scope::One(Name::default_namespace()), Right::Read).await.token;
    let (bearer, poor) = (format!("Bearer {invoke}"), format!("bearer {read}"));
    let wish = || SignWish {
        function: crate::house::reference("f"),
        method: http::Method::GET,
        path: Some("/f?a=1".into()),
        life: Duration::from_secs(60),
    };
    scene.install("f", |f| f.http.access = UrlAccess::Token);
    assert_eq!(scene.admin(Action::SignUrl(Box::new(wish()))).await.map(drop).unwrap_err().code(), Code::RequestInvalid);
    let code = async |headers: &[(&str, &str)]| by_url(&scene, "GET", "", headers).await.map(drop).map_err(|error| error.code());
    assert_eq!(code(&[]).await, Err(Code::CredentialMissing));
    assert_eq!(code(&[("authorization", "Basic abc")]).await, Err(Code::CredentialMissing));
    assert_eq!(code(&[("authorization", "Bearer somebody-elses")]).await, Err(Code::CredentialMissing));
    assert_eq!(code(&[("authorization", "Bearer mote_guess")]).await, Err(Code::CredentialInvalid));
    assert_eq!(code(&[("authorization", &poor)]).await, Err(Code::Forbidden));
    let shown = async |query: &str, headers: &[(&str, &str)]| {
        let Done::Reply(reply) = by_url(&scene, "GET", query, headers).await.unwrap() else { panic!("no reply") };
        String::from_utf8(reply.body.collect(1000).await.unwrap().to_vec()).unwrap()
    };
    assert_eq!(shown("", &[("authorization", &bearer), ("accept", "*")]).await, " accept");
    assert_eq!(shown("", &[("authorization", "Basic abc"), ("x-mote-token", &invoke)]).await, " authorization");

    scene.install("f", |f| f.http.access = UrlAccess::Public);
    assert_eq!(shown("", &[("authorization", &bearer), ("x-mote-token", "any"), ("accept", "*")]).await, " accept", "not for its code");
    assert_eq!(shown("", &[("authorization", "Basic abc")]).await, " authorization");

    scene.install("f", |f| f.http.access = UrlAccess::Signed);
    let Done::Signed(signed) = scene.admin(Action::SignUrl(Box::new(wish()))).await.unwrap() else { panic!("no URL") };
    let query = signed.url.split_once('?').unwrap().1.to_owned();
    assert_eq!(shown(&query, &[]).await, "a=1 ");
    assert_eq!(shown("", &[("authorization", &bearer)]).await, " ");
    assert_eq!(code(&[]).await, Err(Code::CredentialMissing));
    let refused = async |method: &str, query: &str| by_url(&scene, method, query, &[]).await.map(drop).unwrap_err().code();
    assert_eq!(refused("POST", &query).await, Code::CredentialInvalid);
    assert_eq!(refused("GET", &query.replace("a=1", "a=2")).await, Code::CredentialInvalid);
    scene.admin(Action::RotateSigning { namespace: Name::default_namespace() }).await.map(drop).unwrap();
    assert_eq!(refused("GET", &query).await, Code::CredentialInvalid);
}

#[tokio::test]
async fn a_signed_url_ends_with_the_token_that_signed_it() {
    let scene = Scene::new(mirror()).await;
    scene.install("f", |f| f.http.access = UrlAccess::Signed);
    let token = async |expires: Option<Timestamp>| {
        let rights = [Right::Invoke].into_iter().collect();
        let wish = TokenWish { name: name("signer"), scope: Scope::One(Name::default_namespace()), rights, expires, s3: false };
        let Done::Token(made) = scene.admin(Action::CreateToken(Box::new(wish))).await.unwrap() else { panic!("not a token") };
        made.token
    };
    let sign = async |token: String| {
        let (function, life) = (crate::house::reference("f"), Duration::from_secs(3600));
        let wish = SignWish { function, method: http::Method::GET, path: None, life };
        let signed = scene.house.execute(Credential::Token(token), Action::SignUrl(Box::new(wish))).await.unwrap();
        let Done::Signed(signed) = signed else { panic!("no URL") };
        signed.url.split_once('?').unwrap().1.to_owned()
    };
    let code = async |query: &str| by_url(&scene, "GET", query, &[]).await.map(drop).map_err(|error| error.code());
    let revoke = async || {
        let scope = Scope::One(Name::default_namespace());
        scene.admin(Action::RevokeToken { scope, name: name("signer") }).await.map(drop).unwrap();
    };
    let first = sign(token(None).await).await;
    assert_eq!(code(&first).await, Ok(()));
    revoke().await;
    assert_eq!(code(&first).await, Err(Code::CredentialInvalid));

    let second = sign(token(Some(scene.clock.now().plus(Duration::from_secs(60)))).await).await;
    assert_eq!(code(&second).await, Ok(()));
    assert_eq!(code(&first).await, Err(Code::CredentialInvalid), "another token of that name is another one");
    scene.clock.advance(Duration::from_secs(60));
    assert_eq!(code(&second).await, Err(Code::CredentialInvalid));
}

#[tokio::test]
async fn a_preflight_gets_no_further_than_its_answer() {
    let scene = Scene::new(mirror()).await;
    let asks = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
    scene.install("f", |f| f.http.access = UrlAccess::Token);
    assert_eq!(by_url(&scene, "OPTIONS", "", &asks).await.map(drop).unwrap_err().code(), Code::CredentialMissing);
    // The dialect of these tests has no answer of its own: the function must not be asked.
    scene.install("f", |f| {
        f.http.access = UrlAccess::Token;
        f.http.cors = Some(Cors { origins: vec!["*".into()], ..Default::default() });
    });
    assert_eq!(by_url(&scene, "OPTIONS", "", &asks).await.map(drop).unwrap_err().code(), Code::CredentialMissing);
}

#[tokio::test]
async fn quotas_hold_at_the_door_they_name() {
    let scene = Scene::new(mirror()).await;
    let namespace = Name::default_namespace;
    let set = async |patch: serde_json::Value| {
        let patch = patch.as_object().unwrap().clone();
        scene.admin(Action::SetQuota { namespace: namespace(), patch }).await.map(drop).unwrap();
    };
    set(serde_json::json!({ "functions": 1 })).await;
    scene.deploy_as(Some("a"), &[("a.py", "")]).await.unwrap();
    let refused = scene.deploy_as(Some("b"), &[("b.py", "")]).await.unwrap_err();
    assert_eq!(refused.code(), Code::QuotaExceeded);
    assert!(refused.detail().contains("`functions` of the namespace default is 1"), "{refused}");
    scene.deploy_as(Some("a"), &[("a.py", "again")]).await.unwrap();

    set(serde_json::json!({ "functions": null, "tokens": 1 })).await;
    make(&scene, Scope::One(namespace()), Right::Read).await;
    make(&scene, Scope::All, Right::Read).await;
    let wish = TokenWish {
        name: name("more"),
        scope: Scope::One(namespace()),
        rights: [Right::Read].into_iter().collect(),
        expires: None,
        s3: false,
    };
    assert_eq!(scene.admin(Action::CreateToken(Box::new(wish))).await.map(drop).unwrap_err().code(), Code::QuotaExceeded);

    set(serde_json::json!({ "tokens": null, "queued": 1 })).await;
    scene.install("f", |_| {});
    let send = async || {
        let sent = scene.admin(Action::Send { to: crate::house::live("f"), event: scene.event(""), wish: Wish::default() }).await;
        sent.map(drop).map_err(|error| error.code())
    };
    assert_eq!(send().await, Ok(()));
    assert_eq!(send().await, Err(Code::Throttled));

    set(serde_json::json!({ "queued": null, "rate": "1/s" })).await;
    assert!(by_url(&scene, "GET", "", &[]).await.is_ok());
    let throttled = by_url(&scene, "GET", "", &[]).await.map(drop).unwrap_err();
    assert_eq!((throttled.code(), throttled.wait()), (Code::Throttled, Some(Duration::from_secs(1))));
    scene.clock.advance(Duration::from_secs(1));
    assert!(by_url(&scene, "GET", "", &[]).await.is_ok());
}
