//! The fuzz targets: each takes any bytes, must not panic, and checks what has to hold of whatever
//! was accepted. `fuzz_targets/` runs them under libFuzzer, `tests/smoke.rs` on stable.
//!
//! Deliberately through public interfaces only: what no caller can reach needs no fuzzing.

mod access;
mod aws;
mod aws_http;
mod events;
mod messages;
mod pulls;
mod s3;
mod schedules;
pub mod seeds;

pub use access::credentials;
pub use aws::{aws_api, queue_batches};
pub use aws_http::{aws_results, aws_urls};
pub use events::{cloud_events, filters, signatures};
pub use messages::{messages, receipts};
pub use pulls::runtime_api;
pub use s3::s3_request;
pub use schedules::schedules;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mote_core::Body;
use mote_core::action::Done;
use mote_core::bundle::{Bundle, FILES_MAX};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::{Dialect, Encoded, Parameters, Parsed, Request, Stamp};
use mote_core::engine::exchange::{RequestHead, ResponseHead};
use mote_core::engine::{Answer, Failure, Invocation, Output, Payload};
use mote_core::error::Report;
use mote_core::event::Event;
use mote_core::function::{Digest, Family, Function, Name, Parameter, Runtime};
use mote_dialects::aws::{Account, Aws, Keys};
use mote_dialects::plain::Plain;
use mote_engine_process::egress::dns;
use mote_engine_process::wire::FromRunner;

/// A target and the inputs that mutation begins with.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many of the cheapest target's inputs one of this costs.
    pub cost: u64,
}

pub const TARGETS: &[Target] = &[
    Target { name: "bundle", run: bundle, seeds: seeds::archives, cost: 1 },
    Target { name: "manifest", run: manifest, seeds: seeds::manifests, cost: 1 },
    Target { name: "templates", run: templates, seeds: seeds::templates, cost: 3 },
    Target { name: "names", run: names, seeds: seeds::names, cost: 1 },
    Target { name: "schedules", run: schedules, seeds: seeds::schedules, cost: 1 },
    Target { name: "filters", run: filters, seeds: seeds::filters, cost: 1 },
    Target { name: "cloud_events", run: cloud_events, seeds: seeds::cloud_events, cost: 1 },
    Target { name: "signatures", run: signatures, seeds: seeds::signatures, cost: 1 },
    Target { name: "control_api", run: control_api, seeds: seeds::control_requests, cost: 1 },
    Target { name: "public_call", run: public_call, seeds: seeds::public_requests, cost: 1 },
    Target { name: "reply_head", run: reply_head, seeds: seeds::reply_heads, cost: 1 },
    Target { name: "server_heads", run: server_heads, seeds: seeds::server_heads, cost: 1 },
    Target { name: "runtime_api", run: runtime_api, seeds: seeds::runtime_requests, cost: 1 },
    Target { name: "frames", run: frames, seeds: seeds::frames, cost: 1 },
    Target { name: "dns", run: dns, seeds: seeds::questions, cost: 1 },
    Target { name: "mqtt_packets", run: mqtt_packets, seeds: seeds::mqtt_packets, cost: 1 },
    Target { name: "messages", run: messages, seeds: seeds::messages, cost: 1 },
    Target { name: "queue_batches", run: queue_batches, seeds: seeds::queue_batches, cost: 1 },
    Target { name: "receipts", run: receipts, seeds: seeds::receipts, cost: 1 },
    Target { name: "credentials", run: credentials, seeds: seeds::credentials, cost: 1 },
    Target { name: "aws_api", run: aws_api, seeds: seeds::aws_requests, cost: 5 },
    Target { name: "aws_urls", run: aws_urls, seeds: seeds::aws_urls, cost: 1 },
    Target { name: "aws_results", run: aws_results, seeds: seeds::aws_results, cost: 1 },
    Target { name: "s3_request", run: s3_request, seeds: seeds::s3_requests, cost: 20 },
];

/// What a device sends, of either version.
pub fn mqtt_packets(data: &[u8]) {
    mote_mqtt::fuzz::packets(data);
}

/// An archive: whatever is taken stays below its root.
pub fn bundle(data: &[u8]) {
    let Ok(bundle) = Bundle::unpack(data) else { return };
    assert!(bundle.files().len() <= FILES_MAX);
    for (path, _) in bundle.files() {
        assert!(!path.starts_with('/') && !path.contains('\0'), "{path:?}");
        assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
    }
}

