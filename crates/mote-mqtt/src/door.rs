//! The listener: lets clients in, so many at a time, with TLS or without.

use std::sync::Arc;
use std::time::Duration;

use mote_core::Result;
use mote_core::engine::Connection;
use mote_core::trigger::shares::Shares;
use mote_core::trigger::{Handshake, Stop};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::broker::MqttBroker;
use crate::connection::{Guests, serve};
use crate::limits::{CONNECTIONS_MAX, PEER_STRANGERS_MAX, STRANGERS_MAX};

/// So that a process without a free file descriptor does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// MQTT on a socket.
pub struct MqttDoor {
    broker: Arc<MqttBroker>,
    guests: Guests,
    /// Without one it speaks in the clear.
    handshake: Option<Arc<dyn Handshake>>,
    /// Of the connections that have not said who they are: one address can't take every place.
    pub(crate) strangers: Arc<Shares>,
}

impl MqttDoor {
    pub fn new(broker: Arc<MqttBroker>, guests: Guests, handshake: Option<Arc<dyn Handshake>>) -> MqttDoor {
        MqttDoor { broker, guests, handshake, strangers: Shares::of(PEER_STRANGERS_MAX) }
    }

    /// Serves until told to stop; then every client is told so and its session kept.
    pub async fn serve(self, listener: TcpListener, mut stop: Stop) -> Result<()> {
        let (places, strangers) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), Arc::new(Semaphore::new(STRANGERS_MAX)));
        let mut clients = JoinSet::new();
        clients.spawn({
            let (broker, stop) = (self.broker.clone(), stop.clone());
            async move { broker.sweep(stop).await }
        });
        loop {
            while clients.try_join_next().is_some() {}
            let (Ok(place), Ok(stranger)) = (places.clone().acquire_owned().await, strangers.clone().acquire_owned().await) else { break };
            let (socket, peer) = tokio::select! {
                () = stop.wait() => break,
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => (socket, peer.ip()),
                    Err(error) => {
                        tracing::warn!(%error, "a device could not be accepted");
                        self.broker.seams.clock.sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let Some(share) = self.strangers.take(peer) else { continue };
            // Small packets go out at once; an error here costs only that.
            let _ = socket.set_nodelay(true);
            let (broker, guests, handshake, stop) = (self.broker.clone(), self.guests.clone(), self.handshake.clone(), stop.clone());
            clients.spawn(async move {
                let connection: Box<dyn Connection> = match handshake {
                    None => Box::new(socket),
                    Some(handshake) => match handshake.shake(Box::new(socket)).await {
                        Ok(secured) => secured,
                        Err(error) => return tracing::debug!(%error, "a device was not let in"),
                    },
                };
                serve(broker, guests, connection, stop, move || drop((stranger, share))).await;
                drop(place);
            });
        }
        drop(listener);
        while clients.join_next().await.is_some() {}
        Ok(())
    }
}
