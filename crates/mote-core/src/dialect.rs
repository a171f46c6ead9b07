//! The seam of a dialect: pure translation between one system's words and the core's.
//!
//! No I/O and no async: a dialect can be tested with a table. The caller's dialect (`parse`,
//! `render`) and the function's (`manifest`, `encode`, `decode`) are independent of each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::access::{Credential, Patch};
use crate::action::{Action, Done};
use crate::body::Body;
use crate::bundle::Bundle;
use crate::clock::{Id, Timestamp};
use crate::egress::Egress;
use crate::engine::{Invocation, Output, Payload, Preparing};
use crate::error::{Error, Result};
use crate::event::StoredEvent;
use crate::flow::Flow;
use crate::function::delivery::Delivery;
use crate::function::{Binding, Bound, Cors, Function, HttpAccess, HttpRoute, Isolation, Limits, Name, Qualifier, Recorded, Runtime};
use crate::invoke::deliver::outcome::KeptReply;
use crate::reply::{Reply, Timing};
use crate::rule::{self, Rule};
use crate::secret::SecretUse;

pub type Request = http::Request<Body>;
pub type Response = http::Response<Body>;

/// See the module's text.
pub trait Dialect: Send + Sync {
    /// Stored with each function that was deployed in it.
    fn name(&self) -> &'static str;

    /// What the bundle's manifest declares, or `None` if it has none of this dialect.
    fn manifest(&self, bundle: &Bundle, said: &Parameters) -> Result<Option<Manifest>>;

    /// What a bundle without any dialect's manifest tells by its files alone.
    fn obvious(&self, bundle: &Bundle) -> Option<Manifest> {
        let _ = bundle;
        None
    }

    /// See [`Function::contract_env`]; asked for each version that is made.
    fn environment(&self, function: &Function) -> BTreeMap<String, String> {
        let _ = function;
        BTreeMap::new()
    }

    /// See [`Function::contract_start`]; asked at the same time.
    fn log_starting(&self, function: &Function) -> Option<String> {
        let _ = function;
        None
    }

    /// How much of the event's body `encode` reads, where it can't pass it on as it comes.
    fn reads_event(&self, call: &Invocation) -> Option<u64> {
        let _ = call;
        None
    }

    /// Puts the event into the form that the function's runtime expects. Takes the event's body.
    fn encode(&self, call: &mut Invocation) -> Result<Encoded>;

    /// How much of the reply's body `decode` reads, where it can't pass it on as it comes.
    fn reads_reply(&self, call: &Invocation, head: &[u8]) -> Option<Reads> {
        let _ = (call, head);
        None
    }

    /// Makes the reply of what the engine brought back; a failure that the function reported
    /// becomes an error here, or a reply where the dialect has it so.
    fn decode(&self, call: &Invocation, output: Output) -> Result<Reply>;

    /// What the code's contract has in the log when an instance takes a call.
    fn log_opening(&self, function: &Function, call: Id) -> Option<String> {
        let _ = (function, call);
        None
    }

    /// What it has there afterwards, one line each; `took` is the whole time in the engine.
    fn log_closing(&self, function: &Function, call: Id, timing: &Timing, took: Duration) -> Vec<String> {
        let _ = (function, call, timing, took);
        Vec::new()
    }

    /// What who asked over HTTP is told of a call that failed, where the code's contract words that itself.
    fn tells_failure(&self, function: &Function, route: Option<&HttpRoute>, id: Id, error: &Error) -> Option<Reply> {
        let _ = (function, route, id, error);
        None
    }

    /// Adds what every reply to a page of another origin says, errors too.
    fn dress(&self, cors: &Cors, request: &http::HeaderMap, headers: &mut http::HeaderMap) {
        let _ = (cors, request, headers);
    }

    /// Whether who calls a function by its name is told of a failure in the function's own words.
    fn shows_failures(&self) -> bool {
        false
    }

    /// What is sent on of a call that nobody waited for, where the code's contract words that itself.
    fn follow(&self, function: &Function, ended: &Ended<'_>) -> Option<Followed> {
        let _ = (function, ended);
        None
    }

