//! The frames between mote and a runner: this text is the protocol, the code below its one parser.
//!
//! A runner is the program that holds a function's code inside the jail (`runners/`). It inherits
//! a connected stream Unix socket as file descriptor 3. Both sides write frames:
//!
//! ```text
//! u32 LE payload length (at most 1 MiB) | u8 kind | u32 LE call id | payload
//! ```
//!
//! | mote → runner | payload |
//! |---|---|
//! | 1 START | JSON `{"dialect","entry","function","version","namespace","concurrency","dev"}`; once, first, id 0. For a standby also `"env"`, an object: its whole environment |
//! | 2 CALL | `u32 LE head length`, head, the whole body |
//! | 3 CALL_OPEN | the same with the body so far; BODY frames follow |
//! | 4 BODY | a piece of the body |
//! | 5 BODY_END | empty |
//! | 6 BODY_ABORT | empty: the body's source failed, the rest never comes |
//! | 7 CANCEL | empty: nobody waits for this call any more |
//! | 8 CREDIT | u32 LE: the runner may send so many more bytes in CHUNK frames of this call |
//!
//! | runner → mote | payload |
//! |---|---|
//! | 64 READY | JSON of core's `Signature`; once, before any call is sent, id 0 |
//! | 65 START_FAILED | JSON of core's `Report` (`type`, `message`, `trace`); the runner then exits |
//! | 66 REPLY | `u32 LE head length`, head, the whole body; ends the call |
//! | 67 REPLY_OPEN | the same with the body so far; CHUNK frames follow |
//! | 68 CHUNK | a piece of the reply |
//! | 69 END | empty; ends the call after REPLY_OPEN |
//! | 70 FAILED | JSON `{"code","type","message","trace","last"}`; ends the call, also in the middle of a stream. `last`: the process ends with it, and is to get no other call |
//! | 71 LOG | `u8` 1 stdout or 2 stderr, then UTF-8 text, at most [`LOG_BYTES_MAX`]; id 0 if it belongs to no call |
//! | 72 CREDIT | u32 LE: mote may send so many more bytes in BODY frames of this call |
//!
//! **Heads** belong to the dialect; nobody between the dialect and the runner's half of it reads them.
//!
//! **Calls.** mote picks an id that no running call has. A runner gets up to `concurrency` calls at
//! a time. A call ends with REPLY, END or FAILED, and only then is its place free. A runner may end
//! a call before it has read the whole body; frames that cross on the way (BODY, BODY_END,
//! BODY_ABORT, CANCEL or CREDIT of a call that is over) are to be ignored by the runner. After its
//! end a call may only be named by LOG.
//!
//! **Cancel.** After CANCEL the runner still ends the call, in any of the three ways, as soon as it
//! can; a writer that waits for credit must wake up for it. What it sends for that call meanwhile
//! is dropped.
//!
//! **Windows.** Each call begins with [`WINDOW_BYTES`] of credit in each direction, counted in
//! payload bytes of BODY and CHUNK; what CALL_OPEN and REPLY_OPEN carry does not count. The reader
//! gives credit back as its consumer takes bytes. Who overruns a window breaks the protocol.
//!
//! **Sizes.** A body goes whole (CALL, REPLY) if it is at hand and has at most
//! [`WHOLE_BYTES_MAX`], otherwise in pieces of at most [`PIECE_BYTES_MAX`].
//!
//! **End.** A closed socket means that the other side is gone: the runner exits at once. A runner
//! that breaks the protocol is killed, with a line in the function's log that says how.
//!
//! Not here: sockets and tasks (`instance.rs`). Nothing below allocates by a length it was told.

use std::collections::BTreeMap;
use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mote_core::engine::Failure;
use mote_core::error::Report;
use mote_core::function::Signature;
use mote_core::store::LogSource;
use serde::{Deserialize, Serialize};

/// Of one frame's payload.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Credit of a call in each direction when it begins.
pub const WINDOW_BYTES: u32 = 256 << 10;
/// The largest body that goes within CALL.
pub const WHOLE_BYTES_MAX: usize = 256 << 10;
/// The largest BODY frame that mote sends.
pub const PIECE_BYTES_MAX: usize = 64 << 10;

/// The most text in a LOG frame: each line of it costs far more than its bytes.
pub const LOG_BYTES_MAX: usize = 64 << 10;

const FRAME_HEADER_BYTES: usize = 9;

/// What the runner is told before anything else.
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    pub dialect: String,
    pub entry: String,
    pub function: String,
    pub version: u64,
    pub namespace: String,
    pub concurrency: u32,
    pub dev: bool,
    /// Of a runner that was started without its function's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
}

/// What mote says.
#[derive(Debug, Clone, Copy)]
pub enum ToRunner<'a> {
    Start(&'a Start),
    Call { head: &'a [u8], body: &'a [u8] },
    CallOpen { head: &'a [u8], body: &'a [u8] },
    Body(&'a [u8]),
    BodyEnd,
    BodyAbort,
    Cancel,
    Credit(u32),
}

impl ToRunner<'_> {
    /// Appends the frame. What is too large for one is refused and leaves `out` as it was.
    pub fn encode(self, call: u32, out: &mut BytesMut) -> Result<(), Broken> {
        match self {
            ToRunner::Start(start) => {
                let json = serde_json::to_vec(start).map_err(|error| Broken(format!("START can't be written: {error}")))?;
                frame(out, 1, call, &[&json])
            }
            ToRunner::Call { head, body } => message(out, 2, call, head, body),
            ToRunner::CallOpen { head, body } => message(out, 3, call, head, body),
            ToRunner::Body(piece) => frame(out, 4, call, &[piece]),
            ToRunner::BodyEnd => frame(out, 5, call, &[]),
            ToRunner::BodyAbort => frame(out, 6, call, &[]),
            ToRunner::Cancel => frame(out, 7, call, &[]),
            ToRunner::Credit(bytes) => frame(out, 8, call, &[&bytes.to_le_bytes()]),
        }
    }
}

