//! What a function finds at the platform's addresses in its jail: its siblings, the buckets and the services of the aws door.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use mote_core::BoxFuture;
use mote_core::access::Credential;
use mote_core::clock::Clock;
use mote_core::dialect::Dialect;
use mote_core::directory::Directory;
use mote_core::engine::{Connection, Gateway, Origin, Service};
use mote_core::function::{Function, FunctionRef, Name};
use mote_core::platform::House;
use mote_dialects::aws::Aws;
use mote_dialects::plain::Plain;
use mote_s3::S3Door;
use mote_triggers::http::{HttpDoor, Room};
use mote_triggers::object::ObjectTrigger;

use super::aws::{self, Callers, S3Beside};

/// `http://events.mote`, where a function publishes and sends.
const EVENTS: &str = "events";

/// See the module's text.
pub(super) struct Inside {
    pub(super) s3: S3Door,
    pub(super) aws: Arc<Aws>,
    pub(super) objects: Arc<ObjectTrigger>,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Arc<dyn Clock>,
    /// Made after the engines, which hold this.
    pub(super) platform: OnceLock<Weak<House>>,
    pub(super) rooms: Rooms,
}

/// What is held in memory for the instances of each namespace, so that none of them takes what another's need.
#[derive(Default)]
pub(super) struct Rooms(Mutex<HashMap<Name, Room>>);

/// Some of the largest requests that a function may make.
const ROOM_BYTES: u64 = 64 << 20;

impl Rooms {
    fn of(&self, namespace: &Name) -> Room {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|_, room| room.is_shared());
        rooms.entry(namespace.clone()).or_insert_with(|| Room::of(ROOM_BYTES)).clone()
    }
}

impl Gateway for Inside {
    fn serve(&self, from: Origin, to: Service, connection: Box<dyn Connection>) -> BoxFuture<'static, ()> {
        // Gone only when the server is about to be.
        let Some(platform) = self.platform.get().and_then(Weak::upgrade) else { return Box::pin(async {}) };
        let namespace = from.function.namespace.clone();
        let room = self.rooms.of(&namespace);
        let door = |dialect: Arc<dyn Dialect>| HttpDoor::new(platform, vec![dialect], self.clock.clone()).with_room(room);
        let door = match to {
            Service::Platform => {
                // What is changed there is known to be this instance's doing.
                let s3 = self.s3.over(Arc::new(self.objects.inside(from.depth.clone())));
                let beside = S3Beside { s3, callers: Callers::Inside(Credential::Instance(namespace.clone())) };
                door(Arc::new(self.aws.inside(namespace, from.depth))).with_limits(aws::LIMITS).with_beside(Arc::new(beside))
            }
            Service::Function(name) if name.as_str() == EVENTS => door(Arc::new(Plain::inside(namespace, from.depth))),
            Service::Function(name) => door(Arc::new(Plain::sibling(FunctionRef { namespace, name }, from.depth))),
        };
        Box::pin(Arc::new(door).attend(connection))
    }

    fn sibling(&self, from: &Function, host: &str) -> Option<Name> {
        // Before any function of that name: what a function says to it must not reach another.
        if host.eq_ignore_ascii_case(EVENTS) {
            return Name::new(EVENTS).ok();
        }
        self.directory.by_host(&from.namespace, host)
    }
}
