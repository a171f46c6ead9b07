//! A broker on a store in memory and a clock that stands still, and devices of MQTT 3.1.1, packet by packet.

use std::sync::Arc;
use std::time::Duration;

use mote_core::access::rights::{Rights, Scope};
use mote_core::access::tokens::TokenWish;
use mote_core::access::{Access, Root};
use mote_core::action::{Qualifier, Target};
use mote_core::clock::Id;
use mote_core::directory::Directory;
use mote_core::engine::Connection;
use mote_core::event::{Event, StoredEvent};
use mote_core::function::delivery::Destination;
use mote_core::function::{Function, FunctionRef, Name};
use mote_core::invoke::Invoke;
use mote_core::invoke::address::{self, Addresses};
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::mqtt::{Broker, BrokerStatus};
use mote_core::queues::Queues;
use mote_core::reply::Reply;
use mote_core::store::Item;
use mote_core::topic::Topics;
use mote_core::trigger::{Stop, Stopper};
use mote_core::{BoxFuture, Result};
use mote_testkit::{FakeClock, MemoryStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::connection::{Guests, serve};
use crate::{MqttBroker, Seams};

const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const ROOT: &str = "root";

pub(super) struct World {
    pub(super) clock: Arc<FakeClock>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) access: Arc<Access>,
    pub(super) broker: Arc<MqttBroker>,
    pub(super) stopper: Stopper,
    stop: Stop,
}

/// Nothing is called here; events are made as everywhere.
struct Door {
    directory: Arc<Directory>,
    clock: Arc<FakeClock>,
}

impl Invoke for Door {
    fn attempt(&self, _: Target, _: Event, _: u32) -> BoxFuture<'_, Result<Reply>> {
        unreachable!()
    }

    fn send(&self, _: Target, _: Event) -> BoxFuture<'_, Result<Id>> {
        unreachable!()
    }

    fn items(&self, namespace: &Name, to: &Destination, event: StoredEvent, hops: u32, wish: Wish) -> Result<Vec<Item>> {
        let (topics, queues) = (Topics::new(self.directory.clone()), Queues::new([7; 32]));
        let known =
            Addresses { directory: &self.directory, topics: &topics, queues: &queues, dialects: &Default::default(), clock: &*self.clock };
        address::items(&known, namespace, to, event, hops, wish)
    }

    fn version(&self, _: FunctionRef, _: Qualifier) -> BoxFuture<'_, Result<Arc<Function>>> {
        unreachable!()
    }

    fn live(&self, _: &FunctionRef) -> Option<Arc<Function>> {
        None
    }
}

impl World {
    pub(super) async fn new() -> World {
        let clock = Arc::new(FakeClock::default());
        let store = MemoryStore::new(clock.clone());
        let root = Root { token: ROOT.to_owned(), keys: Vec::new(), server_key: [1; 32] };
        let access = Arc::new(Access::new(root, clock.clone()).audited(store.clone()));
        let directory = Arc::new(Directory::default());
        let invoke = Arc::new(Door { directory: directory.clone(), clock: clock.clone() });
        let seams = Seams { queue: store.clone(), catalog: store.clone(), clock: clock.clone(), directory, access: access.clone(), invoke };
        let broker = MqttBroker::open(seams).await.unwrap();
        let (stopper, stop) = Stopper::new();
        World { clock, store, access, broker, stopper, stop }
    }

    pub(super) async fn token(&self, name: &str, rights: Rights) -> String {
        let (name, scope) = (Name::new(name).unwrap(), Scope::One(Name::default_namespace()));
        let wish = TokenWish { name, scope, rights, expires: None, s3: false };
        self.access.create_token(&*self.store, wish).await.unwrap().token
    }

    pub(super) async fn quota(&self, patch: serde_json::Value) {
        self.access.set_quota(&*self.store, &Name::default_namespace(), patch.as_object().unwrap().clone()).await.unwrap();
    }

    pub(super) async fn status(&self) -> BrokerStatus {
        self.broker.status(&Name::default_namespace()).await.unwrap()
    }

    pub(super) fn arrive(&self) -> Device {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (broker, stop) = (self.broker.clone(), self.stop.clone());
        tokio::spawn(serve(broker, Guests::default(), Box::new(far) as Box<dyn Connection>, stop, || ()));
        Device(near)
    }

    /// With a session that lasts.
    pub(super) async fn returning(&self, client: &str) -> Device {
        let mut device = self.arrive();
        assert_eq!(device.connect(client, ROOT, false, None).await, 0);
        device
    }

