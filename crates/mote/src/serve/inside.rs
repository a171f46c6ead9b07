//! What a function finds at the platform's addresses in its jail: its siblings and the buckets.

use std::sync::{Arc, OnceLock, Weak};

use mote_core::BoxFuture;
use mote_core::access::Credential;
use mote_core::clock::Clock;
use mote_core::directory::Directory;
use mote_core::engine::{Connection, Gateway, Origin, Service};
use mote_core::function::{Function, FunctionRef, Name};
use mote_core::platform::House;
use mote_dialects::plain::Plain;
use mote_s3::S3Door;
use mote_triggers::http::HttpDoor;
use mote_triggers::object::ObjectTrigger;

/// `http://events.mote`, where a function publishes and sends.
const EVENTS: &str = "events";

/// See the module's text.
pub(super) struct Inside {
    pub(super) s3: S3Door,
    pub(super) objects: Arc<ObjectTrigger>,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Arc<dyn Clock>,
    /// Made after the engines, which hold this.
    pub(super) platform: OnceLock<Weak<House>>,
}

impl Gateway for Inside {
    fn serve(&self, from: Origin, to: Service, connection: Box<dyn Connection>) -> BoxFuture<'static, ()> {
        let who = Credential::Instance(from.function.namespace.clone());
        match to {
            Service::Platform => {
                // What is changed there is known to be this instance's doing.
                let objects = self.objects.inside(from.depth);
                Box::pin(self.s3.over(Arc::new(objects)).attend(who, connection))
            }
            Service::Function(name) => {
                let namespace = from.function.namespace.clone();
                let dialect = Arc::new(match name.as_str() == EVENTS {
                    true => Plain::inside(namespace, from.depth),
                    false => Plain::sibling(FunctionRef { namespace, name }, from.depth),
                });
                // Gone only when the server is about to be.
                let Some(platform) = self.platform.get().and_then(Weak::upgrade) else { return Box::pin(async {}) };
                let door = Arc::new(HttpDoor::new(platform, vec![dialect], self.clock.clone()));
                Box::pin(door.attend(connection))
            }
        }
    }

    fn sibling(&self, from: &Function, host: &str) -> Option<Name> {
        // Before any function of that name: what a function says to it must not reach another.
        if host.eq_ignore_ascii_case(EVENTS) {
            return Name::new(EVENTS).ok();
        }
        self.directory.by_host(&from.namespace, host)
    }
}
