//! One client's connection: reads, takes, gives, until either side ends it.
//!
//! Nothing here waits for another client. What a client publishes waits for the disk beside the talk, so
//! many at a time, and is acknowledged in its order; what it is given waits while it reads slowly.

mod flight;
mod greet;
mod hear;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use mote_core::BoxFuture;
use mote_core::access::{Caller, Credential};
use mote_core::engine::Connection;
use mote_core::trigger::Stop;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use self::flight::Flights;
use self::greet::Greeted;
use crate::broker::MqttBroker;
use crate::limits::{CONNECT_WAIT, LEASE, RECEIVE_MAX, STALLED_MAX};
use crate::session::Session;
use crate::space::Space;
use crate::wire::{Breach, Reason, Reply, Will, Wire};

/// Bytes for a client at which nothing more is fetched for it, and at which it is not even heard.
const OUT_BYTES: usize = 64 << 10;
const OUT_BYTES_MAX: usize = 1 << 20;
const READ_BYTES: usize = 1024;
/// The longest time without a look at leases, silence and rights.
const LOOK: Duration = Duration::from_secs(10);

/// A client that has been let in.
pub(crate) struct Talk {
    broker: Arc<MqttBroker>,
    space: Arc<Space>,
    session: Arc<Session>,
    credential: Credential,
    caller: Caller,
    /// Named on the command line: may publish and subscribe without a token.
    is_guest: bool,
    wire: Wire,
    reader: ReadHalf<Box<dyn Connection>>,
    writer: WriteHalf<Box<dyn Connection>>,
    input: BytesMut,
    out: BytesMut,
    /// Publishes on their way to the disk, in their order; each with what is said when it is there.
    taking: FuturesOrdered<BoxFuture<'static, Result<Option<Reply>, Breach>>>,
    settling: FuturesUnordered<BoxFuture<'static, ()>>,
    flights: Flights,
    aliases: Vec<String>,
    will: Option<Will>,
    silence_max: Duration,
    heard: Duration,
    /// When the client last took a byte.
    took: Duration,
    looked: Duration,
}

/// Who may come without a token, and where to.
#[derive(Clone, Debug, Default)]
pub struct Guests(pub Option<mote_core::function::Name>);

/// Serves a connection to its end.
pub(crate) async fn serve(broker: Arc<MqttBroker>, guests: Guests, connection: Box<dyn Connection>, mut stop: Stop, let_in: impl FnOnce()) {
    let (reader, writer) = tokio::io::split(connection);
    let greeting = greet::greet(&broker, &guests, reader, writer);
    let greeted = tokio::select! {
        greeted = greeting => greeted,
        () = broker.seams.clock.sleep(CONNECT_WAIT) => return tracing::debug!("a client did not connect in time"),
        () = stop.wait() => return,
    };
    let Some(Greeted { mut talk, seat }) = greeted else { return };
    let_in();
    let space = talk.space.clone();
    space.connections.fetch_add(1, Ordering::SeqCst);
    let end = talk.run(&mut stop).await;
    talk.close(end, &stop).await;
    space.connections.fetch_sub(1, Ordering::SeqCst);
    broker.rise(&space, seat).await;
}

/// Why a talk is over.
#[derive(Debug)]
enum End {
    /// The client said so, and wants no will published.
    Bye,
    /// The same, with its will.
    WithWill,
    Gone,
    Broken(Breach),
}

impl Talk {
    async fn run(&mut self, stop: &mut Stop) -> End {
        loop {
            if let Err(breach) = self.fetch().await {
                return End::Broken(breach);
            }
            match self.hear() {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(breach) => return End::Broken(breach),
            }
            let (clock, session) = (self.broker.seams.clock.clone(), self.session.clone());
            let is_listening = self.out.len() < OUT_BYTES_MAX && self.taking.len() < usize::from(RECEIVE_MAX);
            self.input.reserve(if is_listening { READ_BYTES } else { 0 });
            tokio::select! {
                read = self.reader.read_buf(&mut self.input), if is_listening => match read {
                    Ok(0) | Err(_) => return End::Gone,
                    Ok(_) => self.heard = clock.monotonic(),
                },
                written = self.writer.write_buf(&mut self.out), if !self.out.is_empty() => match written {
                    Ok(0) | Err(_) => return End::Gone,
                    Ok(_) => self.took = clock.monotonic(),
                },
                Some(taken) = self.taking.next() => match taken {
                    Ok(reply) => self.tell(reply),
                    Err(breach) => return End::Broken(breach),
                },
                Some(()) = self.settling.next() => {}
                () = session.news.notified() => {}
                () = session.leave.notified() => return End::Broken(Breach::new(Reason::TakenOver, "the client connected anew")),
                () = clock.sleep(LOOK.min(self.silence_max)) => {}
                () = stop.wait() => return End::Broken(Breach::new(Reason::ShuttingDown, "the server stops")),
            }
            if let Some(end) = self.look().await {
                return end;
            }
        }
    }

