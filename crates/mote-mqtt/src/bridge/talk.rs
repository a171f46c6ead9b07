//! One connection to the other broker, from its greeting to its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mote_core::clock::Timestamp;
use mote_core::engine::Connection;
use mote_core::mqtt::{Filter, Message};
use mote_core::store::{End, LeaseToken};
use mote_core::{BoxFuture, Code, Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::Carried;
use super::wanted::Wanted;
use crate::broker::MqttBroker;
use crate::connection::line::{Beyond, Line, Published, Wish};
use crate::limits::{IN_FLIGHT_MAX, LEASE};
use crate::session::{Copy, Session};
use crate::space::Space;
use crate::wire::client::{ClientWire, Heard, Say};
use crate::wire::{Breach, Publish, Reason, Reply};

const KEEP_ALIVE_S: u16 = 60;
const LOOK: Duration = Duration::from_secs(10);
const OUT_BYTES: usize = 64 << 10;
const READ_BYTES: usize = 4096;

pub(super) struct Talk {
    broker: Arc<MqttBroker>,
    session: Arc<Session>,
    wire: ClientWire,
    reader: ReadHalf<Box<dyn Connection>>,
    writer: WriteHalf<Box<dyn Connection>>,
    input: BytesMut,
    out: BytesMut,
    /// Messages that are not on disk yet.
    line: Line,
    wanted: Arc<Wanted>,
    settling: FuturesUnordered<BoxFuture<'static, ()>>,
    flying: HashMap<u16, (LeaseToken, Timestamp)>,
    last: u16,
    is_taken: bool,
    heard: Duration,
    looked: Duration,
}

impl Talk {
    pub(super) fn new(
        broker: Arc<MqttBroker>,
        space: Arc<Space>,
        session: Arc<Session>,
        connection: Box<dyn Connection>,
        wanted: Wanted,
    ) -> Talk {
        let (reader, writer) = tokio::io::split(connection);
        let now = broker.seams.clock.monotonic();
        session.due.store(true, Ordering::SeqCst);
        let line = Line::new(broker.clone(), space, session.clone(), Beyond::Forgo);
        Talk {
            broker,
            session,
            wire: ClientWire::new(),
            reader,
            writer,
            input: BytesMut::new(),
            out: BytesMut::new(),
            line,
            wanted: Arc::new(wanted),
            settling: FuturesUnordered::new(),
            flying: HashMap::new(),
            last: 0,
            is_taken: false,
            heard: now,
            looked: now,
        }
    }

    /// Asked for at once: what waits there comes as soon as the connection is taken.
    pub(super) fn greet(&mut self, carried: &Carried) {
        let Carried { client, username, password, .. } = carried;
        let (username, password) = (username.as_deref(), password.as_deref());
        self.wire.say(Say::Connect { client, keep_alive_s: KEEP_ALIVE_S, username, password }, &mut self.out);
        let texts = |filters: &[Filter]| filters.iter().map(Filter::to_string).collect();
        let wanted = self.wanted.clone();
        if !wanted.stale.is_empty() {
            let id = self.number();
            self.wire.say(Say::Unsubscribe { id, filters: texts(&wanted.stale) }, &mut self.out);
        }
        if !wanted.now.is_empty() {
            let id = self.number();
            self.wire.say(Say::Subscribe { id, filters: texts(&wanted.now) }, &mut self.out);
        }
    }

    pub(super) async fn run(&mut self) -> Result<()> {
        loop {
            self.fetch().await?;
            while self.line.has_room() {
                let Some(heard) = self.wire.hear(&mut self.input).map_err(told)? else { break };
                self.take(heard)?;
            }
            let said = self.line.begin(None);
            self.acknowledge(said);
            let clock = self.broker.seams.clock.clone();
            let session = self.session.clone();
            let is_listening = self.line.has_room();
            self.input.reserve(if is_listening { READ_BYTES } else { 0 });
            let pause = Some(self.line.pause()).filter(|pause| !pause.is_zero());
            tokio::select! {
                read = self.reader.read_buf(&mut self.input), if is_listening => match read {
                    Ok(0) => return Err(down("it closed the connection")),
                    Ok(_) => self.heard = clock.monotonic(),
                    Err(error) => return Err(down(&error.to_string())),
                },
                written = self.writer.write_buf(&mut self.out), if !self.out.is_empty() => {
                    written.map_err(|error| down(&error.to_string()))?;
                }
                (said, breach) = self.line.next() => {
                    self.acknowledge(said);
                    if let Some(breach) = breach {
                        return Err(told(breach));
                    }
                }
                Some(()) = self.settling.next() => {}
                () = session.news.notified() => {}
                () = clock.sleep(LOOK.min(pause.unwrap_or(LOOK))) => {}
            }
            self.look()?;
        }
    }

    fn take(&mut self, heard: Heard) -> Result<()> {
        match heard {
            Heard::ConnAck(Ok(())) => self.is_taken = true,
            Heard::ConnAck(Err(code)) => return Err(down(&format!("it refuses the connection with code {code}"))),
            Heard::SubAck(0) | Heard::Pong => {}
            Heard::SubAck(refused) => tracing::warn!(refused, "the other broker refuses some of the bridge's filters"),
            Heard::UnsubAck => {
                let wanted = self.wanted.clone();
                self.settling.push(Box::pin(async move {
                    if let Err(error) = wanted.forget_stale().await {
                        tracing::error!(?error, "what the bridge wants no more can't be forgotten");
                    }
                }));
            }
            Heard::PubAck(id) => {
                if let Some((lease, _)) = self.flying.remove(&id) {
                    let (broker, session) = (self.broker.clone(), self.session.clone());
                    self.settling.push(Box::pin(async move { broker.settle(&session, lease).await }));
                }
            }
            Heard::Publish(publish) => self.published(*publish),
            Heard::TooLarge(id) => {
                tracing::warn!("a message of the other broker is larger than mote takes, and is left out");
                if let Some(id) = id {
                    self.line.push(Wish::Say(Reply::PubAck(id, Reason::Success)));
                }
            }
        }
        Ok(())
    }

    fn published(&mut self, publish: Publish) {
        let id = publish.id.unwrap_or_default();
        let wish = match publish.draft.into_message(&publish.topic, None) {
            Ok(message) if self.wanted.now.iter().any(|filter| filter.matches(message.topic.as_str())) => {
                Some(Wish::Publish(Published::new(id, message)))
            }
            // Sent before the other broker heard that nobody wants it any more.
            Ok(_) => None,
            // It would come again for ever.
            Err(breach) => {
                tracing::warn!(why = breach.why, "a message of the other broker can't be taken");
                None
            }
        };
        let done = || publish.id.map(|id| Wish::Say(Reply::PubAck(id, Reason::Success)));
        if let Some(wish) = wish.or_else(done) {
            self.line.push(wish);
        }
    }

    fn acknowledge(&mut self, said: Vec<Reply>) {
        for reply in said {
            // Of the messages that are asked for, no other.
            if let Reply::PubAck(id, _) = reply {
                self.wire.say(Say::PubAck(id), &mut self.out);
            }
        }
    }

    async fn fetch(&mut self) -> Result<()> {
        if !self.is_taken {
            return Ok(());
        }
        while self.out.len() < OUT_BYTES {
            let Some(copy) = self.session.next() else { break };
            self.wire.say(Say::Publish { id: None, message: &sent(&copy) }, &mut self.out);
        }
        let room = IN_FLIGHT_MAX.saturating_sub(self.flying.len());
        if room == 0 || self.out.len() >= OUT_BYTES || !self.session.due.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let leases = self.broker.seams.queue.lease(&self.session.queue, room, LEASE).await?;
        if leases.len() == room {
            self.session.due.store(true, Ordering::SeqCst);
        }
        for lease in leases {
            let Ok(copy) = serde_json::from_slice::<Copy>(&lease.item.payload) else {
                tracing::error!(id = %lease.item.id, "a message for the other broker can't be read");
                self.broker.settle(&self.session, lease.token()).await;
                continue;
            };
            let id = self.number();
            self.flying.insert(id, (lease.token(), lease.item.due));
            self.wire.say(Say::Publish { id: Some(id), message: &sent(&copy) }, &mut self.out);
        }
        Ok(())
    }

    fn number(&mut self) -> u16 {
        loop {
            self.last = self.last.wrapping_add(1).max(1);
            if !self.flying.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    fn look(&mut self) -> Result<()> {
        let now = self.broker.seams.clock.monotonic();
        if now.saturating_sub(self.heard) > Duration::from_secs(u64::from(KEEP_ALIVE_S)) && self.line.is_idle() {
            return Err(down("it has been silent for too long"));
        }
        if now.saturating_sub(self.looked) < LOOK {
            return Ok(());
        }
        self.looked = now;
        self.wire.say(Say::Ping, &mut self.out);
        if self.session.waiting.load(Ordering::SeqCst) > self.flying.len() as u64 {
            self.session.due.store(true, Ordering::SeqCst);
        }
        for (lease, _) in self.flying.values().copied() {
            let broker = self.broker.clone();
            self.settling.push(Box::pin(async move {
                // If it is lost, the message is sent again.
                let _ = broker.seams.queue.extend(lease, LEASE).await;
            }));
        }
        Ok(())
    }

    /// What was not acknowledged waits for the next connection.
    pub(super) async fn close(mut self) {
        while self.settling.next().await.is_some() {}
        for (_, (lease, due)) in self.flying.drain() {
            let again = End::Again { due, counted: false, error: String::new() };
            if let Err(error) = self.broker.seams.queue.settle(lease, again.into()).await {
                tracing::debug!(?error, "a message of the bridge is given back by its lease's end");
            }
        }
        let _ = self.writer.shutdown().await;
    }
}

fn sent(copy: &Copy) -> Message {
    Message { retain: copy.retain, qos: copy.qos, ..(*copy.message).clone() }
}

fn down(why: &str) -> Error {
    Error::new(Code::Internal, format!("the other broker: {why}"))
}

fn told(breach: Breach) -> Error {
    down(&breach.why)
}
