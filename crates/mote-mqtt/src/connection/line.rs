//! What a client asked for and is not on disk yet: begun in its order, one batch at a time.
//!
//! Messages that came together go to the broker together, so a flood shares the disk's time and yet
//! nothing overtakes. A batch that was begun is carried to its end, whatever becomes of the connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mote_core::access::Caller;
use mote_core::mqtt::{Message, Qos};
use mote_core::{BoxFuture, Code, Error};

use crate::broker::MqttBroker;
use crate::limits::{RECEIVE_BYTES_MAX, RECEIVE_MAX};
use crate::session::Session;
use crate::space::{Space, weight};
use crate::wire::{Breach, Options, Reason, Reply};

/// Until a namespace that has had its share is asked again: its device waits meanwhile, and loses nothing.
const FULL_WAIT: Duration = Duration::from_millis(500);

pub(crate) struct Line {
    broker: Arc<MqttBroker>,
    space: Arc<Space>,
    session: Arc<Session>,
    beyond: Beyond,
    waiting: VecDeque<Wish>,
    bytes: usize,
    batch: Option<BoxFuture<'static, Batch>>,
    /// Nothing is begun before.
    resume: Duration,
}

/// What to do with a message that the namespace can't retain, or not hand to so many.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// Version 5 has a word for it.
    Tell,
    /// 3.1.1 can only be sent away.
    Leave,
    /// It is passed on without being retained: another broker would send it again for ever.
    Forgo,
}

pub(crate) enum Wish {
    Publish(Published),
    Subscribe {
        id: u16,
        number: Option<u32>,
        filters: Vec<(String, Options)>,
    },
    Unsubscribe {
        id: u16,
        filters: Vec<String>,
    },
    /// Nothing to be done, but to be said in its turn.
    Say(Reply),
}

pub(crate) struct Published {
    pub(crate) id: u16,
    pub(crate) message: Arc<Message>,
    /// It has been taken off the namespace's rate.
    pub(crate) is_paid: bool,
}

/// What came of a batch.
#[derive(Default)]
struct Batch {
    said: Vec<Reply>,
    /// In their order, for another try.
    back: Vec<Published>,
    breach: Option<Breach>,
}

impl Line {
    pub(crate) fn new(broker: Arc<MqttBroker>, space: Arc<Space>, session: Arc<Session>, beyond: Beyond) -> Line {
        Line { broker, space, session, beyond, waiting: VecDeque::new(), bytes: 0, batch: None, resume: Duration::ZERO }
    }

    /// Room for what more the client asks.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < usize::from(RECEIVE_MAX) && self.bytes < RECEIVE_BYTES_MAX
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.batch.is_none()
    }

    pub(crate) fn push(&mut self, wish: Wish) {
        self.bytes += wish.bytes();
        self.waiting.push_back(wish);
    }

    fn pop(&mut self) -> Option<Wish> {
        let wish = self.waiting.pop_front()?;
        self.bytes -= wish.bytes();
        Some(wish)
    }

    /// How long nothing more is begun.
    pub(crate) fn pause(&self) -> Duration {
        self.resume.saturating_sub(self.broker.seams.clock.monotonic())
    }

    /// Begins what can be begun, and gives back what is to be said at once. Without a caller nothing is
    /// taken off a rate.
    pub(crate) fn begin(&mut self, caller: Option<&Caller>) -> Vec<Reply> {
        let mut said = Vec::new();
        while self.batch.is_none() && self.pause().is_zero() {
            let messages = self.messages(caller);
            let at = (self.broker.clone(), self.space.clone(), self.session.clone());
            if !messages.is_empty() {
                self.batch = Some(Box::pin(carry(at, self.beyond, messages)));
                break;
            }
            match self.waiting.front() {
                None | Some(Wish::Publish(_)) => break,
                Some(_) => {}
            }
            match self.pop() {
                None | Some(Wish::Publish(_)) => {}
                Some(Wish::Say(reply)) => said.push(reply),
                Some(Wish::Subscribe { id, number, filters }) => {
                    self.batch = Some(Box::pin(async move {
                        let (broker, space, session) = at;
                        Batch::of(broker.subscribe(&space, &session, number, filters).await.map(|codes| Reply::SubAck(id, codes)))
                    }));
                }
                Some(Wish::Unsubscribe { id, filters }) => {
                    self.batch = Some(Box::pin(async move {
                        let (broker, space, session) = at;
                        Batch::of(broker.unsubscribe(&space, &session, &filters).await.map(|found| Reply::UnsubAck(id, found)))
                    }));
                }
            }
        }
        said
    }

    /// The messages at the head of the line, as far as the namespace's rate lets them through.
    fn messages(&mut self, caller: Option<&Caller>) -> Vec<Published> {
        let mut found: Vec<Published> = Vec::new();
        while let Some(Wish::Publish(next)) = self.waiting.front_mut() {
            // Sent twice: it waits until it is known what came of the first.
            if next.is_once() && found.iter().any(|one| one.is_once() && one.id == next.id) {
                break;
            }
            let access = &self.broker.seams.access;
            let pays = caller.filter(|_| !next.is_paid).is_none_or(|caller| access.throttle(caller, &self.space.name).is_ok());
            if !pays && next.message.qos > Qos::AtMost {
                self.resume = self.broker.seams.clock.monotonic() + FULL_WAIT;
                break;
            }
            next.is_paid = true;
            if let Some(Wish::Publish(next)) = self.pop()
                && pays
            {
                found.push(next);
            }
        }
        found
    }

    /// Resolves when the batch is done: what is to be said, and why no more.
    pub(crate) async fn next(&mut self) -> (Vec<Reply>, Option<Breach>) {
        let Some(batch) = &mut self.batch else { return std::future::pending().await };
        let Batch { said, back, breach } = batch.await;
        self.batch = None;
        if !back.is_empty() {
            self.resume = self.broker.seams.clock.monotonic() + FULL_WAIT;
        }
        for one in back.into_iter().rev() {
            let wish = Wish::Publish(one);
            self.bytes += wish.bytes();
            self.waiting.push_front(wish);
        }
        if breach.is_some() {
            // What came behind it may build on it, and comes again with it.
            self.waiting.clear();
            self.bytes = 0;
        }
        (said, breach)
    }

    /// To the end of what can be done now: the rest was never acknowledged.
    pub(crate) async fn finish(&mut self, caller: Option<&Caller>) -> Vec<Reply> {
        let mut all = self.begin(caller);
        while self.batch.is_some() {
            let (said, breach) = self.next().await;
            all.extend(said);
            if breach.is_some() {
                break;
            }
            all.extend(self.begin(caller));
        }
        all
    }
}

