//! A call in flight: handed to the runner, answered, cancelled, ended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mote_core::clock::Id;
use mote_core::engine::{Answer, Payload, Standing};
use mote_core::store::LogSource;
use mote_core::{Body, Code, Error, Result};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::reply::Reply;
use super::server::{self, Link};
use super::{Contract, Instance, pull};
use crate::host::Job;
use crate::limits::{Limit, LogBudget};
use crate::pool::Place;
use crate::wire::{Broken, FromRunner, PAYLOAD_BYTES_MAX, PIECE_BYTES_MAX, ToRunner, WHOLE_BYTES_MAX, WINDOW_BYTES};

pub(super) struct Call {
    pub(super) invocation: Id,
    /// Of the monotonic clock.
    pub(super) deadline: Duration,
    /// `None` once the head of the answer is out.
    pub(super) answer: Option<oneshot::Sender<Result<Answer>>>,
    /// The rest of a streamed reply goes here.
    pub(super) stream: Option<mpsc::UnboundedSender<Result<Bytes>>>,
    /// Reply bytes that the runner may still send.
    window: u32,
    /// Bytes that the caller may still be given.
    reply: u64,
    pub(super) log: LogBudget,
    /// Request bytes that we may still send; closed when the call ends.
    credit: Arc<Semaphore>,
    upload: Option<AbortHandle>,
    pub(super) cancelled: bool,
    /// The connection to a server that carries it, once there is one.
    pub(super) link: Option<Arc<Link>>,
    /// Its deadline has passed, and the server has some time to notice.
    late: bool,
    /// Freed when the runner has ended the call, not when the caller has gone.
    place: Place,
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abort();
        }
    }
}

/// The instance was ending already; nothing ran.
pub(crate) struct Unstarted(pub(crate) Payload);

impl Instance {
    /// Runs one call in `place`. Dropping the future cancels it.
    pub(crate) async fn call(self: &Arc<Self>, place: Place, call: &Job, input: Payload) -> Result<Result<Answer>, Unstarted> {
        match &self.contract {
            Contract::Runner => {}
            Contract::Server(server) => return server::exchange(self, server, place, call, input).await,
            Contract::Pull(api) => return pull::exchange(self, api, place, call, input).await,
        }
        let clock = &self.host.clock;
        let deadline = clock.monotonic() + call.deadline.since(clock.now());
        let (answer, answered) = oneshot::channel();
        let credit = Arc::new(Semaphore::new(WINDOW_BYTES as usize));
        let entry = Call {
            invocation: call.id,
            deadline,
            answer: Some(answer),
            stream: None,
            window: WINDOW_BYTES,
            reply: self.function.limits.reply_bytes,
            log: LogBudget::of(&self.function),
            credit: credit.clone(),
            upload: None,
            cancelled: false,
            link: None,
            late: false,
            place,
        };
        let id = match self.register(entry, &call.standing) {
            Ok(id) => id,
            Err(refused) => {
                drop(refused);
                return Err(Unstarted(input));
            }
        };
        // From here on whoever leaves early cancels.
        let lease = Lease { instance: self.clone(), call: id };
        self.wake_at(deadline);
        if let Err(broken) = self.send(id, input, credit) {
            // Nothing went out, so the runner knows no such call.
            let entry = self.state().calls.remove(&id);
            // In this order: freeing its place takes the lock again.
            drop(entry);
            return Ok(Err(Error::new(Code::RequestInvalid, format!("the call does not fit into a frame: {broken}"))));
        }
        let answer = answered.await.unwrap_or_else(|_| Err(Error::internal("a call was dropped without an answer")));
        Ok(answer.map(|answer| match answer {
            Answer::Reply(Payload { head, body }) => Answer::Reply(Payload { head, body: body.holding(lease) }),
            failed => failed,
        }))
    }

    pub(super) fn register(&self, call: Call, standing: &Standing) -> Result<u32, Box<Call>> {
        let mut state = self.state();
        if state.ending.is_some() {
            return Err(Box::new(call));
        }
        let id = loop {
            let id = state.next_call;
            // 0 means no call.
            state.next_call = id.checked_add(1).unwrap_or(1);
            if !state.calls.contains_key(&id) {
                break id;
            }
        };
        self.depth.enter(standing.clone(), state.calls.is_empty());
        state.calls.insert(id, call);
        let before = std::mem::replace(&mut state.log, LogBudget::of(&self.function));
        drop(state);
        self.tell_dropped(None, &before);
        Ok(id)
    }

    pub(super) fn tell_dropped(&self, invocation: Option<Id>, log: &LogBudget) {
        if let Some(text) = log.told(&self.function) {
            self.log(invocation, LogSource::Platform, text);
        }
    }

    fn send(self: &Arc<Self>, id: u32, input: Payload, credit: Arc<Semaphore>) -> Result<(), Broken> {
        let Payload { head, body } = input;
        let fits = |body: &&Bytes| body.len() <= WHOLE_BYTES_MAX && head.len() + body.len() + 4 <= PAYLOAD_BYTES_MAX;
        if let Some(body) = body.as_bytes().filter(fits) {
            return self.say(id, ToRunner::Call { head: &head, body });
        }
        self.say(id, ToRunner::CallOpen { head: &head, body: &[] })?;
        let upload = tokio::spawn(self.clone().upload(id, body, credit)).abort_handle();
        match self.state().calls.get_mut(&id) {
            Some(call) => call.upload = Some(upload),
            None => upload.abort(),
        }
        Ok(())
    }

