//! A bridge to another broker: what is wanted of its messages comes in, what is named goes out.
//!
//! Inwards a message is acknowledged there when it is on disk here. Outwards the bridge is a session as
//! any device's: what waits for the other broker is an item until that has acknowledged it. Nothing that
//! came in goes out again. Not here: how the other broker is reached ([`Dial`]).

mod talk;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use mote_core::engine::Connection;
use mote_core::function::{Binding, Name};
use mote_core::mqtt::{Filter, Qos};
use mote_core::trigger::Stop;
use mote_core::{BoxFuture, Code, Error, Result};

use self::talk::Talk;
use self::wanted::Wanted;
use crate::broker::MqttBroker;
use crate::broker::sessions::Seat;
use crate::limits::EXPIRY_MAX_S;
use crate::wire::Options;

/// No device can call itself so: it has a control character.
const CLIENT: &str = "\u{1}bridge";
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// A connection that held for so long was a good one.
const HELD: Duration = Duration::from_secs(60);

/// How the other broker is reached.
pub trait Dial: Send + Sync {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Connection>>>;
}

/// What a bridge carries, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    pub namespace: Name,
    /// Empty: what the functions of the namespace are bound to.
    pub inwards: Vec<Filter>,
    pub outwards: Vec<Filter>,
    pub client: String,
    pub username: Option<String>,
    pub password: Option<String>,
}

/// See the module's text.
pub struct MqttBridge {
    broker: Arc<MqttBroker>,
    carried: Carried,
    dial: Arc<dyn Dial>,
}

impl MqttBridge {
    pub fn new(broker: Arc<MqttBroker>, carried: Carried, dial: Arc<dyn Dial>) -> MqttBridge {
        MqttBridge { broker, carried, dial }
    }

    /// Connects, and connects again, until told to stop.
    pub async fn serve(self, mut stop: Stop) -> Result<()> {
        let space = self.broker.space(&self.carried.namespace);
        let sat = self.broker.sit(&space, CLIENT, "bridge", false, EXPIRY_MAX_S).await;
        let seat = sat.map_err(|breach| Error::new(Code::Internal, format!("the bridge has no session: {}", breach.why)))?;
        let clock = self.broker.seams.clock.clone();
        let mut wait = RETRY_MIN;
        if let Err(error) = self.listen(&space, &seat).await {
            tracing::error!(?error, "the bridge's filters can't be kept");
        }
        while !stop.is_stopped() {
            let begun = clock.monotonic();
            match self.talk(&space, &seat, &mut stop).await {
                Ok(()) => wait = RETRY_MIN,
                Err(error) => tracing::warn!(%error, "the bridge to the other broker is down; trying again"),
            }
            if clock.monotonic().saturating_sub(begun) > HELD {
                wait = RETRY_MIN;
            }
            tokio::select! { () = clock.sleep(wait) => wait = (wait * 2).min(RETRY_MAX), () = stop.wait() => {} }
        }
        self.broker.rise(&space, seat).await;
        Ok(())
    }

    /// What goes out is subscribed to here, and nothing that an earlier start wanted.
    async fn listen(&self, space: &Arc<crate::space::Space>, seat: &Seat) -> Result<()> {
        let wanted: Vec<String> = self.carried.outwards.iter().map(Filter::to_string).collect();
        let old: Vec<String> = seat.session.state().kept.subscriptions.keys().filter(|old| !wanted.contains(old)).cloned().collect();
        self.broker.unsubscribe(space, &seat.session, &old).await?;
        let options = Options { qos: Qos::AtLeast, no_local: true, as_published: true, retained: 1 };
        self.broker.subscribe(space, &seat.session, None, wanted.into_iter().map(|filter| (filter, options)).collect()).await?;
        Ok(())
    }

    async fn talk(&self, space: &Arc<crate::space::Space>, seat: &Seat, stop: &mut Stop) -> Result<()> {
        let changes = self.broker.seams.directory.changes();
        let follows = self.carried.inwards.is_empty();
        let inwards = if follows { self.bound() } else { self.carried.inwards.clone() };
        let wanted = Wanted::note(self.broker.seams.catalog.clone(), &self.carried.namespace, inwards.clone()).await?;
        let connection = tokio::select! {
            connection = self.dial.dial() => connection?,
            () = stop.wait() => return Ok(()),
        };
        let mut talk = Talk::new(self.broker.clone(), space.clone(), seat.session.clone(), connection, wanted);
        talk.greet(&self.carried);
        let outcome = tokio::select! {
            outcome = talk.run() => outcome,
            () = other(follows, changes, || self.bound() != inwards) => Ok(()),
            () = stop.wait() => Ok(()),
        };
        talk.close().await;
        outcome
    }

    fn bound(&self) -> Vec<Filter> {
        let mut filters = self.broker.seams.directory.bindings(|function, _, binding| match binding {
            Binding::Mqtt(bound) if function.namespace == self.carried.namespace => Some(bound.filter.clone()),
            _ => None,
        });
        filters.sort();
        filters.dedup();
        filters
    }
}

/// Resolves when a deploy has changed what is wanted.
async fn other(follows: bool, mut changes: tokio::sync::watch::Receiver<u64>, differs: impl Fn() -> bool) {
    while follows && changes.changed().await.is_ok() {
        if differs() {
            return;
        }
    }
    std::future::pending().await
}
