//! The aws door: whatever a client of AWS says, there is an answer, and after few turns.

use std::sync::LazyLock;

use bytes::Bytes;
use mote_core::Error;
use mote_core::action::{Action, CallerInfo, Done};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::{Dialect, Parsed, Stamp, TURNS_MAX, Turn};
use mote_core::error::Code;
use mote_core::function::Name;
use mote_dialects::aws::{Account, Aws, Keys};

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
    let mut request = http::Request::post(path).header("host", "localhost").header("x-amz-date", "20260101T000000Z");
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
            Turn::Do { what: Action::ShowQueue { .. }, then, .. } => then(Err(Error::new(Code::QueueNotFound, "there is none"))),
            Turn::Do { what: Action::SettleMessages { .. }, then, .. } => then(Ok(Done::Settled(vec![None]))),
            Turn::Do { then, .. } => then(Ok(Done::Nothing)),
            Turn::Answer(response) => {
                let status = response.status().as_u16();
                assert!((200..600).contains(&status) && status != 500, "{status}");
                return;
            }
        };
    }
    panic!("no answer in {TURNS_MAX} turns");
}
