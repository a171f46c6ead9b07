//! The one list of all that is inside, before any of it is opened to anybody.
//!
//! Every crate is named here and nowhere else; they meet in the core's seams. From the bottom up:
//! what is known ([`Known`]), what runs functions, what brings events, and the platform over all of
//! it. Not here: sockets ([`super::open`]), and the order of start and stop ([`super`]).

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use mote_core::access::Access;
use mote_core::clock::Clock;
use mote_core::directory::Directory;
use mote_core::engine::Engine;
use mote_core::invoke::deliver::Deliverer;
use mote_core::invoke::flow::FlowEngine;
use mote_core::invoke::spill::Spill;
use mote_core::invoke::{Dialects, Engines, Invoker};
use mote_core::platform::House;
use mote_core::queues::Queues;
use mote_core::secret::vault::Vault;
use mote_core::topic::Topics;
use mote_core::trigger::{Stop, Trigger};
use mote_dialects::aws::Aws;
use mote_dialects::plain::Plain;
use mote_engine_process::{ProcessEngine, Seams, Settings};
use mote_mqtt::MqttBroker;
use mote_s3::S3Door;
use mote_store::Embedded;
use mote_triggers::object::{self, ObjectTrigger};
use mote_triggers::queue::QueueTrigger;
use mote_triggers::timer::TimerTrigger;
use mote_triggers::webhook::WebhookTrigger;

use super::inside::{Inside, Rooms};
use super::logs::UntilStop;
use super::outside::WayOut;
use crate::credentials::Credentials;
use crate::failure::Failure;

/// Jails that wait for a function, of each kind; how many there are follows from how many are started.
const SPARES_MAX: usize = 8;

/// What the doors lead to, and what brings events without a door.
pub(super) struct Parts {
    pub(super) house: Arc<House>,
    pub(super) s3: S3Door,
    pub(super) aws: Arc<Aws>,
    pub(super) broker: Arc<MqttBroker>,
    pub(super) triggers: Vec<(&'static str, Box<dyn Trigger>)>,
    pub(super) engines: Engines,
}

/// What the parts are made of.
pub(super) struct Ground<'a> {
    pub(super) store: &'a Embedded,
    pub(super) credentials: &'a Credentials,
    pub(super) vault: Arc<Vault>,
    pub(super) data_dir: &'a Path,
    pub(super) aws: Arc<Aws>,
    /// Of the public door.
    pub(super) public_url: &'a str,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) retry_scale: f64,
    pub(super) stop: Stop,
}

/// What lies in the catalog, and is held in memory since every call asks for it.
struct Known {
    access: Arc<Access>,
    directory: Arc<Directory>,
    topics: Arc<Topics>,
    queues: Arc<Queues>,
}

pub(super) async fn assemble(ground: Ground<'_>) -> Result<Parts, Failure> {
    let known = Known::load(&ground).await?;
    let Ground { store, vault, clock, .. } = &ground;
    // Whoever changes an object, changes it through here, so that no change goes unnoticed.
    let dialects = Dialects::new(vec![Arc::new(Plain::public()), ground.aws.clone()]);
    let listeners = object::Known {
        directory: known.directory.clone(),
        topics: known.topics.clone(),
        queues: known.queues.clone(),
        dialects: dialects.clone(),
    };
    let objects = Arc::new(ObjectTrigger::new(store.objects(), listeners, known.access.clone(), clock.clone()));
    let s3 = mote_s3::service(objects.clone(), known.access.clone(), clock.clone());
    let gateway = Arc::new(Inside {
        s3: s3.clone(),
        aws: ground.aws.clone(),
        rooms: Rooms::default(),
        objects: objects.clone(),
        directory: known.directory.clone(),
        clock: clock.clone(),
        platform: OnceLock::new(),
    });
    let invoker = Arc::new(invoker(&ground, &known, dialects, gateway.clone())?);
    let engines = invoker.engines.clone();
    known.directory.kept_warm().iter().for_each(|function| engines.keep_warm(function));
    let triggers = triggers(&ground, &known)?;
    let broker = MqttBroker::open(mote_mqtt::Seams {
        queue: store.queue(),
        catalog: store.catalog(),
        clock: clock.clone(),
        directory: known.directory,
        access: known.access.clone(),
        invoke: invoker.clone(),
    });
    let broker = broker.await?;
    let house = House::new(known.access, invoker, objects, vault.clone(), ground.public_url.to_owned());
    let house = Arc::new(house.with_mqtt(broker.clone()));
    // Set once, here.
    let _ = gateway.platform.set(Arc::downgrade(&house));
    Ok(Parts { house, s3, aws: ground.aws, broker, triggers, engines })
}

