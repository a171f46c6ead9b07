//! The aws door: whatever a client of AWS says, there is an answer, and after few turns.

use std::sync::LazyLock;

use bytes::Bytes;
use mote_core::Error;
use mote_core::action::{Action, CallerInfo, Done};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::{Dialect, Encoded, Parsed, Stamp, TURNS_MAX, Turn};
use mote_core::engine::pull::PulledHead;
use mote_core::engine::{Answer, Output, Payload};
use mote_core::error::Code;
use mote_core::event::{Event, StoredEvent};
use mote_core::function::timer::FIRED;
use mote_core::function::{Family, Name};
use mote_core::queues::batch::{BATCH, Batch};
use mote_core::reply::Reply;
use mote_core::rule::Rule;
use mote_core::store::{BucketInfo, LogLine, LogSource, ObjectInfo, ObjectList, ObjectMeta};
use mote_core::topic::Published;
use mote_dialects::aws::{Account, Aws, Keys};
use serde_json::Value;

static AWS: LazyLock<Aws> = LazyLock::new(|| Aws::new(Account::default(), Keys::Local));

/// `service target path\nbody`; a target of `-` is none.
pub fn aws_api(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, body) = data.split_at(end);
    let Ok(line) = std::str::from_utf8(line) else { return };
    let mut words = line.split(' ');
    let (service, target, path) = (words.next().unwrap_or_default(), words.next().unwrap_or("-"), words.next().unwrap_or("/"));
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential=k/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature={}",
        "0".repeat(64)
    );
    let method = if path.contains("?notification") { http::Method::PUT } else { http::Method::POST };
    let mut request =
        http::Request::builder().method(method).uri(path).header("host", "localhost").header("x-amz-date", "20260101T000000Z");
    request = request.header("authorization", signed);
    if target != "-" {
        request = request.header("x-amz-target", target);
    }
    let body = Bytes::copy_from_slice(body.strip_prefix(b"\n").unwrap_or_default());
    let Ok(request) = request.body(body.into()) else { return };
    let stamp = Stamp { id: Id(1), time: Timestamp(1), peer: "127.0.0.1".into(), origin: "http://localhost".into() };
    let Ok(Parsed::Turn(mut turn)) = AWS.parse(request, &stamp) else { return };
    for _ in 0..TURNS_MAX {
        turn = match turn {
            Turn::Read { body, then, .. } => then(Ok(body.as_bytes().cloned().unwrap_or_default())),
            Turn::Do { what: Action::WhoAmI, then, .. } => {
                then(Ok(Done::Caller(CallerInfo { namespace: Name::default_namespace(), name: "admin".into() })))
            }
            Turn::Do { what: Action::List { .. } | Action::ListVersions { .. }, then, .. } => {
                then(Ok(Done::Functions(vec![mote_testkit::function("f").into()])))
            }
            Turn::Do { what: Action::ListBuckets { .. }, then, .. } => {
                then(Ok(Done::Buckets(vec![BucketInfo { name: "photos".into(), created: Timestamp(0), tags: Default::default() }])))
            }
            Turn::Do { what: Action::ListBound { .. }, then, .. } => then(Ok(Done::Bound(Vec::new()))),
            Turn::Do { what: Action::ListTopics { .. }, then, .. } => then(Ok(Done::Topics(Vec::new()))),
            Turn::Do { what: Action::ShowTopic { .. } | Action::Subscribe { .. }, then, .. } => then(Ok(Done::Subscribers(Vec::new()))),
            Turn::Do { what: Action::Publish { topic, event, .. }, then, .. } => {
                then(Ok(Done::Published(Published { topic, ids: vec![event.id], deliveries: 1 })))
            }
            Turn::Do { what: Action::ShowRule { .. }, then, .. } => then(Ok(Done::Rule(Box::new(rule()), 1))),
            Turn::Do { what: Action::ListRules { .. }, then, .. } => then(Ok(Done::Rules(vec![rule().into()]))),
            Turn::Do { what: Action::SetRule { rule, .. }, then, .. } => {
                told(&rule);
                then(Ok(Done::Nothing))
            }
            Turn::Do { what: Action::Logs { .. }, then, .. } => then(Ok(Done::Lines(lines()))),
            Turn::Do { what: Action::ShowQueue { .. }, then, .. } => then(Err(Error::new(Code::QueueNotFound, "there is none"))),
            Turn::Do { what: Action::SettleMessages { .. }, then, .. } => then(Ok(Done::Settled(vec![None]))),
            Turn::Do { what: Action::Call { .. }, then, .. } => then(Ok(Done::Reply(Reply::new(http::StatusCode::OK, "null")))),
            Turn::Do { what: Action::ReadFile { key, .. }, then, .. } if key.starts_with("apis/") => {
                let info = object(&key);
                then(Ok(Done::Object(info, REST_API.into())))
            }
            Turn::Do { what: Action::ReadFile { .. }, then, .. } => then(Err(Error::new(Code::ObjectNotFound, "there is none"))),
            Turn::Do { what: Action::ListFiles { .. }, then, .. } => then(Ok(Done::Objects(ObjectList::default()))),
            Turn::Do { what: Action::Describe { .. }, then, .. } => then(Err(Error::new(Code::FunctionNotFound, "there is none"))),
            Turn::Do { then, .. } => then(Ok(Done::Nothing)),
            Turn::Pour { then, .. } => then(Ok(())),
            Turn::Answer(response) => {
                let status = response.status().as_u16();
                assert!((200..600).contains(&status) && status != 500, "{status}");
                return;
            }
        };
    }
    panic!("no answer in {TURNS_MAX} turns");
}

