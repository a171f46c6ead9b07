//! The aws door's S3, beside the services that are a dialect's: it streams, so it has a crate of its own.

use std::sync::Arc;
use std::time::Duration;

use mote_core::BoxFuture;
use mote_core::access::Credential;
use mote_core::dialect::{Request, Response, Stamp};
use mote_dialects::aws::Aws;
use mote_s3::S3Door;
use mote_triggers::http::{Beside, HttpLimits};

/// SDKs keep connections for as long between two requests; and a copy of gigabytes says nothing until it is done.
pub(super) const LIMITS: HttpLimits = HttpLimits { connections_max: 4096, stall: Duration::from_secs(75), drain: Duration::from_secs(30) };

/// See the module's text.
pub(super) struct S3Beside {
    pub(super) s3: S3Door,
    pub(super) callers: Callers,
}

/// Who need not sign.
pub(super) enum Callers {
    /// Whom the dialect takes for this machine's.
    Local(Arc<Aws>),
    /// Code in an instance, whose connection it is.
    Inside(Credential),
}

impl Beside for S3Beside {
    fn answer<'a>(&'a self, request: Request, stamp: &'a Stamp) -> BoxFuture<'a, Response> {
        let known = match &self.callers {
            Callers::Local(dialect) => dialect.local_caller(&request, stamp),
            Callers::Inside(instance) => Some(instance.clone()),
        };
        Box::pin(self.s3.reply(known, request))
    }
}
