//! The plain dialect, mote's own: a function is a service, with no SDK and no handler signature.
//!
//! Three parts, independent of each other: [`manifest`] (mote.toml, or what a bundle itself
//! tells), [`envelope`] (the call's head and the reply's, host ↔ runner), [`api`] (the HTTP
//! requests of the two doors, and the answers). What the runners do with a call is theirs.

mod api;
mod envelope;
mod manifest;

pub(crate) use self::api::render;
pub use self::manifest::units::{duration_ms, size_bytes};

use mote_core::Result;
use mote_core::action::Done;
use mote_core::bundle::Bundle;
use mote_core::dialect::{Dialect, Encoded, Manifest, Parameters, Parsed, Request, Response, Stamp};
use mote_core::engine::{Depth, Invocation, Output};
use mote_core::function::{Cors, FunctionRef, Name};
use mote_core::reply::Reply;

use crate::cors;

/// The name that is stored with functions of this dialect.
pub const NAME: &str = "plain";

/// See the module's text. The doors differ in what they read, and in nothing else.
pub struct Plain {
    door: Door,
}

enum Door {
    /// Every request is a call of a route; no function is reached by its name alone.
    Public,
    /// `/v1/…`, for callers with a token; serves no route.
    Control,
    /// Every request is a call of this function, out of an instance of another.
    Sibling { to: FunctionRef, depth: Depth },
    /// `events.mote`, for an instance of this namespace.
    Inside { namespace: Name, depth: Depth },
}

impl Plain {
    pub fn public() -> Plain {
        Plain { door: Door::Public }
    }

    pub fn control() -> Plain {
        Plain { door: Door::Control }
    }

    /// For one connection that an instance of the namespace has made to `events.mote`.
    pub fn inside(namespace: Name, depth: Depth) -> Plain {
        Plain { door: Door::Inside { namespace, depth } }
    }

    /// For one connection that an instance of `to`'s namespace has made to that function's host name.
    pub fn sibling(to: FunctionRef, depth: Depth) -> Plain {
        Plain { door: Door::Sibling { to, depth } }
    }
}

impl Dialect for Plain {
    fn name(&self) -> &'static str {
        NAME
    }

    fn manifest(&self, bundle: &Bundle, said: &Parameters) -> Result<Option<Manifest>> {
        manifest::read(bundle, said)
    }

    fn obvious(&self, bundle: &Bundle) -> Option<Manifest> {
        manifest::told_by_files(bundle)
    }

    fn encode(&self, call: &mut Invocation) -> Result<Encoded> {
        envelope::encode(call)
    }

    fn decode(&self, call: &Invocation, output: Output) -> Result<Reply> {
        envelope::decode(call, output)
    }

    fn dress(&self, cors: &Cors, request: &http::HeaderMap, headers: &mut http::HeaderMap) {
        cors::dress(cors, request, headers);
    }

    fn parse(&self, request: Request, stamp: &Stamp) -> Result<Parsed> {
        match &self.door {
            Door::Public => api::public(request, stamp),
            Door::Control => api::control(request, stamp),
            Door::Sibling { to, depth } => api::sibling(request, stamp, to, depth),
            Door::Inside { namespace, depth } => api::inside(request, stamp, namespace, depth),
        }
    }

    fn render(&self, result: Result<Done>) -> Response {
        render(result)
    }
}
