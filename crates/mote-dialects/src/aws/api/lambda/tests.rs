//! Conversations with Lambda's clients, played through as the door would, against a scripted platform.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use mote_core::Code;
use mote_core::access::Credential;
use mote_core::action::{Deploy, Deployed, Description, Target};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::{Deployment, Stamp};
use mote_core::error::Report;
use mote_core::event::Event;
use mote_core::function::{Family, Function, Name};
use mote_core::reply::Reply;
use mote_core::store::{LogLine, LogSource, ObjectInfo};

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
}

struct Told {
    status: u16,
    headers: http::HeaderMap,
    text: String,
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
        let mut function = Function { dialect: "aws".into(), entry: "app.handler".into(), ..mote_testkit::function("f") };
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
        let mut turn = answer(ask);
        for _ in 0..mote_core::dialect::TURNS_MAX {
            turn = match turn {
                Turn::Read { body, bytes_max, then } => {
                    let bytes = body.as_bytes().unwrap().clone();
                    let fits = bytes.len() as u64 <= bytes_max;
                    then(if fits { Ok(bytes) } else { Err(Error::new(Code::BodyTooLarge, "too large")) })
                }
                Turn::Do { what, then, .. } => then(self.carry_out(what)),
                Turn::Answer(response) => {
                    let (parts, body) = response.into_parts();
                    let text = String::from_utf8(body.as_bytes().unwrap().to_vec()).unwrap();
                    return Told { status: parts.status.as_u16(), headers: parts.headers, text };
                }
            };
        }
        panic!("no end of turns")
    }

    fn carry_out(&mut self, what: Action) -> mote_core::Result<Done> {
        let gone = || Error::new(Code::FunctionNotFound, "no such function");
        match what {
            Action::Describe { .. } => {
                let function = self.function.clone().ok_or_else(gone)?;
                Ok(Done::Function(Box::new(Description { function: function.into(), versions: vec![1], url_path: None })))
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
                    ..mote_testkit::function("f")
                });
                Ok(Done::Deployed(Vec::<Deployed>::new()))
            }
            Action::GetObject { .. } => {
                let object = self.object.clone().ok_or_else(|| Error::new(Code::ObjectNotFound, "no such object"))?;
                Ok(Done::Object(object_info(), object.into()))
            }
            Action::Call { event, to: Target::Function { .. } } => {
                self.called = Some(event);
                self.reply.take().unwrap().map(Done::Reply)
            }
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
fn a_new_function_has_the_services_defaults() {
    let mut scene = Scene::default();
    let told = scene.ask("POST", FUNCTIONS, create(json!({})));
    assert_eq!(told.status, 201, "{}", told.text);
    assert_eq!(told.header("x-amzn-requestid"), ID);
    let told = told.json();
    let expect = json!({
        "FunctionName": "f", "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:f", "Runtime": "python3.12", "Role": ROLE,
        "Handler": "app.handler", "Description": "", "Timeout": 3, "MemorySize": 128, "EphemeralStorage": {"Size": 512},
        "Architectures": ["x86_64"], "PackageType": "Zip", "TracingConfig": {"Mode": "PassThrough"}, "Version": "$LATEST",
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"}, "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
        "State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating",
    });
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(told[name], *value, "{name}");
    }
    assert_eq!(told["CodeSize"], listing(FILES).len());
    assert_eq!(BASE64.decode(told["CodeSha256"].as_str().unwrap()).unwrap().len(), 32);
    assert_eq!(told["LastModified"], "1970-01-01T00:00:00.000+0000");
    let deployed = scene.deployed.unwrap();
    assert_eq!((deployed.runtime.family, deployed.entry.as_str(), deployed.pulls), (Family::Python, "app.handler", false));
    assert!(!deployed.preparing.installs && !deployed.preparing.starts && !deployed.http.url);
    assert_eq!(deployed.delivery.retry.attempts_max, 3);
}

