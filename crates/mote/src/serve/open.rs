//! Opens every door, and sets going what brings events without one: each on a task of its own.

use std::sync::Arc;

use mote_core::clock::Clock;
use mote_core::dialect::Dialect;
use mote_core::trigger::shares::Shares;
use mote_core::trigger::{Handshake, Stop};
use mote_dialects::plain::Plain;
use mote_mqtt::{Guests, MqttBridge, MqttDoor};
use mote_triggers::http::HttpDoor;
use tokio::task::JoinSet;

use super::aws::{self, Callers, S3Beside};
use super::bridge::Bridge;
use super::listen::Listeners;
use super::parts::Parts;
use crate::tls::Tls;

/// How clients may come: devices besides with a token, and how many connections an address has.
pub(super) struct Clients {
    pub(super) guests: Guests,
    pub(super) bridge: Option<Bridge>,
    pub(super) connections_each: u32,
}

/// What runs: a door until its last call has been answered, a trigger until what it began has ended.
pub(super) type Running = JoinSet<()>;

pub(super) fn open(
    parts: Parts,
    listeners: Listeners,
    clients: Clients,
    tls: Option<&Arc<Tls>>,
    clock: &Arc<dyn Clock>,
    stop: &Stop,
) -> Running {
    let mut running = Running::new();
    let Parts { house, s3, aws: dialect, broker, triggers, .. } = parts;
    let (invoker, handshake) = (house.invoker.clone(), || tls.map(|tls| tls.clone() as Arc<dyn Handshake>));

    let shares = || Shares::of(clients.connections_each);
    let http = |dialects: Vec<Arc<dyn Dialect>>| {
        HttpDoor::new(house.clone(), dialects, clock.clone()).with_handshake(handshake()).with_shares(shares())
    };
    // A function URL is known by its path or its host; every other request is a call of a route.
    let public = http(vec![Arc::new(dialect.public()), Arc::new(Plain::public())]);
    run(&mut running, "the public door", Arc::new(public).serve(listeners.public.socket, stop.clone()));
    let control = http(vec![Arc::new(Plain::control())]);
    run(&mut running, "the control door", Arc::new(control).serve(listeners.control.socket, stop.clone()));
    let door =
        http(vec![dialect.clone()]).with_limits(aws::LIMITS).with_beside(Arc::new(S3Beside { s3, callers: Callers::Local(dialect) }));
    run(&mut running, "the aws door", Arc::new(door).serve(listeners.aws.socket, stop.clone()));
    let mqtt = MqttDoor::new(broker.clone(), clients.guests, handshake());
    run(&mut running, "the mqtt door", mqtt.serve(listeners.mqtt.socket, stop.clone()));

    if let Some(Bridge { carried, way }) = clients.bridge {
        let bridge = MqttBridge::new(broker, carried, Arc::new(way.timed(clock.clone())));
        run(&mut running, "the mqtt bridge", bridge.serve(stop.clone()));
    }
    for (what, trigger) in triggers {
        let (door, stopped) = (invoker.clone(), stop.clone());
        run(&mut running, what, async move { trigger.serve(door, stopped).await });
    }

    running.spawn(async move {
        house.keep_all_ready().await;
        // What a crash left behind.
        house.forget_orphans().await;
    });
    let (clock, stopped) = (clock.clone(), stop.clone());
    running.spawn(async move { invoker.spill.keep_swept(&*clock, stopped).await });
    running
}

fn run(running: &mut Running, what: &'static str, door: impl Future<Output = mote_core::Result<()>> + Send + 'static) {
    running.spawn(async move {
        if let Err(error) = door.await {
            tracing::error!(?error, "{what} ended");
        }
    });
}
