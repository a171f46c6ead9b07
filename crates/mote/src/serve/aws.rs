//! The aws door's S3, beside the services that are a dialect's: it streams, so it has a crate of its own.

use std::sync::Arc;

use mote_core::BoxFuture;
use mote_core::dialect::{Request, Response, Stamp};
use mote_dialects::aws::Aws;
use mote_s3::S3Door;
use mote_triggers::http::Beside;

/// See the module's text.
pub(super) struct S3Beside {
    pub(super) s3: S3Door,
    pub(super) dialect: Arc<Aws>,
}

impl Beside for S3Beside {
    fn answer<'a>(&'a self, request: Request, stamp: &'a Stamp) -> BoxFuture<'a, Response> {
        Box::pin(self.s3.reply(self.dialect.local_caller(&request, stamp), request))
    }
}