    /// What time brings about.
    async fn look(&mut self) -> Option<End> {
        let now = self.broker.seams.clock.monotonic();
        if now.saturating_sub(self.heard) > self.silence_max && self.taking.is_empty() {
            return Some(End::Broken(Breach::new(Reason::KeepAlive, "the client has been silent for too long")));
        }
        if self.out.is_empty() {
            self.took = now;
        } else if now.saturating_sub(self.took) > STALLED_MAX {
            return Some(End::Gone);
        }
        if now.saturating_sub(self.looked) < LOOK {
            return None;
        }
        self.looked = now;
        // A token may have been revoked, or have run out.
        if !self.is_guest {
            match self.broker.seams.access.caller(&self.credential) {
                Ok(caller) => self.caller = caller,
                Err(error) => return Some(End::Broken(Breach::new(Reason::NotAuthorized, error.detail().to_owned()))),
            }
        }
        let leases = self.flights.leases();
        // What somebody who is gone had leased is due again, and nobody tells.
        if self.session.waiting.load(Ordering::SeqCst) > leases.len() as u64 {
            self.session.due.store(true, Ordering::SeqCst);
        }
        for lease in leases {
            let broker = self.broker.clone();
            self.settling.push(Box::pin(async move {
                // If it is lost, somebody delivers the message again.
                let _ = broker.seams.queue.extend(lease, LEASE).await;
            }));
        }
        None
    }

    fn tell(&mut self, reply: Option<Reply>) {
        if let Some(reply) = reply {
            self.wire.encode(reply, &mut self.out);
        }
    }

    /// Says why, gives back what was not delivered, and sees to the will.
    async fn close(mut self, end: End, stop: &Stop) {
        let clock = self.broker.seams.clock.clone();
        if let End::Broken(breach) = &end {
            tracing::debug!(client = %self.session.client, reason = ?breach.reason, why = breach.why, "a client is sent away");
            self.tell(Some(Reply::Disconnect(breach.reason)));
        }
        // What has been taken is carried to its end, and said if the client still listens.
        let finish = async {
            while let Some(Ok(reply)) = self.taking.next().await {
                if !matches!(end, End::Broken(_))
                    && let Some(reply) = reply
                {
                    self.wire.encode(reply, &mut self.out);
                }
            }
            let _ = self.writer.write_all_buf(&mut self.out).await;
            let _ = self.writer.shutdown().await;
        };
        tokio::select! { () = finish => {}, () = clock.sleep(Duration::from_secs(1)) => {} }
        while self.settling.next().await.is_some() {}
        self.flights.give_back(&self.broker, &self.session).await;
        let wants_will = !matches!(end, End::Bye) && !stop.is_stopped();
        if let Some(will) = self.will.take().filter(|_| wants_will) {
            publish_will(self.broker, self.space, self.session, will).await;
        }
    }
}

/// At once, or later if the client does not come back before.
async fn publish_will(broker: Arc<MqttBroker>, space: Arc<Space>, session: Arc<Session>, will: Will) {
    let (connections, expiry_s) = {
        let state = session.state();
        (state.connections, state.kept.expiry_s)
    };
    let delay_s = will.delay_s.min(expiry_s);
    let publish = async move {
        broker.seams.clock.sleep(Duration::from_secs(delay_s.into())).await;
        if delay_s > 0 && session.state().connections != connections {
            return;
        }
        if let Err(error) = broker.accept(&space, Some(&session.client), will.message).await {
            tracing::warn!(?error, client = %session.client, "a will could not be published");
        }
    };
    if delay_s == 0 { publish.await } else { drop(tokio::spawn(publish)) }
}