fn message(out: &mut BytesMut, kind: u8, call: u32, head: &[u8], body: &[u8]) -> Result<(), Broken> {
    frame(out, kind, call, &[&(head.len() as u32).to_le_bytes(), head, body])
}

fn frame(out: &mut BytesMut, kind: u8, call: u32, parts: &[&[u8]]) -> Result<(), Broken> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length > PAYLOAD_BYTES_MAX {
        return Err(Broken(format!("a frame of kind {kind} would have {length} bytes; {PAYLOAD_BYTES_MAX} is the limit")));
    }
    out.reserve(FRAME_HEADER_BYTES + length);
    out.put_u32_le(length as u32);
    out.put_u8(kind);
    out.put_u32_le(call);
    parts.iter().for_each(|part| out.put_slice(part));
    Ok(())
}

/// What a runner says. Payloads share the read buffer's memory.
#[derive(Debug)]
pub enum FromRunner {
    Ready(Box<Signature>),
    StartFailed(Report),
    Reply { head: Bytes, body: Bytes },
    ReplyOpen { head: Bytes, body: Bytes },
    Chunk(Bytes),
    End,
    Failed { failure: Failure, last: bool },
    Log { source: LogSource, text: String },
    Credit(u32),
}

impl FromRunner {
    /// Takes the next frame off `buffer`; `None` if it is not all there yet.
    pub fn decode(buffer: &mut BytesMut) -> Result<Option<(u32, FromRunner)>, Broken> {
        let Some((header, rest)) = buffer.split_at_checked(FRAME_HEADER_BYTES) else { return Ok(None) };
        let mut header = header;
        let (length, kind, call) = (header.get_u32_le() as usize, header.get_u8(), header.get_u32_le());
        if length > PAYLOAD_BYTES_MAX {
            return Err(Broken(format!("a frame of kind {kind} claims {length} bytes; {PAYLOAD_BYTES_MAX} is the limit")));
        }
        if rest.len() < length {
            return Ok(None);
        }
        buffer.advance(FRAME_HEADER_BYTES);
        FromRunner::parse(kind, buffer.split_to(length).freeze()).map(|said| Some((call, said)))
    }

    fn parse(kind: u8, payload: Bytes) -> Result<FromRunner, Broken> {
        Ok(match kind {
            64 => FromRunner::Ready(Box::new(json("READY", &payload)?)),
            65 => FromRunner::StartFailed(json("START_FAILED", &payload)?),
            66 => split(payload).map(|(head, body)| FromRunner::Reply { head, body })?,
            67 => split(payload).map(|(head, body)| FromRunner::ReplyOpen { head, body })?,
            68 => FromRunner::Chunk(payload),
            69 => FromRunner::End,
            70 => {
                let failed: Failed = json("FAILED", &payload)?;
                FromRunner::Failed { failure: Failure { code: failed.code, report: failed.report }, last: failed.last }
            }
            71 => log(&payload)?,
            72 => FromRunner::Credit(u32::from_le_bytes(payload.as_ref().try_into().map_err(|_| Broken("CREDIT without a u32".into()))?)),
            other => return Err(Broken(format!("unknown frame kind {other}"))),
        })
    }
}

/// `Failure` on the wire: one flat object, so that a runner has nothing to nest.
#[derive(Deserialize)]
struct Failed {
    #[serde(default)]
    code: String,
    #[serde(default)]
    last: bool,
    #[serde(flatten)]
    report: Report,
}

fn json<'a, T: Deserialize<'a>>(what: &str, payload: &'a [u8]) -> Result<T, Broken> {
    serde_json::from_slice(payload).map_err(|error| Broken(format!("{what} can't be read: {error}")))
}

fn split(mut payload: Bytes) -> Result<(Bytes, Bytes), Broken> {
    let short = || Broken("a reply that is shorter than its head".into());
    let length = payload.try_get_u32_le().map_err(|_| short())? as usize;
    if length > payload.len() {
        return Err(short());
    }
    let head = payload.split_to(length);
    Ok((head, payload))
}

fn log(payload: &[u8]) -> Result<FromRunner, Broken> {
    let source = match payload.first() {
        Some(1) => LogSource::Stdout,
        Some(2) => LogSource::Stderr,
        _ => return Err(Broken("LOG of a stream that is neither stdout nor stderr".into())),
    };
    let text = payload.get(1..).unwrap_or_default();
    if text.len() > LOG_BYTES_MAX {
        return Err(Broken(format!("LOG of {} bytes; {LOG_BYTES_MAX} is the limit", text.len())));
    }
    let text = String::from_utf8_lossy(text).into_owned();
    Ok(FromRunner::Log { source, text })
}

/// How the other side broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

#[cfg(test)]
#[path = "wire/tests.rs"]
mod tests;
