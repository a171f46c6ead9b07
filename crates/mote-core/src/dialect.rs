//! The seam of a dialect: pure translation between one system's words and the core's.
//!
//! No I/O and no async: a dialect can be tested with a table. The caller's dialect (`parse`,
//! `render`) and the function's (`manifest`, `encode`, `decode`) are independent of each other.

use std::sync::Arc;

use crate::access::Credential;
use crate::action::{Action, Done};
use crate::body::Body;
use crate::bundle::Bundle;
use crate::clock::{Id, Timestamp};
use crate::egress::Egress;
use crate::engine::{Invocation, Output, Payload};
use crate::error::Result;
use crate::flow::Flow;
use crate::function::delivery::Delivery;
use crate::function::{Binding, Function, HttpAccess, Isolation, Limits, Name, Recorded, Runtime};
use crate::reply::Reply;
use crate::secret::SecretUse;

pub type Request = http::Request<Body>;
pub type Response = http::Response<Body>;

/// See the module's text.
pub trait Dialect: Send + Sync {
    /// Stored with each function that was deployed in it.
    fn name(&self) -> &'static str;

    /// What the bundle deploys, or `None` if it is not written in this dialect.
    fn manifest(&self, bundle: &Bundle) -> Result<Option<Vec<Deployment>>>;

    /// Puts the event into the form that the function's runtime expects. Takes the event's body.
    fn encode(&self, call: &mut Invocation) -> Result<Encoded>;

    /// Makes the reply of what the engine brought back; a failure that the function reported
    /// becomes an error here, or a reply where the dialect has it so.
    fn decode(&self, call: &Invocation, output: Output) -> Result<Reply>;

    /// Adds headers that every reply of this function has, errors too (CORS).
    fn dress(&self, function: &Function, request: Option<&http::HeaderMap>, headers: &mut http::HeaderMap) {
        let _ = (function, request, headers);
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

#[expect(clippy::large_enum_variant, reason = "made and taken apart once for each request: a box would cost each an allocation")]
pub enum Parsed {
    Action(Credential, Action),
    /// Another dialect's: here it is again.
    NotMine(Request),
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
    pub env: std::collections::BTreeMap<String, String>,
    pub secrets: Vec<SecretUse>,
    pub egress: Egress,
    pub isolation: Isolation,
    pub delivery: Delivery,
    pub records: Recorded,
    /// See [`Function::port`].
    pub port: Option<u16>,
    pub http: HttpAccess,
    pub bindings: Vec<Binding>,
    /// See [`Function::flow`].
    pub flow: Option<Arc<Flow>>,
}