    /// Sends the request's body as the runner takes it.
    async fn upload(self: Arc<Self>, id: u32, mut body: Body, credit: Arc<Semaphore>) {
        loop {
            let mut chunk = match body.chunk().await {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return self.upload_failed(id, error),
                None => {
                    let _ = self.say(id, ToRunner::BodyEnd);
                    return;
                }
            };
            while !chunk.is_empty() {
                let piece = chunk.split_to(chunk.len().min(PIECE_BYTES_MAX));
                // A closed semaphore means that the call has ended before its body.
                let Ok(bytes) = credit.acquire_many(piece.len() as u32).await else { return };
                bytes.forget();
                let _ = self.say(id, ToRunner::Body(&piece));
            }
        }
    }

    /// The caller hears what was wrong with its body, not what the function made of the half of it.
    fn upload_failed(&self, id: u32, error: Error) {
        let _ = self.say(id, ToRunner::BodyAbort);
        let mut state = self.state();
        let Some(call) = state.calls.get_mut(&id) else { return };
        let Some(answer) = call.answer.take() else { return };
        // Under the same lock: an answer that comes now must find the call cancelled.
        call.cancel();
        drop(state);
        let _ = answer.send(Err(error));
        let _ = self.say(id, ToRunner::Cancel);
    }

    /// Nobody waits any more. The place stays taken until the runner has ended the call.
    fn cancel(&self, id: u32) {
        let mut state = self.state();
        let Some(call) = state.calls.get_mut(&id).filter(|call| !call.cancelled) else { return };
        call.cancel();
        drop(state);
        let _ = self.say(id, ToRunner::Cancel);
    }

    /// The reader of a streamed reply took `bytes`.
    pub(super) fn taken(&self, id: u32, bytes: u32) {
        if let Some(call) = self.state().calls.get_mut(&id).filter(|call| !call.cancelled) {
            call.window = call.window.saturating_add(bytes);
            let _ = self.say(id, ToRunner::Credit(bytes));
        }
    }

    pub(super) fn take_word(&self, id: u32, word: FromRunner) -> Result<(), Broken> {
        let mut state = self.state();
        let Some(call) = state.calls.get_mut(&id) else { return Err(Broken(format!("it spoke of call {id}, which it does not have"))) };
        match word {
            FromRunner::ReplyOpen { head, body } => {
                if call.stream.is_some() || (call.answer.is_none() && !call.cancelled) {
                    return Err(Broken(format!("it answered call {id} twice")));
                }
                if !call.may_reply(&body) {
                    let _ = call.answer.take().map(|answer| answer.send(Err(Limit::Reply.error(&self.function))));
                    call.cancel();
                    let _ = self.say(id, ToRunner::Cancel);
                } else if let Some(answer) = call.answer.take() {
                    let (sender, chunks) = mpsc::unbounded_channel();
                    let body = Reply::new(self, id, body, chunks).into_body();
                    call.stream = Some(sender);
                    let _ = answer.send(Ok(Answer::Reply(Payload { head, body })));
                }
                return Ok(());
            }
            FromRunner::Chunk(bytes) => {
                let length = bytes.len() as u32;
                call.window = call.window.checked_sub(length).ok_or_else(|| Broken(format!("call {id} overran its reply window")))?;
                let fits = call.may_reply(&bytes);
                match &call.stream {
                    Some(stream) if !fits => {
                        let _ = stream.send(Err(Limit::Reply.error(&self.function)));
                        call.cancel();
                        let _ = self.say(id, ToRunner::Cancel);
                    }
                    // It would cost nothing of the window, so there could be any number of them.
                    Some(_) if bytes.is_empty() => {}
                    Some(stream) => drop(stream.send(Ok(compact(bytes)))),
                    None if call.cancelled => {}
                    None => return Err(Broken(format!("a piece of call {id} came before its head"))),
                }
                return Ok(());
            }
            FromRunner::Credit(bytes) => {
                if call.credit.available_permits() as u64 + u64::from(bytes) > u64::from(u32::MAX) {
                    return Err(Broken(format!("call {id} was given more credit than there can be")));
                }
                call.credit.add_permits(bytes as usize);
                return Ok(());
            }
            _ => {}
        }
        let Some(mut ended) = state.end_call(id, self) else { return Ok(()) };
        drop(state);
        let mut word = word;
        if let FromRunner::Failed { failure, last } = &mut word {
            self.mask.report(&mut failure.report);
            if *last {
                ended.place.replace();
            }
        }
        self.tell_dropped(Some(ended.invocation), &ended.log);
        let word = match self.judge(&mut ended, word) {
            Some(word) => word,
            None => return Ok(()),
        };
        settle(id, &mut ended, word)
        // Dropping `ended` frees its place, which is why the lock is not held here.
    }
}

