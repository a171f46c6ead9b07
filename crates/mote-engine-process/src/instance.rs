//! One process, and the calls that it has in flight: with a runner in it, a [`server`] by itself, or
//! one that asks for them ([`pull`]).
//!
//! Three tasks for a runner: a reader and a writer of the [`wire`], and the [`guard`] that owns the
//! jail, watches deadlines and settles what is left when the process ends. Frames of all calls
//! gather in one outbox, so a busy instance costs one write for many calls. Which call gets which
//! instance is the pool's business.

mod call;
mod guard;
pub(crate) mod pull;
mod reply;
pub(crate) mod server;
mod start;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::BytesMut;
use mote_core::clock::Id;
use mote_core::engine::Depth;
use mote_core::function::Function;
use mote_core::store::LogSource;
use mote_core::{Code, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

use crate::given::mask::Mask;
use crate::host::Host;
use crate::jail::{Events, Group};
use crate::limits::LogBudget;
use crate::lines::{self, Tail};
use crate::wire::{Broken, FromRunner, ToRunner};
use call::Call;
pub(crate) use call::Unstarted;
pub(crate) use start::{Started, start};

/// See the module's text.
pub(crate) struct Instance {
    pub(crate) function: Arc<Function>,
    this: Weak<Instance>,
    host: Arc<Host>,
    mask: Mask,
    /// Weak: it is to go when the jail does.
    group: OnceLock<Weak<Group>>,
    state: Mutex<State>,
    outbox: Mutex<BytesMut>,
    /// There is something in the outbox.
    flush: Notify,
    /// The guard must look at its clock again, or at `State::ending`.
    rouse: Notify,
    /// When the guard looks by itself, in milliseconds of the monotonic clock.
    armed_ms: AtomicU64,
    stderr: Tail,
    /// Of the calls in it, for what they call in turn.
    depth: Depth,
    contract: Contract,
}

/// How its calls come to it.
enum Contract {
    /// Over the wire.
    Runner,
    Server(server::Server),
    Pull(Box<pull::Api>),
}

struct State {
    /// For what is printed while no call runs; anew for each call that begins.
    log: LogBudget,
    /// Of the group, at the last look.
    seen: Events,
    calls: HashMap<u32, Call>,
    next_call: u32,
    idle_since: Duration,
    ending: Option<Ending>,
}

/// Why an instance ends. The first reason stays.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    /// Idle for long enough or retired; with calls in it only if mote stops.
    Unneeded,
    /// A call overran its deadline.
    Overdue,
    /// The runner broke the protocol.
    Broken(Broken),
    /// The process ended, or closed its socket.
    Exited,
    /// It takes no connection on its port any more.
    Deaf(u16),
}

impl State {
    /// The call is over; what is given back is dropped outside of the lock, as that frees its place.
    fn end_call(&mut self, id: u32, instance: &Instance) -> Option<Call> {
        let ended = self.calls.remove(&id);
        if ended.is_some() && self.calls.is_empty() {
            self.idle_since = instance.host.clock.monotonic();
            // The guard may sleep until the deadline of this call, which is later.
            instance.wake_at(self.idle_since + Duration::from_millis(instance.function.limits.idle_ms));
        }
        ended
    }
}

impl Instance {
    fn new(host: Arc<Host>, function: Arc<Function>, mask: Mask, contract: Contract) -> Arc<Instance> {
        let idle_since = host.clock.monotonic();
        let (log, seen) = (LogBudget::of(&function), Events::default());
        let instance = Arc::new_cyclic(|this| Instance {
            function,
            this: this.clone(),
            host,
            mask,
            group: OnceLock::new(),
            state: Mutex::new(State { log, seen, calls: HashMap::new(), next_call: 1, idle_since, ending: None }),
            outbox: Mutex::default(),
            flush: Notify::new(),
            rouse: Notify::new(),
            armed_ms: AtomicU64::new(u64::MAX),
            stderr: Tail::default(),
            depth: Depth::default(),
            contract,
        });
        if let Some(line) = &instance.function.contract_start {
            instance.log(None, LogSource::Platform, line);
        }
        instance
    }

    /// Ends it, whatever runs; a call still in flight is told why by the guard.
    pub(crate) fn end(&self, why: Ending) {
        self.state().ending.get_or_insert(why);
        self.rouse.notify_one();
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.state().ending.is_none()
    }

    /// When its last call ended, on the monotonic clock.
    pub(crate) fn idle_since(&self) -> Duration {
        self.state().idle_since
    }

