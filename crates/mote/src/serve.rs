//! The server: the one list of all that is inside, and how it starts and stops.
//!
//! Every crate is named here and nowhere else; they meet in the core's seams. Start: addresses,
//! store, directory, engine, doors. Stop: doors close, calls finish, instances end.

mod bridge;
mod descriptors;
mod inside;
mod listen;
mod logs;
mod memory;
mod outside;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use mote_core::access::Access;
use mote_core::clock::{Clock, SystemClock};
use mote_core::directory::Directory;
use mote_core::engine::Engine;
use mote_core::invoke::deliver::Deliverer;
use mote_core::invoke::flow::FlowEngine;
use mote_core::invoke::spill::Spill;
use mote_core::invoke::{Dialects, Engines, Invoker};
use mote_core::platform::House;
use mote_core::queues::Queues;
use mote_core::secret::cipher::Cipher;
use mote_core::secret::vault::Vault;
use mote_core::topic::Topics;
use mote_core::trigger::shares::Shares;
use mote_core::trigger::{Handshake, Stop, Stopper, Trigger};
use mote_dialects::plain::Plain;
use mote_engine_process::{ProcessEngine, Seams, Settings};
use mote_mqtt::{Guests, MqttBridge, MqttBroker, MqttDoor};
use mote_s3::S3Door;
use mote_store::Embedded;
use mote_triggers::http::HttpDoor;
use mote_triggers::object::ObjectTrigger;
use mote_triggers::queue::QueueTrigger;
use mote_triggers::timer::TimerTrigger;
use mote_triggers::webhook::WebhookTrigger;
use tokio::signal::unix::Signal;
use tokio::task::JoinSet;

use crate::config::Addresses;
use crate::credentials::Credentials;
use crate::doors::{Announced, Doors};
use crate::failure::Failure;
use crate::keyring::{self, PassphraseFrom};
use crate::tls::{Tls, TlsFiles};

pub(crate) use bridge::Bridge;
pub(crate) use listen::Busy;
use listen::Listeners;
use logs::UntilStop;

/// How long doors and queue may take to pass on how the calls ended that a stop cut off.
const SETTLE: Duration = Duration::from_secs(1);

/// What a server is started with.
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) addresses: Addresses,
    pub(crate) busy: Busy,
    pub(crate) passphrase: PassphraseFrom,
    pub(crate) tls: TlsFiles,
    /// Who may publish and subscribe without a token.
    pub(crate) guests: Guests,
    /// Another broker, whose messages come here.
    pub(crate) bridge: Option<Bridge>,
    /// Of each door of HTTP, for one address.
    pub(crate) connections_each: u32,
}

/// A server that answers on every door.
pub(crate) struct Server {
    data_dir: PathBuf,
    doors: Doors,
    token: String,
    engines: Engines,
    clock: Arc<dyn Clock>,
    stopper: Stopper,
    /// The doors and triggers, each until its last call has been answered.
    running: JoinSet<()>,
    announced: Announced,
}

/// How clients may come: devices besides with a token, and how many connections an address has.
struct Clients {
    guests: Guests,
    bridge: Option<Bridge>,
    connections_each: u32,
}

/// What is inside, before it is opened to anybody.
struct Inside {
    house: Arc<House>,
    s3: S3Door,
    queue: Deliverer,
    timers: TimerTrigger,
    messages: QueueTrigger,
    webhooks: WebhookTrigger,
    broker: Arc<MqttBroker>,
    engines: Engines,
}

impl Server {
    pub(crate) async fn start(config: Config) -> Result<Server, Failure> {
        mote_engine_process::no_core_dumps()
            .map_err(|error| mote_core::Error::internal("core dumps can't be switched off").caused_by(error))?;
        memory::keep();
        descriptors::take_all();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let tls = config.tls.read(&clock)?;
        let listeners = listen::all(&config.addresses, config.busy, tls.is_some()).await?;
        let Config { data_dir, guests, bridge, connections_each, .. } = config;
        let clients = Clients { guests, bridge, connections_each };
        let store = Embedded::open(&data_dir, clock.clone())?;
        let credentials = Credentials::read_or_make(&data_dir)?;
        let vault = vault(&store, &data_dir, &config.passphrase, &clock).await?;
        let (stopper, stop) = Stopper::new();

        let mut doors = listeners.doors();
        doors.certificate = tls.as_ref().map(|tls| encoded(&tls.certificate()));
        let inside = assemble(&store, &credentials, vault, &data_dir, &doors, clock.clone(), stop.clone()).await?;
        let engines = inside.engines.clone();
        let mut running = open(inside, listeners, clients, tls.clone(), &clock, &stop);
        let announced = doors.announce(&data_dir)?;
        if let Some(tls) = tls {
            running.spawn(keep_fresh(tls, Tls::hangups()?, doors.clone(), data_dir.clone(), stop));
        }
        Ok(Server { data_dir, doors, token: credentials.token, engines, clock, stopper, running, announced })
    }