impl Instance {
    /// Takes a last word that tells of a limit, and answers by the limit's name. An instance that
    /// came up against one of its own gets no more calls.
    fn judge(&self, call: &mut Call, word: FromRunner) -> Option<FromRunner> {
        let error = match &word {
            FromRunner::Reply { body, .. } if !call.may_reply(body) => Limit::Reply.error(&self.function),
            FromRunner::Failed { failure, .. } => match Limit::behind_failure(&failure.report, self.events()) {
                Some(limit) => {
                    self.log(Some(call.invocation), LogSource::Platform, format!("the function {}", limit.text(&self.function)));
                    call.place.replace();
                    limit.error(&self.function).with_report(failure.report.clone())
                }
                None => return Some(word),
            },
            _ => return Some(word),
        };
        call.credit.close();
        match (call.answer.take(), &call.stream) {
            (Some(answer), _) => drop(answer.send(Err(error))),
            (None, Some(stream)) => drop(stream.send(Err(error))),
            (None, None) => {}
        }
        None
    }
}

/// A small piece on its own: as a part of the read buffer it would keep all of that in memory.
fn compact(bytes: Bytes) -> Bytes {
    const SHARED_BYTES_MIN: usize = 1 << 10;
    if bytes.len() < SHARED_BYTES_MIN { Bytes::copy_from_slice(&bytes) } else { bytes }
}

/// The last word on a call.
fn settle(id: u32, call: &mut Call, word: FromRunner) -> Result<(), Broken> {
    call.credit.close();
    match word {
        FromRunner::Reply { head, body } => match call.answer.take() {
            Some(answer) => drop(answer.send(Ok(Answer::Reply(Payload { head, body: body.into() })))),
            None if call.cancelled => {}
            None => {
                let broken = Broken(format!("it answered call {id} twice"));
                if let Some(stream) = &call.stream {
                    // Or the half of it would look whole.
                    let _ = stream.send(Err(super::crashed(format!("the function's runner broke its protocol: {broken}"))));
                }
                return Err(broken);
            }
        },
        FromRunner::Failed { failure, .. } => match (call.answer.take(), &call.stream) {
            (Some(answer), _) => drop(answer.send(Ok(Answer::Failed(failure)))),
            (None, Some(stream)) => {
                let detail = format!("the function failed in the middle of its reply: {}", failure.report.message);
                drop(stream.send(Err(Error::new(Code::FunctionFailed, detail).with_report(failure.report))));
            }
            (None, None) => {}
        },
        FromRunner::End if call.answer.is_some() => {
            let broken = Broken(format!("call {id} ended before it was answered"));
            if let Some(answer) = call.answer.take() {
                let _ = answer.send(Err(super::crashed(format!("the function's runner broke its protocol: {broken}"))));
            }
            return Err(broken);
        }
        // The end of a stream: its sender goes with the call.
        _ => {}
    }
    Ok(())
}

/// Cancels the call when dropped before its end; after it there is nothing to cancel.
struct Lease {
    instance: Arc<Instance>,
    call: u32,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.instance.cancel(self.call);
    }
}

/// How long a server may take to notice that a call was cut off, before its instance is ended.
const NOTICE_WITHIN: Duration = Duration::from_secs(2);

impl Call {
    /// Takes a piece of the reply off what there may be of it.
    fn may_reply(&mut self, piece: &Bytes) -> bool {
        let left = self.reply.checked_sub(piece.len() as u64);
        self.reply = left.unwrap_or(0);
        left.is_some()
    }

    pub(super) fn without_wire(call: &Job, deadline: Duration, answer: oneshot::Sender<Result<Answer>>, place: Place) -> Call {
        Call {
            invocation: call.id,
            deadline,
            answer: Some(answer),
            stream: None,
            window: 0,
            reply: 0,
            log: LogBudget::of(&call.function),
            credit: Arc::new(Semaphore::new(0)),
            upload: None,
            cancelled: false,
            link: None,
            late: false,
            place,
        }
    }

    /// Whether its deadline counts still: a server has closed what is only read yet.
    pub(super) fn is_running(&self) -> bool {
        self.link.as_ref().is_none_or(|link| !link.is_closed())
    }

    /// Its deadline has passed: the caller hears so. Whether its instance must go, as nothing else
    /// can end the call: a runner has no way to, and a server did not notice.
    pub(super) fn overran(&mut self, now: Duration, error: impl FnOnce() -> Error) -> bool {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Err(error()));
        } else if let Some(stream) = self.stream.take() {
            let _ = stream.send(Err(error()));
        }
        match &self.link {
            Some(link) if !self.late => {
                link.cut();
                self.late = true;
                self.deadline = now + NOTICE_WITHIN;
                false
            }
            _ => true,
        }
    }

    pub(super) fn cancel(&mut self) {
        self.cancelled = true;
        self.answer = None;
        self.stream = None;
        self.credit.close();
        if let Some(upload) = self.upload.take() {
            upload.abort();
        }
    }

    /// The process is gone: whoever still waits hears why.
    pub(super) fn fail(mut self, error: impl FnOnce() -> Error) {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Err(error()));
        }
    }
}
