//! A function that is an HTTP server of its own: one process, and the connections to it.
//!
//! mote connects into the jail ([`crate::jail::Sockets`]) and speaks HTTP/1.1: one call at a time
//! on each connection, which is kept for the next call. What the server says is hyper's to parse
//! and bounded in [`connection`]; which headers go along is the dialect's. What an instance is
//! otherwise (its process, deadlines, end) stays with [`super::guard`].

mod connection;
mod program;
mod reply;
mod start;
mod upload;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use mote_core::engine::exchange::{RequestHead, ResponseHead};
use mote_core::engine::{Answer, Payload};
use mote_core::{Body, Code, Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::call::{Call, Unstarted};
use super::{Contract, Ending, Instance, crashed};
use crate::host::Job;
use crate::jail::Sockets;
use crate::limits::Limit;
use crate::pool::Place;
use crate::running::Running;
use connection::Line;
pub(super) use connection::Link;
use reply::Replying;
pub(crate) use start::start;
use upload::Upload;

/// A reply of a known length up to this is taken whole: it costs less than a stream.
const COLLECTED_BYTES_MAX: u64 = 64 << 10;
/// How long a connection that broke may be the first sign of a process that ended.
const REASON_WITHIN: Duration = Duration::from_millis(250);
/// How long the server may take, once its reply has ended, to take the rest of the request.
const REST_WITHIN: Duration = Duration::from_millis(100);
/// Servers close what is idle for some seconds, and a request must not meet that.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// Connections that may turn out to be closed before one call gives up.
const TRIES_MAX: u32 = 4;

pub(super) struct Server {
    pub(super) port: u16,
    sockets: Arc<Sockets>,
    /// The one used last is last.
    idle: Mutex<Vec<Idle>>,
    /// Connections, until the last byte that came on them has been read.
    pub(super) connections: Running,
}

struct Idle {
    line: Line,
    since: Duration,
}

/// What a caller waits for beside the server itself: the guard's word that it is over.
type Told = oneshot::Receiver<Result<Answer>>;

impl Server {
    fn new(port: u16, sockets: Arc<Sockets>) -> Server {
        Server { port, sockets, idle: Mutex::default(), connections: Running::default() }
    }

    async fn line(&self, instance: &Arc<Instance>) -> std::io::Result<Line> {
        let now = instance.host.clock.monotonic();
        loop {
            // Closed outside of the lock, if it is to be closed.
            let Some(Idle { line, since }) = self.idle().pop() else { break };
            if line.is_open() && now < since + IDLE_MAX {
                return Ok(line);
            }
        }
        Line::open(instance, self).await
    }

    fn keep(&self, line: Line, now: Duration) {
        self.idle().push(Idle { line, since: now });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs one call in `place`. Dropping the future cancels it.
pub(super) async fn exchange(
    instance: &Arc<Instance>,
    server: &Server,
    place: Place,
    call: &Job,
    input: Payload,
) -> Result<Result<Answer>, Unstarted> {
    let head = match RequestHead::read(&input.head) {
        Ok(head) => head,
        Err(error) => return Ok(Err(error)),
    };
    let deadline = instance.host.clock.monotonic() + call.deadline.since(instance.host.clock.now());
    let (answer, mut told) = oneshot::channel();
    let id = match instance.register(Call::without_wire(call, deadline, answer, place), &call.standing) {
        Ok(id) => id,
        Err(refused) => {
            drop(refused);
            return Err(Unstarted(input));
        }
    };
    let lease = Lease { instance: instance.clone(), call: id };
    instance.wake_at(deadline);
    let Payload { head: written, mut body } = input;
    let is_safe = body.length() == Some(0) && matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    let (mut tries, mut sent_before) = (0, false);
    loop {
        tries += 1;
        let line = tokio::select! {
            biased;
            ended = &mut told => return Ok(over(ended)),
            line = server.line(instance) => line,
        };
        let mut line = match line {
            Ok(line) => line,
            Err(_) if sent_before => return Ok(Err(instance.reason(cut_short(), told).await)),
            Err(_) => {
                instance.end(Ending::Deaf(server.port));
                drop(lease);
                return Err(Unstarted(Payload { head: written, body }));
            }
        };
        instance.bind(id, &line.link);
        let (upload, failed) = Upload::new(body);
        let sent = line.sender.try_send_request(request(&head, upload));
        let outcome = tokio::select! {
            biased;
            outcome = sent => outcome,
            ended = &mut told => return Ok(over(ended)),
        };
        let error = match outcome {
            Ok(response) => return Ok(answered(instance, lease, line, response, told, failed).await),
            Err(error) => error,
        };
        if let Some(error) = failed.take() {
            return Ok(Err(error));
        }
        // A server may close an idle connection at any moment. What was not sent, or may be done
        // twice, is sent on another one.
        let mut error = error;
        match error.take_message() {
            Some(unsent) if tries < TRIES_MAX => body = unsent.into_body().into_inner(),
            None if is_safe && line.used && !sent_before && closed(error.error()) => (body, sent_before) = (Body::empty(), true),
            _ => {
                let error = broken(error.error());
                return Ok(Err(instance.reason(error, told).await));
            }
        }
        line.link.free();
        instance.unbind(id);
    }
}

fn request(head: &RequestHead, body: Upload) -> http::Request<Upload> {
    let mut request = http::Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = http::Uri::from(head.target.clone());
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = head.headers.clone();
    request
}

/// The head is here; the body may be.
async fn answered(
    instance: &Arc<Instance>,
    lease: Lease,
    line: Line,
    response: http::Response<Incoming>,
    mut told: Told,
    failed: upload::Failed,
) -> Result<Answer> {
    let (parts, mut incoming) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::new(Code::ReplyInvalid, "the server changed the protocol, which nobody asked it to"));
    }
    let head = ResponseHead { status: parts.status, headers: parts.headers }.write()?;
    let length = incoming.size_hint().exact();
    if length.is_some_and(|length| length > instance.function.limits.reply_bytes) {
        return Err(Limit::Reply.error(&instance.function));
    }
    if incoming.is_end_stream() || length.is_some_and(|length| length <= COLLECTED_BYTES_MAX) {
        let collected = tokio::select! {
            biased;
            collected = collect(&mut incoming, &line.link) => collected,
            ended = &mut told => return over(ended),
        };
        return match collected {
            Ok(body) => {
                lease.finish(line);
                Ok(Answer::Reply(Payload { head, body: body.into() }))
            }
            Err(error) => match failed.take() {
                Some(error) => Err(error),
                None => Err(instance.reason(error, told).await),
            },
        };
    }
    let (breaks, broken_off) = mpsc::unbounded_channel();
    instance.stream(lease.call, breaks);
    let body = Replying::new(lease, line, incoming, failed, broken_off);
    Ok(Answer::Reply(Payload { head, body: Body::stream(body, length) }))
}

async fn collect(incoming: &mut Incoming, link: &Link) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = std::future::poll_fn(|cx| reply::poll_data(incoming, link, cx)).await {
        let piece = piece?;
        if first.is_empty() && all.is_empty() {
            // Most come in one piece, which is not copied.
            first = piece;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&piece);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn over(ended: Result<Result<Answer>, oneshot::error::RecvError>) -> Result<Answer> {
    ended.unwrap_or_else(|_| Err(Error::internal("a call was dropped without an answer")))
}

fn closed(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_closed() || error.is_canceled()
}

/// What a caller is told of a connection that went wrong while its server lives on.
fn broken(error: &hyper::Error) -> Error {
    if error.is_parse_too_large() {
        let limit = connection::HEAD_BYTES_MAX >> 10;
        let detail =
            format!("the head of the server's reply is larger than {limit} KiB or has more than {} headers", connection::HEADERS_MAX);
        return Error::new(Code::ReplyInvalid, detail);
    }
    if error.is_parse() {
        return Error::new(Code::ReplyInvalid, format!("the server's reply is not HTTP/1.1: {error}"));
    }
    cut_short()
}

fn cut_short() -> Error {
    crashed("the server closed the connection before its reply was whole")
}

/// Ends the call when dropped: nobody waits any more.
struct Lease {
    instance: Arc<Instance>,
    call: u32,
}

impl Lease {
    /// The reply is whole. The connection serves the next call, if the request is whole too.
    fn finish(self, mut line: Line) {
        tokio::spawn(async move {
            let clock = &self.instance.host.clock;
            let whole = tokio::select! {
                biased;
                ready = line.sender.ready() => ready.is_ok(),
                () = clock.sleep(REST_WITHIN) => false,
            };
            // Whatever the server does now with the connection is no part of the call.
            line.link.free();
            self.instance.unbind(self.call);
            if whole && let Some(server) = self.instance.server() {
                line.used = true;
                server.keep(line, clock.monotonic());
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.instance.leave(self.call);
    }
}

impl Instance {
    pub(super) fn server(&self) -> Option<&Server> {
        match &self.contract {
            Contract::Server(server) => Some(server),
            Contract::Runner | Contract::Pull(_) => None,
        }
    }

    /// The call goes over this connection now.
    fn bind(&self, id: u32, link: &Arc<Link>) {
        link.carry(id);
        if let Some(call) = self.state().calls.get_mut(&id) {
            call.link = Some(link.clone());
        }
    }

    /// It runs nowhere.
    fn unbind(&self, id: u32) {
        if let Some(call) = self.state().calls.get_mut(&id) {
            call.link = None;
        }
    }

    /// From now on the guard's word on this call breaks its reply off.
    fn stream(&self, id: u32, breaks: mpsc::UnboundedSender<Result<Bytes>>) {
        if let Some(call) = self.state().calls.get_mut(&id) {
            (call.answer, call.stream) = (None, Some(breaks));
        }
    }

    /// Nobody waits for the call any more. Its place is free once the server has let go of it.
    fn leave(&self, id: u32) {
        let mut state = self.state();
        let Some(call) = state.calls.get_mut(&id) else { return };
        call.cancel();
        match &call.link {
            Some(link) if !link.is_closed() => link.cut(),
            _ => {
                let ended = state.end_call(id, self);
                drop(state);
                self.ended(ended);
            }
        }
    }

    /// The connection that carried the call is closed. Who still waits for it leaves by itself.
    fn let_go(&self, id: u32) {
        let mut state = self.state();
        if state.calls.get(&id).is_some_and(|call| call.cancelled) {
            let ended = state.end_call(id, self);
            drop(state);
            self.ended(ended);
        }
    }

    /// Outside of the lock, which freeing its place takes again.
    fn ended(&self, call: Option<Call>) {
        if let Some(call) = call {
            self.tell_dropped(Some(call.invocation), &call.log);
        }
    }

    /// Why the connection broke: `error`, unless that is how the end of the process looked at first.
    async fn reason(&self, error: Error, told: Told) -> Error {
        let within = self.host.clock.sleep(REASON_WITHIN);
        tokio::select! {
            biased;
            ended = told => match ended {
                Ok(Err(reason)) => reason,
                Ok(Ok(_)) | Err(_) => error,
            },
            () = within => error,
        }
    }
}