    /// An event that was given up, where it is sent as it came and the code's contract has words for that.
    fn bury(&self, function: &Function, ended: &Ended<'_>) -> Option<StoredEvent> {
        let _ = (function, ended);
        None
    }

    /// What a target of a rule in this dialect's words gets of an event, of a topic or of the clock.
    fn tell(&self, rule: &Rule, target: &rule::Target, event: &StoredEvent) -> Result<Followed> {
        let _ = (rule, target);
        Ok(Followed { content_type: event.content_type.clone(), body: event.body.clone(), extensions: Map::new() })
    }

    /// What a queue or a topic gets of a change of an object by a binding in this dialect's words.
    fn tell_change(&self, bound: &Bound, event: &StoredEvent) -> Result<StoredEvent> {
        let _ = bound;
        Ok(event.clone())
    }

    /// Reads a request. `Err` is the answer to a request that is ours and wrong.
    fn parse(&self, request: Request, stamp: &Stamp) -> Result<Parsed>;

    /// Words what came of an action.
    fn render(&self, result: Result<Done>) -> Response;
}

/// What of a reply's body is there before its head goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// All of it, or the call has failed.
    Whole { bytes_max: u64 },
    /// All up to that mark, or as much as there may be before it: [`Body::take_begun`].
    UpTo { mark: &'static [u8], bytes_max: u64 },
}

/// A call that nobody waited for, at its end.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    pub id: Id,
    /// As it was sent.
    pub event: &'a StoredEvent,
    pub called: &'a Qualifier,
    /// Attempts that were made, this one included.
    pub attempts: u32,
    /// It could have been tried again, but for its age.
    pub aged: bool,
    pub end: std::result::Result<&'a KeptReply, &'a Error>,
    /// That ran last, if one did.
    pub version: Option<u64>,
    pub now: Timestamp,
}

/// What is sent on of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed {
    pub content_type: Option<String>,
    pub body: Bytes,
    pub extensions: Map<String, Value>,
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
    /// An answer that goes out as it comes, and the rest of the conversation behind it: how its body has
    /// ended is told, and the body of what is answered to that is the last of it.
    Pour {
        response: Response,
        then: Then<()>,
    },
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

    pub fn pour(response: Response, then: impl FnOnce(Result<()>) -> Turn + Send + 'static) -> Turn {
        Turn::Pour { response, then: Box::new(then) }
    }
}

pub enum Encoded {
    Run(Payload),
    /// Answered without the function (a CORS preflight).
    Reply(Reply),
}

/// What a deploy says to a manifest beside the files.
#[derive(Clone, Debug)]
pub struct Parameters {
    pub namespace: Name,
    /// Of the folder, or the name that was wished for.
    pub project: Option<Name>,
    pub values: BTreeMap<String, String>,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters { namespace: Name::default_namespace(), project: None, values: BTreeMap::new() }
    }
}

/// Where [`Parameters::values`] come in with the files, as a JSON object of texts: no file of the bundle.
pub const PARAMETERS: &str = ".mote/parameters.json";

/// All that a bundle declares; a deploy makes all of it, or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    pub functions: Vec<Deployment>,
    /// Made where they are not there yet.
    pub buckets: Vec<String>,
    /// The same, or changed as the patch says.
    pub queues: BTreeMap<Name, Patch>,
    /// For the person who deploys: what was taken and has no effect here.
    pub notes: Vec<String>,
}

impl From<Vec<Deployment>> for Manifest {
    fn from(functions: Vec<Deployment>) -> Manifest {
        Manifest { functions, ..Manifest::default() }
    }
}

/// A function as its manifest declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Its own files; `None`: all of the bundle's.
    pub files: Option<Arc<Bundle>>,
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
    pub about: Map<String, Value>,
    pub http: HttpAccess,
    pub bindings: Vec<Binding>,
    /// See [`Function::flow`].
    pub flow: Option<Arc<Flow>>,
}