/// A mote.toml beside a few files: whatever is taken can be run.
pub fn manifest(data: &[u8]) {
    let mut bundle = Bundle::default();
    for (path, content) in [("mote.toml", Bytes::copy_from_slice(data)), ("a.py", Bytes::new()), ("b.js", Bytes::new())] {
        bundle.insert(path, content, false).expect("the paths are good");
    }
    let Ok(Some(manifest)) = Plain::public().manifest(&bundle, &Default::default()) else { return };
    let deployments = manifest.functions;
    assert!(!deployments.is_empty());
    for one in deployments {
        let file = one.entry.split(':').next().unwrap_or_default();
        assert!(bundle.file(file).is_some(), "the entry {:?} is no file", one.entry);
        assert!(one.limits.instances_min <= one.limits.instances_max && one.limits.timeout_ms > 0);
    }
}

/// A manifest of AWS's tools beside the code that it names: whatever is taken can be run.
pub fn templates(data: &[u8]) {
    for file in ["template.yaml", "serverless.yml", ".chalice/config.json", "Cargo.toml"] {
        template(file, &[(file, data)]);
    }
    template("app.py", &[(".chalice/config.json", br#"{"app_name":"shop"}"#), ("app.py", data), ("chalicelib/more.py", data)]);
}

fn template(what: &str, files: &[(&str, &[u8])]) {
    let mut bundle = Bundle::default();
    let code: [(&str, &[u8]); 4] = [("src/app.py", b""), ("bootstrap", b""), ("src/main.rs", b""), ("target/lambda/shop/bootstrap", b"")];
    // What nobody has built is no package of Lambda's.
    for (path, content) in files.iter().chain(&code).filter(|(path, _)| what == "Cargo.toml" || !path.starts_with("target")) {
        bundle.insert(path, Bytes::copy_from_slice(content), false).expect("the paths are good");
    }
    let aws = Aws::new(Account::default(), Keys::default());
    let Ok(Some(manifest)) = aws.manifest(&bundle, &Parameters::default()) else { return };
    for one in manifest.functions {
        assert!(one.name.is_some() && one.files.is_some_and(|files| files.files().len() > 0), "a function without a name or files");
        assert!(one.limits.instances_min <= one.limits.instances_max && one.limits.timeout_ms > 0);
    }
}

/// Names of all kinds: what is taken survives being written and read again.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = Name::new(text) {
        assert!(name.as_str() == text && !text.is_empty() && !text.contains(['/', '\0']) && !text.starts_with('.'));
    }
    if let Ok(runtime) = text.parse::<Runtime>() {
        assert!(runtime.to_string() == text && !text.contains('/'));
    }
    if let Ok(digest) = Digest::try_from(text.to_owned()) {
        assert_eq!(digest.to_string(), text.to_lowercase());
    }
    if let Ok(id) = text.parse::<Id>() {
        assert_eq!(id.to_string().parse::<Id>(), Ok(id));
    }
}

/// A request of the control door; the answer to a refusal is a response with an error's status.
pub fn control_api(data: &[u8]) {
    let Some(request) = request(data) else { return };
    match Plain::control().parse(request, &stamp()) {
        Ok(_) => {}
        Err(error) => {
            let response = Plain::control().render(Err::<Done, _>(error));
            assert!(response.status().is_client_error(), "{}", response.status());
        }
    }
}

/// The heads of a call to a server: whatever is read survives being written and read again.
pub fn server_heads(data: &[u8]) {
    if let Ok(head) = RequestHead::read(data) {
        assert_eq!(RequestHead::read(&head.write().expect("a head is JSON")).expect("it was written just now"), head);
    }
    if let Ok(head) = ResponseHead::read(data) {
        assert_eq!(ResponseHead::read(&head.write().expect("a head is JSON")).expect("it was written just now"), head);
    }
}

/// A request of the public door, encoded for each family of runtimes.
pub fn public_call(data: &[u8]) {
    for family in Family::ALL {
        let Some(request) = request(data) else { return };
        let Ok(Parsed::Action(_, mote_core::action::Action::Call { event, .. })) = Plain::public().parse(request, &stamp()) else { return };
        let mut call = invocation(*family, event);
        if let Ok(Encoded::Run(payload)) = Plain::public().encode(&mut call) {
            let head: serde_json::Value = serde_json::from_slice(&payload.head).expect("a head is JSON");
            assert!(head.is_object());
        }
    }
}

/// A message to a jail's name server, and what a server of the host says to it: every answer is
/// one to that question, and none is longer than a datagram of old.
pub fn dns(data: &[u8]) {
    let question = match dns::read(data) {
        Ok(question) => question,
        Err(refusal) => return assert!(refusal.is_empty() || (refusal.len() == 12 && refusal[3] & 15 != 0)),
    };
    assert!(question.name.len() <= 3 * 255 && !question.name.ends_with('.') && question.name == question.name.to_lowercase());
    let name = question.reverse().map_or_else(|| question.name.clone(), |address| address.to_string());
    use dns::Answer::{Address, Failed, Name, NoSuchName, Nothing};
    for answer in [Nothing, NoSuchName, Failed, Address([198, 18, 0, 1].into()), Name(name)] {
        let bytes = question.answer(&answer);
        assert!(bytes[..2] == data[..2] && bytes[2] & 0x80 != 0 && bytes.len() <= 12 + 259 + 267 + 12, "{bytes:02x?}");
    }
    let out = question.forwarded(7);
    assert_eq!(dns::read(&out).map(|again| again.name), Ok(question.name.clone()));
    assert!(question.relayed(7, data.to_vec()).is_none(), "a question is no answer");
}

/// What a function's runner says of a reply, or of a failure: it may not smuggle what is the server's.
pub fn reply_head(data: &[u8]) {
    let call = invocation(Family::Python, Event::new(Id(1), "/fuzz", "fuzz", Timestamp(0), ""));
    let payload = Payload { head: Bytes::copy_from_slice(data), body: Body::from("x") };
    if let Ok(reply) = Plain::public().decode(&call, Output { answer: Answer::Reply(payload), timing: Default::default() }) {
        assert!(reply.status.as_u16() >= 200);
        for name in [http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING, http::header::CONNECTION] {
            assert!(!reply.headers.contains_key(&name), "{name}");
        }
    }
    let text = String::from_utf8_lossy(data).into_owned();
    let failure =
        Failure { code: text.clone(), report: Report { kind: text.clone(), message: text.clone(), trace: text.clone(), document: text } };
    assert!(Plain::public().decode(&call, Output { answer: Answer::Failed(failure), timing: Default::default() }).is_err());
}

/// The bytes on a runner's socket, cut anywhere.
pub fn frames(data: &[u8]) {
    let (cut, data) = data.split_first().map_or((0, data), |(cut, rest)| (usize::from(*cut).min(rest.len()), rest));
    let mut buffer = BytesMut::new();
    for piece in [&data[..cut], &data[cut..]] {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            match FromRunner::decode(&mut buffer) {
                Ok(Some(_)) => assert!(buffer.len() < before),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// Lines: method, URI, headers; an empty line; the body. As loose as HTTP's own types allow.
fn request(data: &[u8]) -> Option<Request> {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &data[data.len()..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let method = Method::from_bytes(lines.next()?).ok()?;
    let uri = http::Uri::try_from(lines.next()?).ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        headers.append(HeaderName::from_bytes(&line[..at]).ok()?, HeaderValue::from_bytes(&line[at + 1..]).ok()?);
    }
    let mut request = Request::new(Body::from(body.to_vec()));
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    Some(request)
}

fn stamp() -> Stamp {
    Stamp { id: Id(1), time: Timestamp(1_767_225_600_000), peer: "127.0.0.1".to_owned(), origin: "http://127.0.0.1:8080".to_owned() }
}

fn invocation(family: Family, event: Event) -> Invocation {
    let signature = mote_core::function::Signature {
        parameters: vec![Parameter { name: "event".to_owned(), ..Default::default() }],
        ..Default::default()
    };
    let function = Function { runtime: family.into(), signature, ..mote_testkit::function("fuzz") };
    Invocation {
        id: Id(3),
        function: Arc::new(function),
        event,
        deadline: Timestamp(0),
        attempt: 1,
        called: Default::default(),
        opening: Default::default(),
    }
}