impl Wish {
    fn bytes(&self) -> usize {
        match self {
            Wish::Publish(one) => weight(&one.message),
            Wish::Subscribe { filters, .. } => filters.iter().map(|(filter, _)| filter.len()).sum(),
            Wish::Unsubscribe { filters, .. } => filters.iter().map(String::len).sum(),
            Wish::Say(_) => 0,
        }
    }
}

impl Published {
    pub(crate) fn new(id: u16, message: Message) -> Published {
        Published { id, message: message.into(), is_paid: false }
    }

    fn is_once(&self) -> bool {
        self.message.qos == Qos::Exactly
    }
}

impl Batch {
    fn of(outcome: Result<Reply, Error>) -> Batch {
        match outcome {
            Ok(reply) => Batch { said: vec![reply], ..Batch::default() },
            Err(error) => Batch { breach: Some(failed(error)), ..Batch::default() },
        }
    }

    fn taken(&mut self, session: &Session, one: &Published) {
        if one.is_once() {
            session.state().received.insert(one.id);
        }
        self.said.extend(acknowledged(one.message.qos, one.id, Reason::Success));
    }
}

async fn carry((broker, space, session): (Arc<MqttBroker>, Arc<Space>, Arc<Session>), beyond: Beyond, messages: Vec<Published>) -> Batch {
    let mut batch = Batch::default();
    // Those that were taken before, though the client has not heard of it, are only said again.
    let is_new = |one: &Published| !one.is_once() || !session.state().received.contains(one.id);
    let new: Vec<_> = messages.iter().filter(|one| is_new(one)).map(|one| one.message.clone()).collect();
    if broker.accept(&space, Some(&session.client), new).await.is_ok() {
        messages.iter().for_each(|one| batch.taken(&session, one));
        return batch;
    }
    // Not all of them: one by one, as far as that goes.
    let mut rest = messages.into_iter();
    while let Some(one) = rest.next() {
        let mut outcome = Ok(());
        if is_new(&one) {
            outcome = broker.accept(&space, Some(&session.client), vec![one.message.clone()]).await;
        }
        match outcome {
            Ok(()) => batch.taken(&session, &one),
            // Nobody is told of it in any case.
            Err(_) if one.message.qos == Qos::AtMost => {}
            Err(error) if error.code() == Code::Throttled => {
                batch.back = std::iter::once(one).chain(rest).collect();
                break;
            }
            Err(error) if error.code() == Code::QuotaExceeded && beyond == Beyond::Tell => {
                batch.said.extend(acknowledged(one.message.qos, one.id, Reason::Quota));
            }
            Err(error) if error.code() == Code::QuotaExceeded && beyond == Beyond::Forgo => {
                tracing::warn!(%error, topic = %one.message.topic, "a message is passed on as far as it can be");
                let plain = Message { retain: false, ..(*one.message).clone() };
                match broker.accept(&space, Some(&session.client), vec![plain.into()]).await {
                    Err(error) if error.code() != Code::QuotaExceeded => {
                        batch.breach = Some(failed(error));
                        break;
                    }
                    _ => batch.taken(&session, &one),
                }
            }
            // Nothing is acknowledged: the client will send it again.
            Err(error) => {
                batch.breach = Some(failed(error));
                break;
            }
        }
    }
    batch
}

pub(crate) fn acknowledged(qos: Qos, id: u16, reason: Reason) -> Option<Reply> {
    match qos {
        Qos::AtMost => None,
        Qos::AtLeast => Some(Reply::PubAck(id, reason)),
        Qos::Exactly => Some(Reply::PubRec(id, reason)),
    }
}

fn failed(error: Error) -> Breach {
    tracing::error!(?error, "what a client asked for could not be kept");
    Breach::new(Reason::Unspecified, error.detail().to_owned())
}
