//! The aws dialect: functions, clients and manifests written for AWS Lambda and the services around it.
//!
//! Three parts, independent of each other: [`envelope`] (the event as AWS words it, and the reply),
//! the wire of the aws door, and the [`manifest`]s. Names of things are in [`arn`]. What a handler is
//! called with, and how its errors look, is the runners' work or the code's own runtime's.
//!
//! | AWS | mote |
//! |---|---|
//! | function; `$LATEST`; version `1`, `2`, …; alias | function; its version 0, the draft; version; alias |
//! | qualifier | the version or alias in the address of a call |
//! | execution environment, sandbox | instance, in its jail |
//! | init phase | cold start |
//! | request id | the invocation's id |
//! | `RequestResponse`; `Event` | `Call`; `Send` |
//! | event source mapping, event notification | binding |
//! | rule, schedule | rule |
//! | reserved; provisioned concurrency | most; fewest instances |
//! | layer | part of the artifact, at `/opt` |
//! | function URL, API Gateway route | route on the public door |
//! | dead-letter queue, on-failure destination | destination of what failed |
//! | account | namespace, as a number of 12 digits |
//! | `FunctionError: Unhandled` | fault of the function |

mod api;
mod arn;
mod envelope;
mod eventstream;
mod gateway;
mod manifest;
mod rule;
mod urls;

use std::collections::BTreeMap;
use std::time::Duration;

use mote_core::access::Credential;
use mote_core::action::Done;
use mote_core::bundle::Bundle;
use mote_core::clock::Id;
use mote_core::dialect::{Dialect, Encoded, Ended, Followed, Manifest, Parameters, Parsed, Reads, Request, Response, Stamp};
use mote_core::engine::{Depth, Invocation, Output};
use mote_core::event::StoredEvent;
use mote_core::function::{Bound, Cors, Function, HttpRoute, Name, Runtime};
use mote_core::reply::{Reply, Timing};
use mote_core::rule::{Rule, Target};
use mote_core::{Error, Result};
use serde_json::{Map, Value};

pub use self::arn::Account;
pub(crate) use self::envelope::over_http::{Form, about};
pub(crate) use self::manifest::path_of;

/// A function as a manifest says it, in AWS's names for its runtime and its handler.
pub(crate) struct Declared {
    pub(crate) runtime: Runtime,
    pub(crate) entry: String,
    pub(crate) pulls: bool,
    pub(crate) about: Map<String, Value>,
}

/// The error says why not. `has`: whether the code brings a file.
pub(crate) fn declared(runtime: &str, handler: &str, has: impl Fn(&str) -> bool) -> Result<Declared, String> {
    api::lambda::declared(runtime, handler, has)
}

/// The name that is stored with functions of this dialect.
pub const NAME: &str = "aws";

/// See the module's text.
pub struct Aws {
    account: Account,
    keys: Keys,
    door: Door,
}

/// The doors differ in what they read and in how they answer, and in nothing else.
#[derive(Clone)]
enum Door {
    /// The services' APIs.
    Api,
    /// Function URLs, and stages of REST APIs.
    Public,
    /// The services' APIs, for an instance of this namespace.
    Inside { namespace: Name, depth: Depth },
}

/// Whose requests are believed at the aws door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// On this machine everybody's, with whatever key, as tools for local work have it; elsewhere
    /// those alone that one of this server's keys has signed.
    #[default]
    Local,
    /// Those alone that one of this server's keys has signed.
    Known,
}

impl Aws {
    pub fn new(account: Account, keys: Keys) -> Aws {
        Aws { account, keys, door: Door::Api }
    }

    /// The same for function URLs and REST APIs, of which the public door's other requests are none. It stands behind
    /// proxies, some of which say nothing of themselves: who comes from this machine is nobody in particular.
    pub fn public(&self) -> Aws {
        Aws { account: self.account.clone(), keys: Keys::Known, door: Door::Public }
    }

    /// For one connection that an instance of the namespace has made to the platform: the connection says who asks, and
    /// no signature is looked at.
    pub fn inside(&self, namespace: Name, depth: Depth) -> Aws {
        Aws { account: self.account.clone(), keys: Keys::Known, door: Door::Inside { namespace, depth } }
    }

    /// Who sends a request that S3 is to answer, if that needs no proof.
    pub fn local_caller(&self, request: &Request, stamp: &Stamp) -> Option<Credential> {
        let local = api::sender::is_local(self.keys, request.uri(), request.headers(), stamp);
        local.then_some(Credential::Local { signed: None })
    }
}

impl Dialect for Aws {
    fn name(&self) -> &'static str {
        NAME
    }

    fn manifest(&self, bundle: &Bundle, said: &Parameters) -> Result<Option<Manifest>> {
        manifest::read(bundle, said, &self.account)
    }

    fn environment(&self, function: &Function) -> BTreeMap<String, String> {
        api::lambda::environment(function)
    }

    fn log_starting(&self, function: &Function) -> Option<String> {
        Some(api::lambda::log_starting(function))
    }

    fn reads_event(&self, call: &Invocation) -> Option<u64> {
        envelope::reads_event(call)
    }

    fn encode(&self, call: &mut Invocation) -> Result<Encoded> {
        envelope::encode(call, &self.account)
    }

    fn reads_reply(&self, call: &Invocation, head: &[u8]) -> Option<Reads> {
        envelope::reads_reply(call, head)
    }

    fn decode(&self, call: &Invocation, output: Output) -> Result<Reply> {
        envelope::decode(call, output)
    }

    fn log_opening(&self, function: &Function, call: Id) -> Option<String> {
        Some(envelope::log::opening(function, call))
    }

    fn log_closing(&self, function: &Function, call: Id, timing: &Timing, took: Duration) -> Vec<String> {
        envelope::log::closing(function, call, timing, took)
    }

    fn follow(&self, function: &Function, ended: &Ended<'_>) -> Option<Followed> {
        Some(envelope::destination::record(function, &self.account, ended))
    }

    fn bury(&self, function: &Function, ended: &Ended<'_>) -> Option<StoredEvent> {
        Some(envelope::buried(function, &self.account, ended))
    }

    fn tell_change(&self, bound: &Bound, event: &StoredEvent) -> Result<StoredEvent> {
        envelope::object::tell(bound, event, &self.account)
    }

    fn tell(&self, rule: &Rule, target: &Target, event: &StoredEvent) -> Result<Followed> {
        envelope::rule::tell(rule, target, event)
    }

    fn tells_failure(&self, _: &Function, route: Option<&HttpRoute>, id: Id, error: &Error) -> Option<Reply> {
        envelope::over_http::tell(route, id, error)
    }

    fn dress(&self, cors: &Cors, request: &http::HeaderMap, headers: &mut http::HeaderMap) {
        crate::cors::dress(cors, request, headers);
    }

    fn shows_failures(&self) -> bool {
        true
    }

    fn parse(&self, request: Request, stamp: &Stamp) -> Result<Parsed> {
        match &self.door {
            Door::Api => Ok(api::parse(request, stamp, &self.account, self.keys)),
            Door::Inside { namespace, depth } => Ok(api::inside(request, stamp, &self.account, namespace, depth)),
            Door::Public => match urls::parse(request, stamp)? {
                Parsed::NotMine(request) => gateway::parse(request, stamp),
                parsed => Ok(parsed),
            },
        }
    }

    fn render(&self, result: Result<Done>) -> Response {
        match &self.door {
            Door::Api | Door::Inside { .. } => api::render(result),
            Door::Public => urls::render(result, Id(0)),
        }
    }
}
