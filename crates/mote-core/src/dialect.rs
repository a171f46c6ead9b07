//! The seam of a dialect: pure translation between one system's words and the core's.
//!
//! No I/O and no async: a dialect can be tested with a table. The caller's dialect (`parse`,
//! `render`) and the function's (`manifest`, `encode`, `decode`) are independent of each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::access::Credential;
use crate::action::{Action, Done};
use crate::body::Body;
use crate::bundle::Bundle;
use crate::clock::{Id, Timestamp};
use crate::egress::Egress;
use crate::engine::{Invocation, Output, Payload, Preparing};
use crate::error::Result;
use crate::flow::Flow;
use crate::function::delivery::Delivery;
use crate::function::{Binding, Function, HttpAccess, Isolation, Limits, Name, Recorded, Runtime};
use crate::reply::{Reply, Timing};
use crate::secret::SecretUse;

pub type Request = http::Request<Body>;
pub type Response = http::Response<Body>;

/// See the module's text.
pub trait Dialect: Send + Sync {
    /// Stored with each function that was deployed in it.
    fn name(&self) -> &'static str;

    /// What the bundle deploys, or `None` if it is not written in this dialect.
    fn manifest(&self, bundle: &Bundle) -> Result<Option<Vec<Deployment>>>;

    /// See [`Function::contract_env`]; asked for each version that is made.
    fn environment(&self, function: &Function) -> BTreeMap<String, String> {
        let _ = function;
        BTreeMap::new()
    }

    /// How much of the event's body `encode` reads, where it can't pass it on as it comes.
    fn reads_event(&self, call: &Invocation) -> Option<u64> {
        let _ = call;
        None
    }

    /// Puts the event into the form that the function's runtime expects. Takes the event's body.
    fn encode(&self, call: &mut Invocation) -> Result<Encoded>;

    /// How much of the reply's body `decode` reads, where it can't pass it on as it comes.
    fn reads_reply(&self, call: &Invocation, head: &[u8]) -> Option<u64> {
        let _ = (call, head);
        None
    }

    /// Makes the reply of what the engine brought back; a failure that the function reported
    /// becomes an error here, or a reply where the dialect has it so.
    fn decode(&self, call: &Invocation, output: Output) -> Result<Reply>;

    /// What the code's contract has in the log before a call runs. With nothing there, nothing comes after it.
    fn log_opening(&self, function: &Function, call: Id) -> Option<String> {
        let _ = (function, call);
        None
    }

    /// What it has there afterwards, one line each; `took` is the whole time in the engine.
    fn log_closing(&self, function: &Function, call: Id, timing: &Timing, took: Duration) -> Vec<String> {
        let _ = (function, call, timing, took);
        Vec::new()
    }

    /// Adds headers that every reply of this function has, errors too (CORS).
    fn dress(&self, function: &Function, request: Option<&http::HeaderMap>, headers: &mut http::HeaderMap) {
        let _ = (function, request, headers);
    }

    /// Whether who calls a function by its name is told of a failure in the function's own words.
    fn shows_failures(&self) -> bool {
        false
    }

    /// Reads a request. `Err` is the answer to a request that is ours and wrong.
    fn parse(&self, request: Request, stamp: &Stamp) -> Result<Parsed>;

    /// Words what came of an action.
    fn render(&self, result: Result<Done>) -> Response;
}

/// What a door knows of a request beside its bytes.
#[derive(Clone, Debug)]
pub struct Stamp {
    pub id: Id,
    pub time: Timestamp,
    /// The peer's address without its port.
    pub peer: String,
    /// Scheme and authority for absolute links: `http://127.0.0.1:8080`.
    pub origin: String,
}

pub enum Parsed {
    /// [`Dialect::render`] words what comes of it.
    Action(Credential, Action),
    /// A request whose answer takes more than one action, or whose body has to be read first.
    Turn(Turn),
    /// Another dialect's: here it is again.
    NotMine(Request),
}

/// What an API wants next on its way to an answer. The door does it and asks again, so that the
/// translation of many words into few verbs stays without I/O, and a test can play it through.
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once")]
pub enum Turn {
    /// The whole body, of so many bytes at most.
    Read {
        body: Body,
        bytes_max: u64,
        then: Then<Bytes>,
    },
    /// What comes of it is told when it has come to its end: [`Done::whole`].
    Do {
        who: Credential,
        what: Action,
        then: Then<Done>,
    },
    Answer(Response),
}

/// How an API goes on with what came of its last wish.
pub type Then<T> = Box<dyn FnOnce(Result<T>) -> Turn + Send>;

/// Turns of one request. An API that wants more goes round in circles.
pub const TURNS_MAX: usize = 64;

impl Turn {
    pub fn read(body: Body, bytes_max: u64, then: impl FnOnce(Result<Bytes>) -> Turn + Send + 'static) -> Turn {
        Turn::Read { body, bytes_max, then: Box::new(then) }
    }

    pub fn act(who: Credential, what: Action, then: impl FnOnce(Result<Done>) -> Turn + Send + 'static) -> Turn {
        Turn::Do { who, what, then: Box::new(then) }
    }
}

pub enum Encoded {
    Run(Payload),
    /// Answered without the function (a CORS preflight).
    Reply(Reply),
}

/// A function as its manifest declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// `None`: the bundle's own name.
    pub name: Option<Name>,
    pub runtime: Runtime,
    pub dialect: &'static str,
    pub entry: String,
    pub limits: Limits,
    pub env: BTreeMap<String, String>,
    pub secrets: Vec<SecretUse>,
    pub egress: Egress,
    pub isolation: Isolation,
    pub delivery: Delivery,
    pub records: Recorded,
    pub preparing: Preparing,
    /// See [`Function::port`].
    pub port: Option<u16>,
    /// See [`Function::pulls`].
    pub pulls: bool,
    /// See [`Function::about`].
    pub about: serde_json::Map<String, serde_json::Value>,
    pub http: HttpAccess,
    pub bindings: Vec<Binding>,
    /// See [`Function::flow`].
    pub flow: Option<Arc<Flow>>,
}