    pub(crate) fn doors(&self) -> &Doors {
        &self.doors
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Takes no new call, lets what runs go on for `grace`, and ends every instance.
    pub(crate) async fn stop(mut self, grace: Duration) {
        let begun = self.clock.monotonic();
        drop(self.announced);
        self.stopper.stop();
        let drained = async { while self.running.join_next().await.is_some() {} };
        tokio::select! {
            () = drained => {}
            () = self.clock.sleep(grace) => tracing::warn!("calls that still run after {} s are cut off", grace.as_secs()),
        }
        let left = grace.saturating_sub(self.clock.monotonic() - begun);
        for engine in self.engines.all() {
            engine.stop(left).await;
        }
        // Calls that were cut off have ended by now: the queue notes that they were no attempt.
        let settled = async { while self.running.join_next().await.is_some() {} };
        tokio::select! { () = settled => {}, () = self.clock.sleep(SETTLE) => {} }
    }
}

/// The secrets, opened with the key of the data directory.
async fn vault(store: &Embedded, data_dir: &Path, passphrase: &PassphraseFrom, clock: &Arc<dyn Clock>) -> Result<Arc<Vault>, Failure> {
    let begun = Vault::is_begun(&*store.catalog()).await?;
    let key = keyring::open(data_dir, passphrase, begun, clock)?;
    let cipher = Arc::new(Cipher::new(&key, clock.clone()));
    Ok(Arc::new(Vault::open(store.catalog(), cipher, clock.clone()).await?))
}

/// Follows the certificate's files, and tells the clients on this machine what is shown now.
async fn keep_fresh(tls: Arc<Tls>, hangups: Signal, doors: Doors, data_dir: PathBuf, stop: Stop) {
    let changed = |certificate: Vec<u8>| {
        let doors = Doors { certificate: Some(encoded(&certificate)), ..doors.clone() };
        if let Err(failure) = doors.write(&data_dir) {
            tracing::error!("clients on this machine are not told of the new certificate: {}", failure.found());
        }
    };
    tls.keep_fresh(hangups, changed, stop).await;
}

fn encoded(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Puts the parts together: this is the list.
async fn assemble(
    store: &Embedded,
    credentials: &Credentials,
    vault: Arc<Vault>,
    data_dir: &Path,
    doors: &Doors,
    clock: Arc<dyn Clock>,
    stop: Stop,
) -> Result<Inside, Failure> {
    let access = Access::new(credentials.root()?, clock.clone()).audited(store.audit());
    access.load(&*store.catalog()).await?;
    let access = Arc::new(access);
    let directory = Arc::new(Directory::default());
    directory.load(&*store.catalog()).await?;
    let topics = Arc::new(Topics::new(directory.clone()));
    topics.load(&*store.catalog()).await?;
    let queues = Arc::new(Queues::new(credentials.root()?.server_key));
    queues.load(&*store.catalog()).await?;
    // Whoever changes an object, changes it through here, so that no change goes unnoticed.
    let objects = Arc::new(ObjectTrigger::new(store.objects(), directory.clone(), access.clone(), clock.clone()));
    let s3 = mote_s3::service(objects.clone(), access.clone(), clock.clone());
    let logs = Arc::new(UntilStop::new(store.logs(), stop));
    let gateway = Arc::new(inside::Inside {
        s3: s3.clone(),
        objects: objects.clone(),
        directory: directory.clone(),
        clock: clock.clone(),
        platform: OnceLock::new(),
    });
    let seams = Seams { clock: clock.clone(), logs: logs.clone(), gateway: gateway.clone(), secrets: vault.clone() };
    // A function in its jail finds the buckets behind the same service, known by its connection.
    let processes = ProcessEngine::new(settings(data_dir)?, seams)?;
    let flows = FlowEngine { queue: store.queue(), clock: clock.clone(), access: access.clone() };
    let engines = Engines::new([processes as Arc<dyn Engine>, Arc::new(flows)]);
    directory.kept_warm().iter().for_each(|function| engines.keep_warm(function));
    let invoker = Arc::new(Invoker {
        access: access.clone(),
        topics,
        queues: queues.clone(),
        secrets: vault.clone(),
        directory,
        catalog: store.catalog(),
        queue: store.queue(),
        spill: Arc::new(Spill::new(store.objects(), store.queue(), access.clone())),
        logs,
        records: store.records(),
        clock: clock.clone(),
        dialects: Dialects::new(vec![Arc::new(Plain::public())]),
        engines: engines.clone(),
    });
    let queue = Deliverer::new(store.queue(), store.logs(), clock.clone());
    let way_out = Arc::new(outside::WayOut::new(clock.clone())?);
    let webhooks = WebhookTrigger::new(store.queue(), vault.clone(), way_out, clock.clone());
    let messages = QueueTrigger::new(invoker.directory.clone(), queues, store.queue(), store.logs(), clock.clone());
    let timers = TimerTrigger::new(invoker.directory.clone(), store.catalog(), store.queue(), store.logs(), clock.clone());
    let broker = MqttBroker::open(mote_mqtt::Seams {
        queue: store.queue(),
        catalog: store.catalog(),
        clock,
        directory: invoker.directory.clone(),
        access: access.clone(),
        invoke: invoker.clone(),
    });
    let broker = broker.await?;
    let house = Arc::new(House::new(access, invoker, objects, vault, doors.public.clone()).with_mqtt(broker.clone()));
    // Set once, here.
    let _ = gateway.platform.set(Arc::downgrade(&house));
    Ok(Inside { house, s3, queue, timers, messages, webhooks, broker, engines })
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

/// Jails that wait for a function, of each kind; how many there are follows from how many are started.
const SPARES_MAX: usize = 8;

/// Opens every door, each on a task of its own.
fn open(inside: Inside, listeners: Listeners, clients: Clients, tls: Option<Arc<Tls>>, clock: &Arc<dyn Clock>, stop: &Stop) -> JoinSet<()> {
    let mut running = JoinSet::new();
    let Inside { house, s3, queue, timers, messages, webhooks, broker, .. } = inside;
    let handshake = || tls.clone().map(|tls| tls as Arc<dyn Handshake>);
    let door = |dialect| {
        let door = HttpDoor::new(house.clone(), vec![Arc::new(dialect)], clock.clone());
        Arc::new(door.with_handshake(handshake()).with_shares(Shares::of(clients.connections_each)))
    };
    let (public, control) = (door(Plain::public()), door(Plain::control()));
    let invoker = house.invoker.clone();
    run(&mut running, "the public door", public.serve(listeners.public.socket, stop.clone()));
    run(&mut running, "the control door", control.serve(listeners.control.socket, stop.clone()));
    let s3 = s3.with_handshake(handshake()).with_shares(Shares::of(clients.connections_each));
    let (socket, stopped) = (listeners.aws.socket, stop.clone());
    run(&mut running, "the aws door", async move { s3.serve(socket, stopped).await });
    if let Some(Bridge { carried, way }) = clients.bridge {
        let bridge = MqttBridge::new(broker.clone(), carried, Arc::new(way.timed(clock.clone())));
        run(&mut running, "the mqtt bridge", bridge.serve(stop.clone()));
    }
    let mqtt = MqttDoor::new(broker, clients.guests, handshake());
    run(&mut running, "the mqtt door", mqtt.serve(listeners.mqtt.socket, stop.clone()));
    running.spawn(async move { house.forget_orphans().await });
    let (door, stopped) = (invoker.clone(), stop.clone());
    run(&mut running, "the webhooks", async move { webhooks.serve(door, stopped).await });
    let (door, stopped) = (invoker.clone(), stop.clone());
    run(&mut running, "the queues of users", async move { messages.serve(door, stopped).await });
    let (door, stopped) = (invoker.clone(), stop.clone());
    run(&mut running, "the timers", async move { timers.serve(door, stopped).await });
    let (spill, clock, stopped) = (invoker.spill.clone(), clock.clone(), stop.clone());
    running.spawn(async move { spill.keep_swept(&*clock, stopped).await });
    let stopped = stop.clone();
    run(&mut running, "the queue", async move { queue.serve(invoker, stopped).await });
    running
}

fn run(running: &mut JoinSet<()>, what: &'static str, door: impl Future<Output = mote_core::Result<()>> + Send + 'static) {
    running.spawn(async move {
        if let Err(error) = door.await {
            tracing::error!(?error, "{what} ended");
        }
    });
}
