//! Lambda functions over HTTP: what anybody sends to a function URL, and what a function makes of it.

use std::sync::LazyLock;

use bytes::Bytes;
use mote_core::Body;
use mote_core::action::Action;
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::{Dialect, Encoded, Parsed, Reads, Turn};
use mote_core::engine::pull::PulledHead;
use mote_core::engine::{Answer, Invocation, Output, Payload};
use mote_core::event::{Event, HttpRequest};
use mote_core::function::{Family, HttpRoute};
use mote_dialects::aws::{Account, Aws, Keys};
use serde_json::json;

static AWS: LazyLock<Aws> = LazyLock::new(|| Aws::new(Account::default(), Keys::Local).public());

/// A request: one that is a function URL's leads to no other path, and its event is JSON.
pub fn aws_urls(data: &[u8]) {
    let Some(request) = crate::request(data) else { return };
    let event = match AWS.parse(request, &crate::stamp()) {
        Ok(Parsed::Action(_, Action::Call { event, .. })) => event,
        Ok(Parsed::Turn(Turn::Read { body, then, .. })) => match then(Ok(body.as_bytes().cloned().unwrap_or_default())) {
            Turn::Do { what: Action::Call { event, .. }, .. } => event,
            _ => return,
        },
        _ => return,
    };
    let request = event.request.as_deref().expect("it came over HTTP");
    let path = request.path.strip_prefix("/@").and_then(|path| path.find('/').map(|at| &path[at..])).unwrap_or(&request.path);
    assert!(path.starts_with("/lambda-url/"), "{path}");
    if let Ok(Encoded::Run(payload)) = AWS.encode(&mut call(event)) {
        let event: serde_json::Value = serde_json::from_slice(payload.body.as_bytes().expect("it is whole")).expect("an event is JSON");
        assert_eq!(event["version"], "2.0");
    }
}

/// A result, in each form that a route has: the form of its stream, if it is one, comes first.
pub fn aws_results(data: &[u8]) {
    let (kind, body) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let head = PulledHead { content_type: String::from_utf8_lossy(kind).into_owned(), streams: body.len() % 2 == 0 };
    let head = head.write().expect("a head is JSON");
    let body = Bytes::copy_from_slice(body.strip_prefix(b"\n").unwrap_or_default());
    for payload in ["1.0", "2.0", "url"] {
        let mut event = Event::new(Id(1), "/fuzz", "fuzz", Timestamp(0), "");
        let route = HttpRoute { about: [("payload".to_owned(), json!(payload))].into_iter().collect(), ..HttpRoute::default() };
        event.request = Some(HttpRequest { route: Some(route.into()), ..HttpRequest::default() }.into());
        let call = call(event);
        if let Some(Reads::Whole { bytes_max } | Reads::UpTo { bytes_max, .. }) = AWS.reads_reply(&call, &head) {
            assert!(bytes_max <= 6_291_556);
        }
        let answer = Answer::Reply(Payload { head: head.clone(), body: Body::from(body.clone()) });
        if let Ok(reply) = AWS.decode(&call, Output { answer, timing: Default::default() }) {
            assert!((200..600).contains(&reply.status.as_u16()), "{}", reply.status);
            for name in [http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING, http::header::CONNECTION] {
                assert!(!reply.headers.contains_key(&name), "{name}");
            }
        }
    }
}

fn call(event: Event) -> Invocation {
    crate::invocation(Family::Python, event)
}