    pub(super) async fn fresh(&self, client: &str) -> Device {
        let mut device = self.arrive();
        assert_eq!(device.connect(client, ROOT, true, None).await, 0);
        device
    }
}

pub(super) struct Device(pub(super) DuplexStream);

/// A packet: its first byte, and all behind its length.
pub(super) type Packet = (u8, Vec<u8>);

impl Device {
    /// What CONNACK says.
    pub(super) async fn connect(&mut self, client: &str, token: &str, clean: bool, will: Option<(&str, &str)>) -> u8 {
        let flags = 0xc0 | u8::from(clean) << 1 | if will.is_some() { 0b1100 } else { 0 };
        let will = will.map(|(topic, payload)| [text(topic), text(payload)].concat()).unwrap_or_default();
        let body = [text("MQTT"), vec![4, flags, 0, 0], text(client), will, text("default"), text(token)].concat();
        self.say(0x10, &body).await;
        let Some((0x20, answer)) = self.hear().await else { panic!("no CONNACK") };
        answer[1]
    }

    pub(super) async fn say(&mut self, head: u8, body: &[u8]) {
        self.say_all(&[(head, body.to_vec())]).await;
    }

    /// In one write.
    pub(super) async fn say_all(&mut self, packets: &[Packet]) {
        let mut all = Vec::new();
        for (head, body) in packets {
            all.push(*head);
            let mut length = body.len();
            while length > 127 {
                all.push(length as u8 | 128);
                length >>= 7;
            }
            all.push(length as u8);
            all.extend_from_slice(body);
        }
        self.0.write_all(&all).await.unwrap();
    }

    /// The next packet; `None`: it is over.
    pub(super) async fn hear(&mut self) -> Option<Packet> {
        tokio::time::timeout(PATIENCE, self.packet()).await.expect("a packet, or the end")
    }

    /// Of version 5, with a session that lasts: CONNACK's reason.
    pub(super) async fn connect_v5(&mut self, client: &str, token: &str) -> u8 {
        self.connect_v5_with(client, token, false, None).await
    }

    /// The same, with a will for `t` that has a delay in seconds.
    pub(super) async fn connect_v5_with(&mut self, client: &str, token: &str, clean: bool, will: Option<(u32, &str)>) -> u8 {
        let number = |kind, value: u32| [vec![5, kind], value.to_be_bytes().to_vec()].concat();
        let flags = 0xc0 | u8::from(clean) << 1 | if will.is_some() { 0b1100 } else { 0 };
        let will = will.map(|(delay_s, payload)| [number(0x18, delay_s), text("t"), text(payload)].concat()).unwrap_or_default();
        let head = [text("MQTT"), vec![5, flags, 0, 0], number(0x11, 3600)].concat();
        let body = [head, text(client), will, text("default"), text(token)].concat();
        self.say(0x10, &body).await;
        let Some((0x20, answer)) = self.hear().await else { panic!("no CONNACK") };
        answer[1]
    }

    async fn packet(&mut self) -> Option<Packet> {
        let head = self.0.read_u8().await.ok()?;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.0.read_u8().await.ok()?;
            length |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte & 128 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        Some((head, body))
    }

    pub(super) async fn subscribe(&mut self, filter: &str, qos: u8) {
        self.say(0x82, &[vec![0, 1], text(filter), vec![qos]].concat()).await;
        assert_eq!(self.hear().await, Some((0x90, vec![0, 1, qos])));
    }

    pub(super) async fn publish(&mut self, topic: &str, qos: u8, id: u16, payload: &str) {
        let id = if qos == 0 { Vec::new() } else { id.to_be_bytes().to_vec() };
        self.say(0x30 | qos << 1, &[text(topic), id, payload.into()].concat()).await;
    }

    pub(super) async fn ping(&mut self) {
        self.say(0xc0, &[]).await;
    }
}

pub(super) fn text(text: &str) -> Vec<u8> {
    [(text.len() as u16).to_be_bytes().to_vec(), text.as_bytes().to_vec()].concat()
}

/// A PUBLISH of QoS 1 or 2: whether it came before, its number, its payload.
pub(super) fn published(topic: &str, packet: Option<Packet>) -> (bool, u16, String) {
    let (head, body) = packet.expect("a PUBLISH, and no end");
    assert!((0x32..=0x3f).contains(&head), "no PUBLISH: {head:x} {body:?}");
    let at = 2 + topic.len();
    assert_eq!(body[..at], text(topic));
    (head & 8 != 0, u16::from_be_bytes([body[at], body[at + 1]]), String::from_utf8(body[at + 2..].to_vec()).unwrap())
}