impl Known {
    async fn load(Ground { store, credentials, clock, .. }: &Ground<'_>) -> Result<Known, Failure> {
        let catalog = store.catalog();
        let access = Access::new(credentials.root()?, clock.clone()).audited(store.audit());
        access.load(&*catalog).await?;
        let directory = Arc::new(Directory::default());
        directory.load(&*catalog).await?;
        let topics = Arc::new(Topics::new(directory.clone()));
        topics.load(&*catalog).await?;
        let queues = Arc::new(Queues::new(credentials.root()?.server_key));
        queues.load(&*catalog).await?;
        Ok(Known { access: Arc::new(access), directory, topics, queues })
    }
}

/// The path of every call, and the engines at its end.
fn invoker(ground: &Ground<'_>, known: &Known, dialects: Dialects, gateway: Arc<Inside>) -> Result<Invoker, Failure> {
    let Ground { store, vault, clock, .. } = ground;
    let logs = Arc::new(UntilStop::new(store.logs(), ground.stop.clone()));
    // A function in its jail finds the buckets behind the same service, known by its connection.
    let seams = Seams { clock: clock.clone(), logs: logs.clone(), gateway, secrets: vault.clone() };
    let processes = ProcessEngine::new(settings(ground.data_dir)?, seams)?;
    let flows = FlowEngine { queue: store.queue(), clock: clock.clone(), access: known.access.clone() };
    Ok(Invoker {
        access: known.access.clone(),
        topics: known.topics.clone(),
        queues: known.queues.clone(),
        secrets: vault.clone(),
        directory: known.directory.clone(),
        catalog: store.catalog(),
        queue: store.queue(),
        spill: Arc::new(Spill::new(store.objects(), store.queue(), known.access.clone())),
        logs,
        records: store.records(),
        clock: clock.clone(),
        dialects,
        engines: Engines::new([processes as Arc<dyn Engine>, Arc::new(flows)]),
    })
}

/// With the words by which the log knows it.
type Named = (&'static str, Box<dyn Trigger>);

fn triggers(Ground { store, vault, clock, retry_scale, .. }: &Ground<'_>, known: &Known) -> Result<Vec<Named>, Failure> {
    let (queue, logs, directory) = (|| store.queue(), || store.logs(), || known.directory.clone());
    let way_out = Arc::new(WayOut::new(clock.clone())?);
    Ok(vec![
        ("the queue", Box::new(Deliverer::new(queue(), logs(), clock.clone()).with_waits_scaled(*retry_scale))),
        ("the queues of users", Box::new(QueueTrigger::new(directory(), known.queues.clone(), queue(), logs(), clock.clone()))),
        (
            "the timers",
            Box::new(TimerTrigger::new(directory(), known.topics.rules.clone(), store.catalog(), queue(), logs(), clock.clone())),
        ),
        ("the webhooks", Box::new(WebhookTrigger::new(queue(), vault.clone(), way_out, clock.clone()))),
    ])
}

/// Where the process engine keeps what it makes.
fn settings(data_dir: &Path) -> Result<Settings, Failure> {
    let absolute =
        data_dir.canonicalize().map_err(|error| Failure::platform(format!("{} can't be found again: {error}", data_dir.display())))?;
    // Not the path that it was started by: an upgrade may have put another binary there.
    let executable = PathBuf::from("/proc/self/exe");
    Ok(Settings {
        artifacts: absolute.join("artifacts"),
        cache: absolute.join("cache"),
        executable,
        hidden: vec![absolute],
        spares_max: SPARES_MAX,
    })
}