    fn log(&self, invocation: Option<Id>, source: LogSource, text: impl Into<String>) {
        self.host.log(&self.function, invocation, source, self.mask.apply(text.into()));
    }

    /// A line that the process printed past its runner: it is the running call's, if there is just one.
    fn printed(&self, source: LogSource, line: String) {
        if source == LogSource::Stderr {
            self.stderr.push(&self.mask.apply(line.as_str()));
        }
        let mut guard = self.state();
        let state = &mut *guard;
        let sole = state.calls.len() == 1;
        let (invocation, budget) = match state.calls.values_mut().next().filter(|_| sole) {
            Some(call) => (Some(call.invocation), &mut call.log),
            None => (None, &mut state.log),
        };
        let fits = budget.take(&line);
        drop(guard);
        if fits {
            self.log(invocation, source, line);
        }
    }

    /// How often the instance came up against shared limits since this was asked last.
    fn events(&self) -> Events {
        let Some(group) = self.group.get().and_then(Weak::upgrade) else { return Events::default() };
        let now = group.events();
        let seen = std::mem::replace(&mut self.state().seen, now);
        now.since(seen)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the guard wake up at `due` at the latest.
    fn wake_at(&self, due: Duration) {
        if (due.as_millis() as u64) < self.armed_ms.load(Ordering::Relaxed) {
            self.rouse.notify_one();
        }
    }

    // ---- the wire ----

    fn say(&self, call: u32, word: ToRunner<'_>) -> Result<(), Broken> {
        let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        word.encode(call, &mut outbox)?;
        drop(outbox);
        self.flush.notify_one();
        Ok(())
    }

    async fn write(self: Arc<Self>, mut socket: OwnedWriteHalf) {
        loop {
            let batch = std::mem::take(&mut *self.outbox.lock().unwrap_or_else(PoisonError::into_inner));
            if batch.is_empty() {
                self.flush.notified().await;
            } else if socket.write_all(&batch).await.is_err() {
                // The reader sees the same end, and says so.
                return;
            }
        }
    }

    async fn read(self: Arc<Self>, mut socket: OwnedReadHalf, mut buffer: BytesMut) {
        let why = loop {
            match self.take_frames(&mut buffer) {
                // Who floods its log does so in turns with everybody else.
                Ok(Logged(true)) => tokio::task::yield_now().await,
                Ok(Logged(false)) => {}
                Err(broken) => break Ending::Broken(broken),
            }
            buffer.reserve(READ_BYTES);
            match socket.read_buf(&mut buffer).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break Ending::Exited,
            }
        };
        self.end(why);
    }

    fn take_frames(&self, buffer: &mut BytesMut) -> Result<Logged, Broken> {
        let mut logged = 0;
        while let Some((id, word)) = FromRunner::decode(buffer)? {
            match word {
                FromRunner::Log { source, text } => {
                    logged += text.len();
                    self.take_log(id, source, text);
                }
                FromRunner::Ready(_) | FromRunner::StartFailed(_) => return Err(Broken("it started twice".into())),
                word => self.take_word(id, word)?,
            }
        }
        Ok(Logged(logged > LOGGED_BYTES_MAX))
    }

    fn take_log(&self, call: u32, source: LogSource, text: String) {
        let mut guard = self.state();
        let state = &mut *guard;
        let (invocation, budget) = match state.calls.get_mut(&call) {
            Some(call) => (Some(call.invocation), &mut call.log),
            None => (None, &mut state.log),
        };
        let mut fitting = Vec::new();
        lines::of(&text, |line| {
            if budget.take(&line) {
                fitting.push(line);
            }
        });
        drop(guard);
        fitting.into_iter().for_each(|line| self.log(invocation, source, line));
    }
}

/// Whether more was logged than should be at one go.
struct Logged(bool);

const READ_BYTES: usize = 32 << 10;
const LOGGED_BYTES_MAX: usize = 16 << 10;

/// What a caller is told whose call this instance can't finish.
pub(crate) fn crashed(detail: impl Into<String>) -> Error {
    Error::new(Code::FunctionCrashed, detail)
}

/// What a caller is told whose call was still running when mote had to stop.
pub(crate) fn cut_off(function: &Function) -> Error {
    let detail = format!("mote is stopping, and {} was not done in time; it may have done a part of its work", function.reference());
    Error::new(Code::ShuttingDown, detail).retry_after(Duration::from_secs(1))
}
