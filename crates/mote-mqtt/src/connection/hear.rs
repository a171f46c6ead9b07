//! What each packet of a client brings about.

use mote_core::access::rights::Device;
use mote_core::mqtt::Qos;

use super::line::{Published, Wish, acknowledged};
use super::{End, Talk};
use crate::limits::{ALIASES_MAX, EXPIRY_MAX_S, RECEIVE_MAX};
use crate::wire::{Breach, Packet, Publish, Reason, Reply};

impl Talk {
    /// Takes the packets that are here, as long as there is room for what they bring.
    pub(super) fn hear(&mut self) -> Result<Option<End>, Breach> {
        while self.line.has_room() {
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
            // Also of a message that is not known any more: the client would keep the number for ever.
            Packet::PubRec(id, true) => {
                self.flights.received(id);
                self.tell([Reply::PubRel(id)]);
            }
            Packet::PubRec(id, false) | Packet::PubComp(id) => self.delivered(id),
            Packet::PubRel(id) => {
                self.session().state().received.remove(id);
                self.tell([Reply::PubComp(id)]);
            }
            Packet::Subscribe { id, number, filters } => self.line.push(match self.who.may(&self.broker, &self.space, Device::Subscribe) {
                true => Wish::Subscribe { id, number, filters },
                false => Wish::Say(Reply::SubAck(id, vec![Err(Reason::NotAuthorized); filters.len()])),
            }),
            Packet::Unsubscribe { id, filters } => self.line.push(Wish::Unsubscribe { id, filters }),
            Packet::Ping => self.tell([Reply::Pong]),
            Packet::Disconnect { with_will, expiry_s } => {
                if let Some(expiry_s) = expiry_s {
                    let mut state = self.session().state();
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
        if qos == Qos::Exactly && self.wire.is_v5() {
            // It was told how many may be open.
            let received = &self.session().state().received;
            if received.len() >= usize::from(RECEIVE_MAX) && !received.contains(id) {
                return Err(Breach::new(Reason::ReceiveMax, format!("more than {RECEIVE_MAX} messages of QoS 2 that are not released")));
            }
        }
        let mut message = publish.draft.into_message(&topic, Some(self.broker.seams.clock.now()))?;
        message.lineage.caller = Some(self.who.caller.label());
        if self.who.may(&self.broker, &self.space, Device::Publish) {
            self.line.push(Wish::Publish(Published::new(id, message)));
        } else if !self.wire.is_v5() {
            return Err(Breach::new(Reason::NotAuthorized, "the token does not allow to publish"));
        } else if let Some(refusal) = acknowledged(qos, id, Reason::NotAuthorized) {
            self.line.push(Wish::Say(refusal));
        }
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
}
