//! The aws dialect: functions, clients and manifests written for AWS Lambda and the services around it.
//!
//! Three parts, independent of each other: [`envelope`] (the event as AWS words it, and the reply),
//! the wire of the aws door, and the manifests. Names of things are in [`arn`]. What a handler is
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
//! | event source mapping, event notification, rule target | binding |
//! | reserved; provisioned concurrency | most; fewest instances |
//! | layer | part of the artifact, at `/opt` |
//! | function URL, API Gateway route | route on the public door |
//! | dead-letter queue, on-failure destination | destination of what failed |
//! | account | namespace, as a number of 12 digits |
//! | `FunctionError: Unhandled` | fault of the function |

mod api;
mod arn;
mod envelope;

use std::collections::BTreeMap;
use std::time::Duration;

use mote_core::Result;
use mote_core::access::Credential;
use mote_core::action::Done;
use mote_core::bundle::Bundle;
use mote_core::clock::Id;
use mote_core::dialect::{Deployment, Dialect, Encoded, Parsed, Request, Response, Stamp};
use mote_core::engine::{Invocation, Output};
use mote_core::function::Function;
use mote_core::reply::{Reply, Timing};

pub use self::arn::Account;

/// The name that is stored with functions of this dialect.
pub const NAME: &str = "aws";

/// See the module's text.
pub struct Aws {
    account: Account,
    keys: Keys,
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
        Aws { account, keys }
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

    /// Templates are not read yet: a function comes by the API, which says what it is.
    fn manifest(&self, _: &Bundle) -> Result<Option<Vec<Deployment>>> {
        Ok(None)
    }

    fn environment(&self, function: &Function) -> BTreeMap<String, String> {
        api::lambda::environment(function)
    }

    fn reads_event(&self, call: &Invocation) -> Option<u64> {
        envelope::reads_event(call)
    }

    fn encode(&self, call: &mut Invocation) -> Result<Encoded> {
        envelope::encode(call, &self.account)
    }

    fn reads_reply(&self, call: &Invocation, head: &[u8]) -> Option<u64> {
        envelope::reads_reply(call, head)
    }

    fn decode(&self, call: &Invocation, output: Output) -> Result<Reply> {
        envelope::decode(call, output)
    }

    fn log_opening(&self, _: &Function, call: Id) -> Option<String> {
        Some(envelope::log::opening(call))
    }

    fn log_closing(&self, function: &Function, call: Id, timing: &Timing, took: Duration) -> Vec<String> {
        envelope::log::closing(function, call, timing, took)
    }

    fn shows_failures(&self) -> bool {
        true
    }

    fn parse(&self, request: Request, stamp: &Stamp) -> Result<Parsed> {
        Ok(api::parse(request, stamp, &self.account, self.keys))
    }

    fn render(&self, result: Result<Done>) -> Response {
        api::render(result)
    }
}
