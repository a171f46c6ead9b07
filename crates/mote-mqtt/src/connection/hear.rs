//! What each packet of a client brings about.

use std::sync::Arc;
use std::time::Duration;

use mote_core::access::rights::Device;
use mote_core::mqtt::{Message, Qos};
use mote_core::{Code, Result as Outcome};

use super::{End, Talk};
use crate::broker::MqttBroker;
use crate::limits::{ALIASES_MAX, EXPIRY_MAX_S, RECEIVE_MAX};
use crate::space::Space;
use crate::wire::{Breach, Packet, Publish, Reason, Reply};

/// Until a namespace that is full is asked again: its device waits meanwhile, and loses nothing.
const FULL_WAIT: Duration = Duration::from_millis(500);

impl Talk {
    /// Takes the packets that are here, as long as there is room for what they bring.
    pub(super) fn hear(&mut self) -> Result<Option<End>, Breach> {
        while self.taking.len() < usize::from(RECEIVE_MAX) {
            let Some(packet) = self.wire.decode(&mut self.input)? else { return Ok(None) };
            if let Some(end) = self.take(packet)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn take(&mut self, packet: Packet) -> Result<Option<End>, Breach> {
        match packet {
            Packet::Connect(_) => return Err(Breach::new(Reason::Protocol, "a second CONNECT")),
            Packet::Publish(publish) => self.published(*publish)?,
            Packet::PubAck(id) => self.delivered(id),
            Packet::PubRec(id, true) => {
                if self.flights.received(id) {
                    self.tell(Some(Reply::PubRel(id)));
                }
            }
            Packet::PubRec(id, false) | Packet::PubComp(id) => self.delivered(id),
            Packet::PubRel(id) => {
                self.session.state().received.remove(&id);
                self.tell(Some(Reply::PubComp(id)));
            }
            Packet::Subscribe { id, number, filters } => {
                let may = self.may(Device::Subscribe);
                let (broker, space, session) = (self.broker.clone(), self.space.clone(), self.session.clone());
                self.taking.push_back(Box::pin(async move {
                    if !may {
                        return Ok(Some(Reply::SubAck(id, vec![Err(Reason::NotAuthorized); filters.len()])));
                    }
                    Ok(Some(Reply::SubAck(id, broker.subscribe(&space, &session, number, filters).await.map_err(failed)?)))
                }));
            }
            Packet::Unsubscribe { id, filters } => {
                let (broker, space, session) = (self.broker.clone(), self.space.clone(), self.session.clone());
                self.taking.push_back(Box::pin(async move {
                    Ok(Some(Reply::UnsubAck(id, broker.unsubscribe(&space, &session, &filters).await.map_err(failed)?)))
                }));
            }
            Packet::Ping => self.tell(Some(Reply::Pong)),
            Packet::Disconnect { with_will, expiry_s } => {
                if let Some(expiry_s) = expiry_s {
                    let mut state = self.session.state();
                    if state.kept.expiry_s == 0 && expiry_s > 0 {
                        return Err(Breach::new(
                            Reason::Protocol,
                            "a session that ends with its connection can't be made to last at its end",
                        ));
                    }
                    state.kept.expiry_s = expiry_s.min(EXPIRY_MAX_S);
                }
                return Ok(Some(if with_will { End::WithWill } else { End::Bye }));
            }
        }
        Ok(None)
    }

    fn published(&mut self, publish: Publish) -> Result<(), Breach> {
        let topic = self.named(publish.topic, publish.alias)?;
        let (qos, id) = (publish.draft.qos, publish.id.unwrap_or_default());
        let mut message = publish.draft.into_message(&topic, Some(self.broker.seams.clock.now()))?;
        message.lineage.caller = Some(self.caller.label());
        if !self.may(Device::Publish) {
            if !self.wire.is_v5() {
                return Err(Breach::new(Reason::NotAuthorized, "the token does not allow to publish"));
            }
            self.tell(acknowledged(qos, id, Reason::NotAuthorized));
            return Ok(());
        }
        if qos == Qos::Exactly && !self.session.state().received.insert(id) {
            // Taken before, though the client has not heard of it; in its turn, since it may be on its way still.
            self.taking.push_back(Box::pin(async move { Ok(Some(Reply::PubRec(id, Reason::Success))) }));
            return Ok(());
        }
        let (broker, space, session) = (self.broker.clone(), self.space.clone(), self.session.clone());
        let (caller, is_v5) = (self.caller.clone(), self.wire.is_v5());
        self.taking.push_back(Box::pin(async move {
            let reason = match in_time(&broker, &space, &caller, &session.client, message).await {
                Ok(()) => Reason::Success,
                Err(error) if error.code() == Code::QuotaExceeded && is_v5 => Reason::Quota,
                // Nothing is acknowledged: the client will send it again.
                Err(error) => {
                    session.state().received.remove(&id);
                    return if qos == Qos::AtMost { Ok(None) } else { Err(failed(error)) };
                }
            };
            if reason != Reason::Success {
                session.state().received.remove(&id);
            }
            Ok(acknowledged(qos, id, reason))
        }));
        Ok(())
    }

    /// The topic that an alias stands for, or will from now on.
    fn named(&mut self, topic: String, alias: Option<u16>) -> Result<String, Breach> {
        let Some(alias) = alias else { return Ok(topic) };
        let wrong = || Breach::new(Reason::AliasInvalid, format!("an alias that is none: 1 to {ALIASES_MAX} are"));
        let known = self.aliases.get_mut(usize::from(alias).wrapping_sub(1)).ok_or_else(wrong)?;
        if !topic.is_empty() {
            *known = topic;
        }
        if known.is_empty() { Err(wrong()) } else { Ok(known.clone()) }
    }

    fn may(&self, what: Device) -> bool {
        self.is_guest || self.broker.seams.access.permit(&self.caller, &what.rule(&self.space.name)).is_ok()
    }
}

/// Waits while the namespace has had its share: a device has no way to be told "later".
async fn in_time(
    broker: &MqttBroker,
    space: &Arc<Space>,
    caller: &mote_core::access::Caller,
    client: &str,
    message: Message,
) -> Outcome<()> {
    loop {
        let outcome = match broker.seams.access.throttle(caller, &space.name) {
            Ok(()) => broker.accept(space, Some(client), message.clone()).await,
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if error.code() == Code::Throttled && message.qos > Qos::AtMost => broker.seams.clock.sleep(FULL_WAIT).await,
            outcome => return outcome,
        }
    }
}

fn acknowledged(qos: Qos, id: u16, reason: Reason) -> Option<Reply> {
    match qos {
        Qos::AtMost => None,
        Qos::AtLeast => Some(Reply::PubAck(id, reason)),
        Qos::Exactly => Some(Reply::PubRec(id, reason)),
    }
}

fn failed(error: mote_core::Error) -> Breach {
    tracing::error!(?error, "what a client asked for could not be kept");
    Breach::new(Reason::Unspecified, error.detail().to_owned())
}