/// What is kept of an API, with a path that leads elsewhere than the others.
const REST_API: &str = r#"{"id":"abcdefghij","name":"shop","created":1,"endpoint":"EDGE","routes":[
    {"path":"/","method":"GET","does":{"call":{"function":"f"}}},
    {"path":"/{p+}","method":"ANY","does":{"call":{"function":"g","qualifier":"live"}}},
    {"path":"/{p+}","method":"OPTIONS","does":{"say":{"status":200,"headers":{"a":"b"}}}}],
    "deployments":[{"id":"abc","created":1,"routes":[{"path":"/","method":"GET","does":{"call":{"function":"f"}}}]}],
    "stages":{"api":{"deployment":"abc","created":1,"updated":1}}}"#;

fn object(key: &str) -> ObjectInfo {
    let meta = ObjectMeta::default();
    ObjectInfo { bucket: "files".into(), key: key.into(), size: 0, etag: String::new(), modified: Timestamp(1), meta }
}

fn lines() -> Vec<LogLine> {
    let line = |time| LogLine {
        time: Timestamp(time),
        namespace: "default".into(),
        function: "f".into(),
        version: 1,
        invocation: Some(Id(1)),
        stream: LogSource::Stdout,
        text: "disk full".into(),
    };
    [5, 5, 7].map(line).into()
}

fn rule() -> Rule {
    Rule {
        namespace: Name::default_namespace(),
        group: "bus.default".parse().expect("a name"),
        name: "r".parse().expect("a name"),
        dialect: "aws".into(),
        on: None,
        timer: None,
        enabled: true,
        since: Timestamp(0),
        ends: false,
        targets: Vec::new(),
        about: Default::default(),
    }
}

/// What was taken can be told: to each target, of an event and of a fire, and no more than it may get.
fn told(rule: &Rule) {
    let body = br#"{"id":"7","detail":{"a":[1,"x"]},"source":"s"}"#;
    let put = StoredEvent { body: Bytes::from_static(body), ..StoredEvent::new(Id(7), "s", "t", Timestamp(5)) };
    for event in [put, StoredEvent::new(Id(7), "/timers/r", FIRED, Timestamp(5))] {
        for target in &rule.targets {
            let told = AWS.tell(rule, target, &event).expect("what was taken can be told");
            assert!(told.body.len() <= 256 << 10);
        }
    }
}

/// What a function is called with for a queue, and what it answers: each of them, in either place. What
/// names too much, or nothing that is one, names what no batch has.
pub fn queue_batches(data: &[u8]) {
    let call = || {
        let event = Event::new(Id(1), "/queues/q", BATCH, Timestamp(0), Bytes::copy_from_slice(data));
        crate::invocation(Family::Python, event)
    };
    let Ok(Encoded::Run(payload)) = AWS.encode(&mut call()) else { panic!("a batch is passed on, whatever it is") };
    let records = payload.body.as_bytes().expect("it is at hand");
    match Batch::read(data) {
        Some(batch) => {
            let told: Value = serde_json::from_slice(records).expect("records are JSON");
            assert_eq!(told["Records"].as_array().map(Vec::len), Some(batch.messages.len()));
        }
        None => assert_eq!(&records[..], data),
    }
    let head = PulledHead::default().write().expect("a plain head");
    let payload = Payload { head, body: Bytes::copy_from_slice(data).into() };
    let reply = AWS.decode(&call(), Output { answer: Answer::Reply(payload), timing: Default::default() }).expect("an answer");
    let told: Value = serde_json::from_slice(reply.body.as_bytes().expect("it is at hand")).expect("JSON");
    assert!(told["failed"].as_array().is_some_and(|failed| failed.len() <= 10_000));
}
