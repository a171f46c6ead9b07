//! One client's connection: reads, takes, gives, until either side ends it.
//!
//! Nothing here waits for another client. What a client publishes waits for the disk beside the talk, in
//! [`line`], and is acknowledged in its order; what it is given waits while it reads slowly.

mod flight;
mod greet;
mod hear;
pub(crate) mod line;
mod will;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mote_core::access::rights::Device;
use mote_core::access::{Caller, Credential};
use mote_core::engine::Connection;
use mote_core::trigger::Stop;
use mote_core::{BoxFuture, Result as Outcome};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use self::flight::Flights;
use self::line::Line;
use crate::broker::MqttBroker;
use crate::broker::sessions::Seat;
use crate::limits::{LEASE, STALLED_MAX};
use crate::session::Session;
use crate::space::{Place, Space};
use crate::wire::{Breach, Reason, Reply, Will, Wire};

/// Bytes for a client at which nothing more is fetched for it, and at which it is not even heard.
const OUT_BYTES: usize = 64 << 10;
const OUT_BYTES_MAX: usize = 1 << 20;
const READ_BYTES: usize = 1024;
/// The longest time without a look at leases, silence and rights.
const LOOK: Duration = Duration::from_secs(10);
/// For the last words to a client that may not listen.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A client that has been let in.
pub(crate) struct Talk {
    broker: Arc<MqttBroker>,
    space: Arc<Space>,
    seat: Seat,
    /// One of the connections of its namespace.
    place: Place,
    who: Who,
    wire: Wire,
    reader: ReadHalf<Box<dyn Connection>>,
    writer: WriteHalf<Box<dyn Connection>>,
    input: BytesMut,
    out: BytesMut,
    /// What it asked for and is not on disk yet.
    line: Line,
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

/// Whose connection it is.
pub(crate) struct Who {
    credential: Credential,
    caller: Caller,
    /// Named on the command line: may publish and subscribe without a token.
    is_guest: bool,
    /// What it may not, as long as its rights are the same: the audit has a line of each, and not of each try.
    refused: Vec<Device>,
}

impl Who {
    fn may(&mut self, broker: &MqttBroker, space: &Space, what: Device) -> bool {
        if self.is_guest || self.refused.contains(&what) {
            return self.is_guest;
        }
        let may = broker.seams.access.permit(&self.caller, &what.rule(&space.name)).is_ok();
        if !may {
            self.refused.push(what);
        }
        may
    }

    /// A token may have been revoked, or have run out.
    fn renew(&mut self, broker: &MqttBroker) -> Outcome<()> {
        if !self.is_guest {
            let caller = broker.seams.access.caller(&self.credential)?;
            if caller != self.caller {
                self.caller = caller;
                self.refused.clear();
            }
        }
        Ok(())
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(broker: Arc<MqttBroker>, guests: Guests, connection: Box<dyn Connection>, mut stop: Stop, let_in: impl FnOnce()) {
    let (reader, writer) = tokio::io::split(connection);
    let Some(mut talk) = greet::greet(&broker, &guests, &mut stop, reader, writer).await else { return };
    let_in();
    let end = talk.run(&mut stop).await;
    talk.close(end, &stop).await;
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
    fn session(&self) -> &Arc<Session> {
        &self.seat.session
    }

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
            let said = self.line.begin(Some(&self.who.caller));
            self.tell(said);
            let (clock, session) = (self.broker.seams.clock.clone(), self.session().clone());
            let is_listening = self.out.len() < OUT_BYTES_MAX && self.line.has_room();
            self.input.reserve(if is_listening { READ_BYTES } else { 0 });
            let pause = Some(self.line.pause()).filter(|pause| !pause.is_zero());
            tokio::select! {
                read = self.reader.read_buf(&mut self.input), if is_listening => match read {
                    Ok(0) | Err(_) => return End::Gone,
                    Ok(_) => self.heard = clock.monotonic(),
                },
                written = self.writer.write_buf(&mut self.out), if !self.out.is_empty() => match written {
                    Ok(0) | Err(_) => return End::Gone,
                    Ok(_) => self.took = clock.monotonic(),
                },
                (said, breach) = self.line.next() => {
                    self.tell(said);
                    if let Some(breach) = breach {
                        return End::Broken(breach);
                    }
                }
                Some(()) = self.settling.next() => {}
                () = session.news.notified() => {}
                () = session.leave.notified() => {}
                () = clock.sleep(LOOK.min(self.silence_max).min(pause.unwrap_or(LOOK))) => {}
                () = stop.wait() => return End::Broken(Breach::new(Reason::ShuttingDown, "the server stops")),
            }
            if let Some(end) = self.look() {
                return end;
            }
        }
    }

    /// What others and time bring about.
    fn look(&mut self) -> Option<End> {
        if self.seat.is_wanted() {
            return Some(End::Broken(Breach::new(Reason::TakenOver, "the client connected anew")));
        }
        let now = self.broker.seams.clock.monotonic();
        if now.saturating_sub(self.heard) > self.silence_max && self.line.is_idle() {
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
        if let Err(error) = self.who.renew(&self.broker) {
            return Some(End::Broken(Breach::new(Reason::NotAuthorized, error.detail().to_owned())));
        }
        let leases = self.flights.leases();
        // What somebody who is gone had leased is due again, and nobody tells.
        if self.session().waiting.load(Ordering::SeqCst) > leases.len() as u64 {
            self.session().due.store(true, Ordering::SeqCst);
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

    fn tell(&mut self, replies: impl IntoIterator<Item = Reply>) {
        for reply in replies {
            self.wire.encode(reply, &mut self.out);
        }
    }

    /// Says why, gives back what was not delivered, and sees to the will.
    async fn close(mut self, end: End, stop: &Stop) {
        let clock = self.broker.seams.clock.clone();
        if let End::Broken(breach) = &end {
            tracing::debug!(client = %self.session().client, reason = ?breach.reason, why = breach.why, "a client is sent away");
        }
        // What has been taken is carried to its end, and said if the client still listens.
        let said = self.line.finish(Some(&self.who.caller)).await;
        self.tell(said);
        if let End::Broken(breach) = &end {
            self.tell([Reply::Disconnect(breach.reason)]);
        }
        let last_words = async {
            let _ = self.writer.write_all_buf(&mut self.out).await;
            let _ = self.writer.shutdown().await;
        };
        tokio::select! { () = last_words => {}, () = clock.sleep(LAST_WORDS) => {} }
        while self.settling.next().await.is_some() {}
        self.flights.give_back(&self.broker, &self.seat.session).await;
        let wants_will = !matches!(end, End::Bye) && !stop.is_stopped();
        if let Some(will) = self.will.filter(|_| wants_will) {
            will::leave(&self.broker, &self.space, &self.seat.session, self.who, will).await;
        }
        drop(self.place);
        self.broker.rise(&self.space, self.seat).await;
    }
}
