//! Conversations with Lambda's clients, played through as the door would, against a scripted platform.

mod functions;
mod invoke;
mod streaming;
mod urls;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures_util::FutureExt as _;
use mote_core::Code;
use mote_core::access::Credential;
use mote_core::action::{Deploy, Deployed, Description, Status, Target};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::{Deployment, Stamp};
use mote_core::error::Report;
use mote_core::event::Event;
use mote_core::function::{Bound, Family, Function, Name, Qualifier, Seen};
use mote_core::reply::Reply;
use mote_core::store::{LogLine, LogSource, ObjectInfo, ObjectList};
use serde_json::json;

use super::code::tests::listing;
use super::*;
use crate::aws::arn::Account;

const ID: &str = "00000000-0000-0000-0000-000000000007";
const ROLE: &str = "arn:aws:iam::123456789012:role/r";

/// What the platform has, and what was asked of it.
#[derive(Default)]
struct Scene {
    function: Option<Function>,
    object: Option<Vec<u8>>,
    reply: Option<mote_core::Result<Reply>>,
    lines: Vec<&'static str>,
    deployed: Option<Deployment>,
    called: Option<Event>,
    sent: Option<Event>,
    removed: bool,
    bound: BTreeMap<Name, Arc<Bound>>,
}

struct Told {
    status: u16,
    headers: http::HeaderMap,
    text: String,
    /// What went out before the rest of the conversation.
    poured: Vec<u8>,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl Scene {
    fn with(change: impl FnOnce(&mut Function)) -> Scene {
        let mut function =
            Function { dialect: "aws".into(), entry: "app.handler".into(), version: Function::DRAFT, ..mote_testkit::function("f") };
        function.limits.timeout_ms = 3000;
        function.about.insert("Runtime".into(), "python3.12".into());
        function.about.insert("Handler".into(), "app.handler".into());
        change(&mut function);
        Scene { function: Some(function), ..Scene::default() }
    }

    fn there() -> Scene {
        Scene::with(|_| {})
    }

    fn ask(&mut self, method: &str, path: &str, body: impl ToString) -> Told {
        self.ask_with(method, path, &[], body.to_string())
    }

    fn ask_with(&mut self, method: &str, path: &str, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Told {
        let ask = Ask {
            method: method.parse().unwrap(),
            uri: path.parse().unwrap(),
            headers: headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect(),
            body: body.into(),
            who: Credential::Anonymous,
            caller: "admin".into(),
            namespace: Name::default_namespace(),
            region: "eu-west-1".into(),
            account: Account::new("123456789012").unwrap(),
            stamp: Stamp { id: Id(7), time: Timestamp(1), peer: "127.0.0.1".into(), origin: String::new() },
        };
        let (mut turn, mut begun) = (answer(ask), None);
        for _ in 0..mote_core::dialect::TURNS_MAX {
            turn = match turn {
                Turn::Read { body, bytes_max, then } => {
                    let bytes = body.as_bytes().unwrap().clone();
                    let fits = bytes.len() as u64 <= bytes_max;
                    then(if fits { Ok(bytes) } else { Err(Error::new(Code::BodyTooLarge, "too large")) })
                }
                Turn::Do { what, then, .. } => then(self.carry_out(what)),
                Turn::Pour { response, then } => {
                    let (parts, mut body) = response.into_parts();
                    let (mut poured, mut end) = (Vec::new(), Ok(()));
                    while let Some(piece) = body.chunk().now_or_never().unwrap() {
                        match piece {
                            Ok(piece) => poured.extend_from_slice(&piece),
                            Err(error) => end = Err(error),
                        }
                    }
                    begun = Some((parts, poured));
                    then(end)
                }
                Turn::Answer(response) => {
                    let (parts, body) = response.into_parts();
                    let bytes = body.as_bytes().unwrap();
                    let (parts, poured, text) = match begun {
                        Some((parts, poured)) => (parts, [&poured[..], bytes].concat(), String::new()),
                        None => (parts, Vec::new(), String::from_utf8(bytes.to_vec()).unwrap()),
                    };
                    return Told { status: parts.status.as_u16(), headers: parts.headers, text, poured };
                }
            };
        }
        panic!("no end of turns")
    }

    fn carry_out(&mut self, what: Action) -> mote_core::Result<Done> {
        let gone = || Error::new(Code::FunctionNotFound, "no such function");
        match what {
            Action::Describe { version, .. } => {
                let function = self.function.clone().ok_or_else(gone)?;
                let stable = Qualifier::Alias(Name::new("stable").unwrap());
                if version != stable && !matches!(version, Qualifier::Live | Qualifier::Version(Function::DRAFT)) {
                    return Err(Error::new(Code::VersionNotFound, "no such version"));
                }
                Ok(Done::Function(Box::new(Description {
                    function: function.into(),
                    versions: vec![0],
                    url_path: None,
                    settings: Default::default(),
                    ready: Default::default(),
                    revision: 1,
                })))
            }
            Action::List { after, limit, .. } => {
                let all = ["a", "b", "c"].map(mote_testkit::function);
                let after = all.into_iter().filter(|function| after.as_deref().is_none_or(|after| function.name.as_str() > after));
                Ok(Done::Functions(after.take(limit).map(Into::into).collect()))
            }
            Action::Deploy(deploy) => {
                let Deploy { wish, declared, .. } = *deploy;
                let declared = *declared.unwrap();
                self.deployed = Some(declared.clone());
                self.function = Some(Function {
                    name: wish.name.unwrap(),
                    dialect: declared.dialect.into(),
                    limits: declared.limits,
                    env: declared.env,
                    about: declared.about,
                    version: Function::DRAFT,
                    ..mote_testkit::function("f")
                });
                Ok(Done::Deployed(Vec::<Deployed>::new()))
            }
            Action::KeepFile { .. } => Ok(Done::Stored(object_info())),
            Action::ListFiles { .. } => Ok(Done::Objects(ObjectList::default())),
            Action::GetObject { .. } => {
                let object = self.object.clone().ok_or_else(|| Error::new(Code::ObjectNotFound, "no such object"))?;
                Ok(Done::Object(object_info(), object.into()))
            }
            Action::Call { event, to: Target::Function { .. } } => {
                self.called = Some(event);
                self.reply.take().unwrap().map(Done::Reply)
            }
            Action::DryRun { .. } => self.function.as_ref().map(|_| Done::Nothing).ok_or_else(gone),
            Action::Send { event, .. } => {
                self.function.as_ref().ok_or_else(gone)?;
                self.sent = Some(event);
                Ok(Done::Accepted(Id(7)))
            }
            Action::Remove { .. } => {
                self.function.take().ok_or_else(gone)?;
                self.removed = true;
                Ok(Done::Nothing)
            }
            Action::Logs { query, .. } => {
                assert_eq!(query.invocation, Some(Id(7)));
                let line = |text: &&str| LogLine {
                    time: Timestamp(1),
                    namespace: "default".into(),
                    function: "f".into(),
                    version: 1,
                    invocation: Some(Id(7)),
                    stream: LogSource::Stdout,
                    text: (*text).to_owned(),
                };
                Ok(Done::Lines(self.lines.iter().map(line).collect()))
            }
            Action::Bind { bound, seen } => {
                let stands = self.bound.get(&bound.id);
                if seen != stands.map_or(Seen::Nothing, |stands| Seen::This(stands.clone())) {
                    return Err(Error::new(Code::Conflict, "changed meanwhile"));
                }
                let bound = Arc::new(*bound);
                self.bound.insert(bound.id.clone(), bound.clone());
                Ok(Done::Bound(vec![bound]))
            }
            Action::Unbind { id, .. } => {
                self.bound.remove(&id).map(|_| Done::Nothing).ok_or_else(|| Error::new(Code::BindingNotFound, "no such binding"))
            }
            Action::ListBound { after, limit, .. } => {
                let all = self.bound.values().filter(|bound| after.as_deref().is_none_or(|after| bound.id.as_str() > after));
                Ok(Done::Bound(all.take(limit).cloned().collect()))
            }
            Action::Status => Ok(Done::Status(Status {
                version: String::new(),
                functions: 1,
                queued: 0,
                records_dropped: 0,
                public: "http://127.0.0.1:8080".into(),
            })),
            other => panic!("{other:?}"),
        }
    }
}

fn object_info() -> ObjectInfo {
    ObjectInfo { bucket: "b".into(), key: "k".into(), size: 1, etag: "e".into(), modified: Timestamp(1), meta: Default::default() }
}

const FILES: &[&str] = &["app.py"];

fn zip() -> String {
    BASE64.encode(listing(FILES))
}

fn create(change: Value) -> Value {
    let mut wish = json!({
        "FunctionName": "f", "Runtime": "python3.12", "Role": ROLE, "Handler": "app.handler", "Code": { "ZipFile": zip() },
    });
    wish.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    wish
}

const FUNCTIONS: &str = "/2015-03-31/functions";

#[test]
fn what_was_never_set_is_told_so_and_what_cannot_be_set_is_refused() {
    let of = |date: &str, rest: &str| format!("/{date}/functions/f/{rest}");
    let check = |method: &str, path: String, status: u16, kind: &str| {
        let told = Scene::there().ask(method, &path, "{}");
        assert_eq!((told.status, told.header("x-amzn-errortype")), (status, kind), "{method} {path}: {}", told.text);
    };
    check("GET", of("2015-03-31", "policy"), 404, "ResourceNotFoundException");
    check("GET", of("2021-10-31", "url"), 404, "ResourceNotFoundException");
    check("GET", of("2015-03-31", "aliases"), 200, "");
    check("GET", of("2019-09-30", "concurrency"), 200, "");
    check("GET", of("2019-09-25", "event-invoke-config"), 404, "ResourceNotFoundException");
    check("GET", of("2015-03-31", "aliases/live"), 404, "ResourceNotFoundException");
    check("PUT", of("2015-03-31", "aliases/live"), 404, "ResourceNotFoundException");
    check("DELETE", of("2015-03-31", "policy/s"), 404, "ResourceNotFoundException");
    check("GET", of("2019-09-30", "provisioned-concurrency?Qualifier=stable"), 404, "ProvisionedConcurrencyConfigNotFoundException");
    check("GET", of("2019-09-30", "provisioned-concurrency?Qualifier=$LATEST"), 400, "InvalidParameterValueException");
    check("GET", of("2019-09-30", "provisioned-concurrency?Qualifier=other"), 404, "ResourceNotFoundException");
    check("GET", of("2019-09-30", "provisioned-concurrency?List=ALL"), 200, "");
    check("GET", of("2019-09-30", "provisioned-concurrency"), 400, "ValidationException");
    check("GET", "/2015-03-31/event-source-mappings/x".into(), 404, "ResourceNotFoundException");
    check("PATCH", "/nowhere".into(), 501, "NotImplementedException");
}

#[test]
fn a_wish_for_what_stands_beside_versions_is_checked_first() {
    let check = |method: &str, path: &str, wish: Value, kind: &str| {
        let told = Scene::there().ask(method, &format!("/{path}"), wish.clone());
        assert_eq!((told.status, told.header("x-amzn-errortype")), (400, kind), "{path} {wish}: {}", told.text);
    };
    let provisioned = "2019-09-30/functions/f/provisioned-concurrency?Qualifier=";
    let instances = |count: i64| json!({ "ProvisionedConcurrentExecutions": count });
    check("PUT", &format!("{provisioned}stable"), instances(0), "ValidationException");
    check("PUT", &format!("{provisioned}stable"), instances(-1), "ValidationException");
    check("PUT", &format!("{provisioned}$LATEST"), instances(1), "InvalidParameterValueException");
    let aliases = "2015-03-31/functions/f/aliases";
    for name in ["", "7", "a b", &"x".repeat(129)] {
        check("POST", aliases, json!({"Name": name, "FunctionVersion": "1"}), "ValidationException");
    }
    check("POST", aliases, json!({"Name": "a"}), "ValidationException");
    check("POST", aliases, json!({"Name": "a", "FunctionVersion": 1}), "SerializationException");
    let both = json!({"Name": "a", "FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"$LATEST": 0.5}}});
    check("POST", aliases, both, "InvalidParameterValueException");
    let concurrency = "2017-10-31/functions/f/concurrency";
    check("PUT", concurrency, json!({}), "SerializationException");
    check("PUT", concurrency, json!({"ReservedConcurrentExecutions": -1}), "ValidationException");
    check("PUT", concurrency, json!({"ReservedConcurrentExecutions": 901}), "InvalidParameterValueException");
    let policy = "2015-03-31/functions/f/policy";
    check("POST", policy, json!({"StatementId": "a.b", "Action": "lambda:*", "Principal": "*"}), "ValidationException");
    check("POST", policy, json!({"StatementId": "s", "Action": "s3:*", "Principal": "*"}), "ValidationException");
    check("POST", policy, json!({"StatementId": "s", "Action": "lambda:*", "Principal": ""}), "ValidationException");
    let events = "2019-09-25/functions/f/event-invoke-config";
    check("PUT", events, json!({}), "InvalidParameterValueException");
    check("PUT", events, json!({"MaximumRetryAttempts": 3}), "ValidationException");
    check("PUT", events, json!({"MaximumEventAgeInSeconds": 59}), "ValidationException");
    check("PUT", events, json!({"DestinationConfig": {"OnFailure": {"Destination": "x"}}}), "ValidationException");
    for arn in ["arn:aws:sqs:r:1:a b", "arn:aws:lambda:r:1:f", "arn:aws:kms:r:1:k"] {
        let to = json!({"DestinationConfig": {"OnFailure": {"Destination": arn}}});
        check("PUT", events, to, "InvalidParameterValueException");
    }
    check("DELETE", "2017-03-31/tags/f", json!({}), "ValidationException");
}

#[test]
fn an_unsigned_request_is_known_by_its_path() {
    for path in ["/2015-03-31/functions", "/2015-03-31/functions/f/invocations", "/2016-08-19/account-settings"] {
        assert!(is_path(path), "{path}");
    }
    for path in ["/", "/photos/functions", "/2015-03-31", "/2015-03-31/photos", "/2015-3-31/functions", "/20150331ab/functions"] {
        assert!(!is_path(path), "{path}");
    }
}
