//! What a function finds at the platform's addresses in its jail: its siblings and the buckets.

use std::sync::Arc;

use mote_core::BoxFuture;
use mote_core::access::Credential;
use mote_core::directory::Directory;
use mote_core::engine::{Connection, Gateway, Origin, Service};
use mote_core::function::{Function, Name};
use mote_s3::S3Door;

/// See the module's text.
pub(super) struct Inside {
    pub(super) s3: S3Door,
    pub(super) directory: Arc<Directory>,
}

impl Gateway for Inside {
    fn serve(&self, from: Origin, to: Service, connection: Box<dyn Connection>) -> BoxFuture<'static, ()> {
        let who = Credential::Instance(from.function.namespace.clone());
        match to {
            Service::Platform => Box::pin(self.s3.clone().attend(who, connection)),
            // Nothing leads there yet: the resolver knows no sibling.
            Service::Function(_) => Box::pin(async {}),
        }
    }

    fn sibling(&self, from: &Function, host: &str) -> Option<Name> {
        self.directory
            .list(&from.namespace, None, usize::MAX)
            .into_iter()
            .map(|f| f.name.clone())
            .find(|name| name.as_str().eq_ignore_ascii_case(host))
    }
}
