//! The seam of an engine: something that runs a version's code.
//!
//! An engine knows no door and no dialect: it gets a [`Payload`] and brings an [`Output`], both
//! opaque but for their bodies. Engines: `mote-engine-process`.

pub mod exchange;
pub mod in_time;
pub mod opening;
pub mod pull;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::BoxFuture;
use crate::body::Body;
use crate::bundle::Bundle;
use crate::clock::{Id, Timestamp};
use crate::engine::opening::Opening;
use crate::error::{Report, Result};
use crate::event::Event;
use crate::function::{Digest, Family, Function, Name, Qualifier, Signature};
use crate::reply::Timing;

/// See the module's text.
pub trait Engine: Send + Sync {
    fn families(&self) -> &'static [Family];

    /// Builds the artifact (installs dependencies, transpiles), starts a first instance and reads
    /// the signature off it, as far as that is wanted. That instance stays: the first call is warm.
    /// On an error nothing is left.
    fn prepare<'a>(
        &'a self,
        function: &'a Function,
        code: &'a Bundle,
        how: Preparing,
        progress: Progress,
    ) -> BoxFuture<'a, Result<Prepared>>;

    /// Runs one call. Dropping the future cancels the call, and never harms another.
    fn run<'a>(&'a self, call: &'a Invocation, input: Payload) -> BoxFuture<'a, Result<Output>>;

    /// The version became live without being prepared just now: after a start of the server, or by
    /// going back to it. Starts the instances that it always has. Returns at once; what fails is tried again.
    fn keep_warm(&self, function: &Arc<Function>);

    /// Keeps so many instances of a version ready, live or not, whatever its own minimum; 0: no longer. Returns
    /// at once, as [`Engine::keep_warm`].
    fn keep_ready(&self, function: &Arc<Function>, instances: u32) {
        let _ = (function, instances);
    }

    /// What there is of them.
    fn ready(&self, function: &Function) -> Ready {
        let _ = function;
        Ready::default()
    }

    /// Something that its instances were given at their start has changed, such as a secret: those
    /// that live finish what they have and end, and whoever calls next gets new ones.
    fn renew(&self, function: &Function);

    /// The version is no longer live: its instances finish what they have and end.
    fn retire(&self, function: &Function);

    /// No version needs this artifact any more: it goes once no call uses it.
    fn forget<'a>(&'a self, artifact: Digest) -> BoxFuture<'a, ()>;

    /// The artifacts that stored versions refer to: forgets those that were there before the engine
    /// was made, which a crash left between their making and a commit. Never one of a deploy since.
    fn keep_only<'a>(&'a self, artifacts: &'a HashSet<Digest>) -> BoxFuture<'a, ()>;

    /// Finishes the running calls within `grace` and ends every instance.
    fn stop(&self, grace: Duration) -> BoxFuture<'_, ()>;
}

/// One attempt to run a function on an event.
#[derive(Debug)]
pub struct Invocation {
    pub id: Id,
    pub function: Arc<Function>,
    /// Which version was asked for, where the function was called by its name.
    pub called: Qualifier,
    pub event: Event,
    pub deadline: Timestamp,
    /// From 1.
    pub attempt: u32,
    /// To be said when an instance takes the call.
    pub opening: Opening,
}

/// A call as the function's runtime reads it: a head in the dialect's own form, and the body.
#[derive(Debug, Default)]
pub struct Payload {
    pub head: Bytes,
    pub body: Body,
}

/// What the function's runtime answered.
#[derive(Debug)]
pub struct Output {
    pub answer: Answer,
    pub timing: Timing,
}

#[derive(Debug)]
pub enum Answer {
    Reply(Payload),
    /// The code reported a failure and lives on.
    Failed(Failure),
}

/// A failure in the function's own words; its dialect says what it means to the caller.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// A slug of [`crate::Code`] where the runner knows one (`argument-missing`), else empty.
    pub code: String,
    pub report: Report,
}

/// What a deploy does beside putting the files in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preparing {
    /// Dependencies that the files name; else they have them with them.
    pub installs: bool,
    /// An instance, or the deploy fails; else the first call starts one, and is told if that fails.
    pub starts: bool,
}

impl Default for Preparing {
    fn default() -> Self {
        Preparing { installs: true, starts: true }
    }
}

/// What a deploy learned and did.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub artifact: Digest,
    pub signature: Signature,
    /// The barriers in force around each instance, for the person who deploys.
    pub isolation: Vec<String>,
    /// Spent in the installer; zero when its result was cached.
    pub dependencies: Duration,
}

/// The instances of a version that have started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    pub instances: u32,
    /// The last one could not be started; another is tried again and again.
    pub fails: bool,
}

/// Lines for the person who waits for a deploy.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(String) + Send + Sync>);

impl Progress {
    pub fn new(tell: impl Fn(String) + Send + Sync + 'static) -> Self {
        Progress(Arc::new(tell))
    }

    pub fn silent() -> Self {
        Progress::new(|_| {})
    }

    pub fn tell(&self, line: impl Into<String>) {
        (self.0)(line.into());
    }
}

/// Where a connection goes that code in a jail makes to the platform's address there.
///
/// The engine accepts on a socket inside the jail, so it knows which function calls; what is
/// spoken on it is not the engine's concern.
pub trait Gateway: Send + Sync {
    fn serve(&self, from: Origin, to: Service, connection: Box<dyn Connection>) -> BoxFuture<'static, ()>;

    /// The function that this host name stands for, seen from that one: a live one beside it.
    fn sibling(&self, from: &Function, host: &str) -> Option<Name>;
}

/// Whose connection it is.
#[derive(Clone)]
pub struct Origin {
    pub function: Arc<Function>,
    /// Of the instance, as it is at any time: a connection may serve one call after the other.
    pub depth: Depth,
}

/// How the call that runs in an instance came about: how many functions have called one another to
/// come to it, and which call it is.
#[derive(Clone, Default)]
pub struct Depth(Arc<Mutex<Standing>>);

/// See [`Depth`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub depth: u32,
    /// `None`: none has run yet, or several run at once and nobody can tell which of them calls on.
    pub call: Option<Id>,
    /// Its trace context, see [`crate::event::lineage::TRACE_PARENT`].
    pub trace: Option<String>,
}

/// Functions in a row, the first of which was called from outside and each other one by the one before: so many
/// instances a function has, unless it says otherwise, and one that calls itself must not wait for itself.
pub const DEPTH_MAX: u32 = 16;

impl Depth {
    /// A call begins. Where several run at once the deepest counts, since nobody can tell which of
    /// them calls on.
    pub fn enter(&self, call: Standing, alone: bool) {
        let mut now = self.standing();
        *now = match alone {
            true => call,
            false => Standing { depth: now.depth.max(call.depth), call: None, trace: None },
        };
    }

    pub fn now(&self) -> Standing {
        self.standing().clone()
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Invocation {
    /// What is known of it to whatever it calls.
    pub fn standing(&self) -> Standing {
        Standing { depth: self.event.depth, call: Some(self.id), trace: self.event.trace_parent().map(str::to_owned) }
    }
}

/// What a connection out of a jail was made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// The platform's own address: object storage and its kind.
    Platform,
    /// Port 80 of a sibling's host name.
    Function(Name),
}

pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}