#[test]
fn what_a_client_says_is_kept_and_told() {
    let mut scene = Scene::default();
    let wish = json!({
        "Timeout": 60, "MemorySize": 256, "EphemeralStorage": {"Size": 1024}, "Description": "d", "Tags": {"team": "a"},
        "Environment": {"Variables": {"MODE": "x"}}, "Architectures": ["arm64"], "TracingConfig": {"Mode": "Active"},
        "LoggingConfig": {"LogFormat": "JSON"}, "Unknown": {"to": "us"},
    });
    let created = scene.ask("POST", "/2015-03-31/functions/", create(wish));
    assert_eq!(created.status, 201, "{}", created.text);
    let told = scene.ask("GET", &format!("{FUNCTIONS}/f"), "").json();
    let configuration = &told["Configuration"];
    for (name, value) in json!({
        "Timeout": 60, "MemorySize": 256, "EphemeralStorage": {"Size": 1024}, "Description": "d", "State": "Active",
        "Environment": {"Variables": {"MODE": "x"}}, "Architectures": ["arm64"], "TracingConfig": {"Mode": "Active"},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/aws/lambda/f"}, "LastUpdateStatus": "Successful",
    })
    .as_object()
    .unwrap()
    {
        assert_eq!(configuration[name], *value, "{name}");
    }
    assert_eq!(told["Tags"], json!({"team": "a"}));
    let tags = scene.ask("GET", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af", "").json();
    assert_eq!(tags, json!({"Tags": {"team": "a"}}));
    let limits = scene.deployed.unwrap().limits;
    assert_eq!((limits.timeout_ms, limits.memory_bytes, limits.tmp_bytes), (60_000, 256 << 20, 1 << 30));
}

#[test]
fn code_comes_from_a_bucket_too() {
    let code = json!({"Code": {"S3Bucket": "b", "S3Key": "k"}});
    let mut scene = Scene { object: Some(listing(&["bootstrap"])), ..Scene::default() };
    let told = scene.ask("POST", FUNCTIONS, create(code.clone()));
    assert_eq!(told.status, 201, "{}", told.text);
    assert!(scene.deployed.unwrap().pulls);
    let told = Scene::default().ask("POST", FUNCTIONS, create(code));
    assert_eq!((told.status, told.header("x-amzn-errortype")), (400, "InvalidParameterValueException"));
    let message = "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.";
    assert_eq!(told.json()["message"], message);
}

#[test]
fn a_wish_that_cannot_be_met_makes_nothing() {
    let check = |change: Value, status: u16, kind: &str| {
        let mut scene = Scene::default();
        let told = scene.ask("POST", FUNCTIONS, create(change.clone()));
        assert_eq!((told.status, told.header("x-amzn-errortype")), (status, kind), "{change}: {}", told.text);
        assert!(scene.deployed.is_none());
    };
    check(json!({"FunctionName": "a b"}), 400, "ValidationException");
    check(json!({"FunctionName": "arn:aws:lambda:eu-west-1:999999999999:function:f"}), 404, "ResourceNotFoundException");
    check(json!({"Timeout": 901}), 400, "ValidationException");
    check(json!({"Timeout": "x"}), 400, "SerializationException");
    check(json!({"Role": "r"}), 400, "ValidationException");
    check(json!({"Runtime": "ruby3.3"}), 400, "InvalidParameterValueException");
    check(json!({"Handler": null}), 400, "InvalidParameterValueException");
    check(json!({"Code": {}}), 400, "InvalidParameterValueException");
    check(json!({"Code": {"ZipFile": "%"}}), 400, "InvalidParameterValueException");
    check(json!({"Code": {"ZipFile": BASE64.encode("no zip")}}), 400, "InvalidParameterValueException");
    check(json!({"Code": {"ZipFile": zip(), "S3Bucket": "b"}}), 400, "InvalidParameterValueException");
    check(json!({"Code": {"ImageUri": "i"}, "PackageType": "Image"}), 501, "NotImplementedException");
    check(json!({"Publish": true}), 501, "NotImplementedException");
    check(json!({"Layers": ["arn"]}), 501, "NotImplementedException");
    let told = Scene::there().ask("POST", FUNCTIONS, create(json!({})));
    assert_eq!((told.status, told.header("x-amzn-errortype")), (409, "ResourceConflictException"));
    assert_eq!(told.json()["message"], "Function already exist: f");
}

#[test]
fn a_function_is_found_by_all_its_addresses() {
    for name in [
        "f",
        "f/",
        "f:$LATEST",
        "f?Qualifier=$LATEST",
        "123456789012:function:f",
        "arn:aws:lambda:eu-west-1:123456789012:function:f",
        "arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af",
    ] {
        let told = Scene::there().ask("GET", &format!("{FUNCTIONS}/{name}"), "");
        assert_eq!(told.status, 200, "{name}: {}", told.text);
    }
    let check = |name: &str, arn: &str| {
        let told = Scene::there().ask("GET", &format!("{FUNCTIONS}/{name}"), "");
        assert_eq!((told.status, told.header("x-amzn-errortype")), (404, "ResourceNotFoundException"), "{name}");
        assert_eq!(told.json(), json!({"Type": "User", "Message": format!("Function not found: {arn}")}));
    };
    check("f:7", "arn:aws:lambda:eu-west-1:123456789012:function:f:7");
    check("f?Qualifier=live", "arn:aws:lambda:eu-west-1:123456789012:function:f:live");
    check("999999999999:function:f", "arn:aws:lambda:eu-west-1:999999999999:function:f");
    let told = Scene::default().ask("GET", &format!("{FUNCTIONS}/f/configuration"), "");
    assert_eq!(told.json()["Message"], "Function not found: arn:aws:lambda:eu-west-1:123456789012:function:f");
}

#[test]
fn a_list_goes_on_at_its_marker() {
    let mut scene = Scene::default();
    let names = |told: &Value| told["Functions"].as_array().unwrap().iter().map(|f| f["FunctionName"].clone()).collect::<Vec<_>>();
    let first = scene.ask("GET", &format!("{FUNCTIONS}?MaxItems=2"), "").json();
    assert_eq!((names(&first), &first["NextMarker"]), (vec![json!("a"), json!("b")], &json!("b")));
    let second = scene.ask("GET", &format!("{FUNCTIONS}?MaxItems=2&Marker=b"), "").json();
    assert_eq!((names(&second), second.get("NextMarker")), (vec![json!("c")], None));
    assert_eq!(scene.ask("GET", &format!("{FUNCTIONS}?MaxItems=0"), "").status, 400);
    let usage = scene.ask("GET", "/2016-08-19/account-settings", "").json();
    assert_eq!(usage["AccountUsage"]["FunctionCount"], 3);
}

#[test]
fn new_code_keeps_the_rest() {
    let mut scene = Scene::with(|function| {
        function.limits.timeout_ms = 9000;
        function.env.insert("MODE".into(), "x".into());
    });
    let told = scene.ask("PUT", &format!("{FUNCTIONS}/f/code"), json!({ "ZipFile": zip() }));
    assert_eq!(told.status, 200, "{}", told.text);
    let told = told.json();
    assert_eq!((&told["LastUpdateStatus"], &told["Timeout"]), (&json!("InProgress"), &json!(9)));
    let deployed = scene.deployed.take().unwrap();
    assert_eq!((deployed.entry.as_str(), deployed.env["MODE"].as_str()), ("app.handler", "x"));
    let told = scene.ask("PUT", &format!("{FUNCTIONS}/f/code"), json!({ "ZipFile": zip(), "RevisionId": "other" }));
    assert_eq!((told.status, told.header("x-amzn-errortype")), (412, "PreconditionFailedException"));
    let told = scene.ask("PUT", &format!("{FUNCTIONS}/f/code"), json!({ "ZipFile": zip(), "DryRun": true }));
    assert_eq!(told.status, 200);
    assert!(scene.deployed.is_none());
    // One that was not made by this API has a manifest of its own.
    let told =
        Scene::with(|function| function.dialect = "plain".into()).ask("PUT", &format!("{FUNCTIONS}/f/code"), json!({ "ZipFile": zip() }));
    assert_eq!(told.status, 400, "{}", told.text);
}

#[test]
fn a_configuration_changes_what_is_said_and_leaves_the_rest() {
    let mut scene = Scene::with(|function| {
        function.limits.timeout_ms = 9000;
        function.env.insert("MODE".into(), "x".into());
    });
    let path = format!("{FUNCTIONS}/f/configuration");
    let told = scene.ask("PUT", &path, json!({ "MemorySize": 256, "Handler": "app.other", "Runtime": "python3.13" }));
    assert_eq!(told.status, 200, "{}", told.text);
    let told = told.json();
    assert_eq!((&told["LastUpdateStatus"], &told["Timeout"], &told["MemorySize"]), (&json!("InProgress"), &json!(9), &json!(256)));
    assert_eq!((&told["Handler"], &told["Runtime"]), (&json!("app.other"), &json!("python3.13")));
    let deployed = scene.deployed.take().unwrap();
    assert_eq!((deployed.entry.as_str(), deployed.env["MODE"].as_str()), ("app.other", "x"));
    for (wish, status) in [
        (json!({ "Timeout": 901 }), 400),
        (json!({ "Runtime": "nodejs22.x" }), 400),
        (json!({ "Layers": ["arn"] }), 501),
        (json!({ "RevisionId": "other" }), 412),
    ] {
        assert_eq!(scene.ask("PUT", &path, &wish).status, status, "{wish}");
        assert!(scene.deployed.is_none(), "{wish}");
    }
}

#[test]
fn a_function_goes_away_once() {
    let mut scene = Scene::there();
    assert_eq!(scene.ask("DELETE", &format!("{FUNCTIONS}/f?Qualifier=$LATEST"), "").status, 400);
    assert!(!scene.removed);
    assert_eq!(scene.ask("DELETE", &format!("{FUNCTIONS}/f"), "").status, 200);
    assert_eq!(scene.ask("DELETE", &format!("{FUNCTIONS}/f"), "").status, 404);
}

fn replies(body: impl Into<Body>) -> Scene {
    Scene { reply: Some(Ok(Reply::new(StatusCode::OK, body))), ..Scene::there() }
}

fn fails(error: Error) -> Scene {
    Scene { reply: Some(Err(error)), ..Scene::there() }
}

const INVOKE: &str = "/2015-03-31/functions/f/invocations";

#[test]
fn a_call_brings_the_result_as_it_is() {
    let mut scene = replies(r#"{"got": 1}"#);
    let told = scene.ask("POST", INVOKE, r#"{"a":1}"#);
    assert_eq!((told.status, told.text.as_str()), (200, r#"{"got": 1}"#));
    assert_eq!((told.header("x-amz-executed-version"), told.header("x-amz-function-error")), ("$LATEST", ""));
    assert_eq!((told.header("x-amzn-requestid"), told.header("x-amz-log-result")), (ID, ""));
    let event = scene.called.unwrap();
    assert_eq!((event.id, event.body.as_bytes().unwrap().as_ref()), (Id(7), &br#"{"a":1}"#[..]));
    // Nothing is an empty object.
    let mut scene = replies("null");
    scene.ask("POST", INVOKE, "");
    assert_eq!(scene.called.unwrap().body.as_bytes().unwrap(), &b"{}"[..]);
}

#[test]
fn a_failure_is_an_answer() {
    let own = r#"{"errorMessage": "boom!", "errorType": "ValueError"}"#;
    let report = Report { document: own.into(), ..Report::default() };
    let check = |mut scene: Scene, expect: &str| {
        let told = scene.ask("POST", INVOKE, "{}");
        assert_eq!((told.status, told.header("x-amz-function-error"), told.text.as_str()), (200, "Unhandled", expect));
        assert_eq!(told.header("x-amz-executed-version"), "$LATEST");
    };
    check(fails(Error::new(Code::FunctionFailed, "it failed").with_report(report)), own);
    let late = format!(r#"{{"errorMessage":"RequestId: {ID} Error: Task timed out after 3.00 seconds","errorType":"Sandbox.Timedout"}}"#);
    check(fails(Error::new(Code::FunctionTimeout, "late")), &late);
    let large = r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#;
    check(replies(vec![b'x'; 6_291_557]), large);
}

#[test]
fn a_call_that_is_none_is_refused() {
    let check = |mut scene: Scene, headers: &[(&'static str, &str)], body: &[u8], status: u16, kind: &str| {
        let told = scene.ask_with("POST", INVOKE, headers, body.to_vec());
        assert_eq!((told.status, told.header("x-amzn-errortype")), (status, kind), "{}", told.text);
        assert!(scene.called.is_none() || status == 429);
        told.text
    };
    let text = check(replies(""), &[], b"{nope", 400, "InvalidRequestContentException");
    assert!(text.contains("Could not parse request body into json: "), "{text}");
    check(replies(""), &[], b"\"\xff\"", 400, "InvalidRequestContentException");
    check(replies(""), &[], &vec![b' '; 6_291_557], 413, "RequestTooLargeException");
    check(replies(""), &[("x-amz-invocation-type", "Later")], b"{}", 400, "ValidationException");
    check(replies(""), &[("x-amz-client-context", "!")], b"{}", 400, "InvalidRequestContentException");
    check(replies(""), &[("x-amz-client-context", "W10=")], b"{}", 400, "InvalidRequestContentException");
    let text = check(fails(Error::new(Code::Throttled, "full")), &[], b"{}", 429, "TooManyRequestsException");
    assert!(text.contains(r#""message":"Rate Exceeded.""#), "{text}");
}

#[test]
fn what_a_caller_says_beside_the_event_goes_with_it() {
    let mut scene = replies("1");
    let context = BASE64.encode(r#"{"custom":{"a":"b"}}"#);
    scene.ask_with("POST", "/2015-03-31/functions/f:$LATEST/invocations", &[("x-amz-client-context", &context)], "{}");
    let extensions = scene.called.unwrap().extensions;
    assert_eq!(extensions["awsclientcontext"], r#"{"custom":{"a":"b"}}"#);
    assert_eq!(extensions["awsqualifier"], "$LATEST");
}

#[test]
fn the_end_of_the_log_comes_along_where_it_is_wanted() {
    let mut scene = Scene { lines: vec!["START", "hello", "END"], ..replies("1") };
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-log-type", "Tail")], "{}");
    assert_eq!(BASE64.decode(told.header("x-amz-log-result")).unwrap(), b"START\nhello\nEND\n");
    let long = "ä".repeat(5000).leak();
    let mut scene = Scene { lines: vec![long, "END"], ..fails(Error::new(Code::FunctionTimeout, "late")) };
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-log-type", "Tail")], "{}");
    let tail = String::from_utf8(BASE64.decode(told.header("x-amz-log-result")).unwrap()).unwrap();
    assert!(tail.len() <= 4096 && tail.ends_with("ä\nEND\n"), "{}", tail.len());
}

#[test]
fn an_event_is_left_and_a_dry_run_runs_nothing() {
    let mut scene = Scene::there();
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-invocation-type", "Event")], "{}");
    assert_eq!((told.status, told.text.as_str(), told.header("x-amzn-requestid")), (202, "", ID));
    assert_eq!(scene.sent.take().unwrap().id, Id(7));
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-invocation-type", "DryRun")], "{}");
    assert_eq!((told.status, told.text.as_str()), (204, ""));
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-invocation-type", "Event")], vec![b' '; (1 << 20) + 1]);
    assert_eq!(told.status, 400, "spaces alone are no JSON");
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-invocation-type", "Event")], large);
    assert_eq!((told.status, told.header("x-amzn-errortype")), (413, "RequestTooLargeException"));
    assert!(scene.sent.is_none() && scene.called.is_none());
    let told = scene.ask("POST", "/2014-11-13/functions/f/invoke-async/", "{}");
    assert_eq!((told.status, told.json()), (202, json!({"Status": 202})));
    let told = Scene::default().ask_with("POST", INVOKE, &[("x-amz-invocation-type", "Event")], "{}");
    assert_eq!(told.status, 404);
}

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
    check("GET", of("2015-03-31", "versions"), 200, "");
    check("DELETE", of("2017-10-31", "concurrency"), 204, "");
    check("PUT", of("2017-10-31", "concurrency"), 501, "NotImplementedException");
    check("POST", of("2015-03-31", "versions"), 501, "NotImplementedException");
    check("POST", of("2015-03-31", "aliases"), 501, "NotImplementedException");
    check("POST", of("2015-03-31", "policy"), 501, "NotImplementedException");
    check("POST", "/2015-03-31/event-source-mappings/".into(), 501, "NotImplementedException");
    check("PATCH", "/nowhere".into(), 501, "NotImplementedException");
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
