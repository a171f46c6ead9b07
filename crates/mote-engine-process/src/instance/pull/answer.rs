//! What a runtime posts: an answer, a failure, or that it can't start.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use mote_core::engine::pull::PulledHead;
use mote_core::engine::{Answer, Failure, Payload};
use mote_core::error::Report;
use mote_core::{Code, Error, Result};

use super::streamed::{self, Piece};
use super::{Api, Begun, Phase, Turn};
use crate::instance::Instance;
use crate::limits::Limit;
use crate::runtime_api::{self, RESPONSE_BYTES_MAX, Refusal, broken_off, report, too_large};

/// Of what is refused this much is read and thrown away: who sends more hears no answer.
const REST_BYTES_MAX: u64 = 64 << 20;
/// Unlike answers, these may be sent on every connection at once.
const START_FAILURE_BYTES_MAX: u64 = 1 << 20;

/// A call whose answer is being read; open again when dropped, unless it was settled.
struct Answering<'a> {
    instance: &'a Arc<Instance>,
    api: &'a Api,
    call: u32,
    then: Phase,
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.api.set_phase(self.call, self.then);
    }
}

impl<'a> Answering<'a> {
    fn begin(instance: &'a Arc<Instance>, api: &'a Api, id: &str) -> Result<Answering<'a>, Refusal> {
        let mut state = api.state();
        if !matches!(state.begun, Begun::Ready) {
            return Err(Refusal::NotNow);
        }
        match &mut state.turn {
            Turn::Running { call, request_id, phase } if request_id == id && *phase == Phase::Open => {
                *phase = Phase::Answering;
                Ok(Answering { instance, api, call: *call, then: Phase::Open })
            }
            _ => Err(Refusal::UnknownCall),
        }
    }

    fn failed(mut self, mut report: Report) {
        self.instance.mask.report(&mut report);
        self.then = Phase::Answered;
        self.instance.tell(self.call, Ok(Answer::Failed(Failure { code: String::new(), report })));
    }

    fn answered(mut self, answer: Result<Answer>) {
        self.then = Phase::Answered;
        self.instance.tell(self.call, answer);
    }
}

pub(super) async fn response(
    instance: &Arc<Instance>,
    api: &Api,
    id: &str,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<(), Refusal> {
    let answering = Answering::begin(instance, api, id)?;
    let content_type = runtime_api::content_type(headers);
    if runtime_api::streams(headers)? {
        return stream(answering, content_type, body).await;
    }
    let max = RESPONSE_BYTES_MAX.min(instance.function.limits.reply_bytes);
    match read(body, max).await {
        Read::Whole(body, trailers) => match broken_off(&trailers) {
            Some(report) => answering.failed(report),
            None => {
                let reply = |head| Answer::Reply(Payload { head, body: body.into() });
                answering.answered(PulledHead { content_type, streams: false }.write().map(reply));
            }
        },
        Read::Cut => return Err(Refusal::Truncated),
        Read::More => {
            // The caller need not wait for what nobody reads.
            answering.failed(too_large(max));
            return Err(Refusal::TooLarge(max));
        }
    }
    Ok(())
}

pub(super) async fn failure(
    instance: &Arc<Instance>,
    api: &Api,
    id: &str,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<(), Refusal> {
    let answering = Answering::begin(instance, api, id)?;
    match read(body, RESPONSE_BYTES_MAX).await {
        Read::Whole(body, _) => answering.failed(report(headers, &body)),
        Read::Cut => return Err(Refusal::Truncated),
        Read::More => {
            answering.failed(too_large(RESPONSE_BYTES_MAX));
            return Err(Refusal::TooLarge(RESPONSE_BYTES_MAX));
        }
    }
    Ok(())
}

pub(super) async fn start_failure(instance: &Instance, api: &Api, headers: &HeaderMap, body: &mut Incoming) -> Result<(), Refusal> {
    if api.outcome().is_some() {
        return Err(Refusal::NotNow);
    }
    match read(body, START_FAILURE_BYTES_MAX).await {
        Read::Whole(body, _) => {
            let mut report = report(headers, &body);
            instance.mask.report(&mut report);
            api.start_failed(report)
        }
        Read::Cut => Err(Refusal::Truncated),
        Read::More => Err(Refusal::TooLarge(START_FAILURE_BYTES_MAX)),
    }
}

/// The caller reads while the runtime writes, and as slowly.
async fn stream(mut answering: Answering<'_>, content_type: String, body: &mut Incoming) -> Result<(), Refusal> {
    let instance = answering.instance;
    let Ok(head) = (PulledHead { content_type, streams: true }).write() else { return Err(Refusal::Mode) };
    let (pieces, breaks, out) = streamed::channel(instance.host.clock.clone());
    // From here on there is no other answer to it.
    answering.then = Phase::Answered;
    instance.tell_in_pieces(answering.call, breaks, Answer::Reply(Payload { head, body: out }));
    let max = instance.function.limits.reply_bytes;
    let mut left = max;
    // A reader that has gone leaves the runtime to write to nobody.
    let end = loop {
        match frame(body).await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => match left.checked_sub(data.len() as u64) {
                    Some(rest) => {
                        left = rest;
                        let _ = pieces.send(Piece::Data(data)).await;
                    }
                    None => {
                        let _ = pieces.send(Piece::Failed(Limit::Reply.error(&instance.function))).await;
                        return Err(Refusal::TooLarge(max));
                    }
                },
                Err(frame) => {
                    if let Some(mut report) = frame.into_trailers().ok().as_ref().and_then(broken_off) {
                        instance.mask.report(&mut report);
                        break Piece::Failed(failed_midway(report));
                    }
                }
            },
            // Without an end its reader finds out from the guard why.
            Some(Err(_)) => return Err(Refusal::Truncated),
            None => break Piece::End,
        }
    };
    let _ = pieces.send(end).await;
    Ok(())
}

fn failed_midway(report: Report) -> Error {
    Error::new(Code::FunctionFailed, format!("the function failed in the middle of its reply: {}", report.message)).with_report(report)
}

pub(super) enum Read {
    Whole(Bytes, HeaderMap),
    /// It is larger than was wanted.
    More,
    /// It broke off.
    Cut,
}

pub(super) async fn read(body: &mut Incoming, max: u64) -> Read {
    let (mut all, mut trailers) = (BytesMut::new(), HeaderMap::new());
    while let Some(frame) = frame(body).await {
        let Ok(frame) = frame else { return Read::Cut };
        match frame.into_data() {
            Ok(data) if all.len() as u64 + data.len() as u64 > max => return Read::More,
            Ok(data) => all.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Read::Whole(all.freeze(), trailers)
}

/// So that its sender hears why it was refused, and can go on.
pub(super) async fn discard(body: &mut Incoming) {
    let mut left = REST_BYTES_MAX;
    while let Some(Ok(frame)) = frame(body).await {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

async fn frame(body: &mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}
