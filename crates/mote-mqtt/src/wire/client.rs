//! The other side of the codec, in 3.1.1: what a bridge says to another broker, and hears from it.

use std::num::NonZeroU16;

use bytes::{Buf as _, BytesMut};
use mote_core::mqtt::{Message, Qos};
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::types::{Protocol, Publish, QoS};
use rmqtt_codec::v3::{self as three, Packet as P};
use tokio_util::codec::{Decoder, Encoder};

use super::{Breach, PACKET_BYTES_MAX, Reason, breach, from};

/// The packet's number in its first byte.
const PUBLISH: u8 = 3;

pub(crate) struct ClientWire {
    codec: three::Codec,
    /// Bytes still to come of a message that is too large to be taken.
    skipped: usize,
}

pub(crate) enum Say<'m> {
    Connect { client: &'m str, keep_alive_s: u16, username: Option<&'m str>, password: Option<&'m str> },
    Subscribe { id: u16, filters: Vec<String> },
    Unsubscribe { id: u16, filters: Vec<String> },
    Publish { id: Option<u16>, message: &'m Message },
    PubAck(u16),
    Ping,
}

pub(crate) enum Heard {
    /// Whether the connection was taken; else why not, in the broker's number.
    ConnAck(Result<(), u8>),
    /// How many of the filters were refused.
    SubAck(usize),
    UnsubAck,
    Publish(Box<super::Publish>),
    /// One that is too large: only its number was read, if it has one.
    TooLarge(Option<u16>),
    PubAck(u16),
    Pong,
}

impl ClientWire {
    pub(crate) fn new() -> ClientWire {
        ClientWire { codec: three::Codec::new(PACKET_BYTES_MAX), skipped: 0 }
    }

    pub(crate) fn say(&mut self, what: Say<'_>, out: &mut BytesMut) {
        let packet = match what {
            Say::Connect { client, keep_alive_s, username, password } => P::Connect(Box::new(three::Connect {
                protocol: Protocol(rmqtt_codec::types::MQTT_LEVEL_311),
                // What comes while the bridge is down waits there.
                clean_session: false,
                keep_alive: keep_alive_s,
                client_id: client.into(),
                username: username.map(Into::into),
                password: password.map(|password| bytes::Bytes::copy_from_slice(password.as_bytes())),
                ..three::Connect::default()
            })),
            Say::Subscribe { id, filters } => {
                let wanted = filters.iter().map(|filter| (filter.as_str().into(), QoS::AtLeastOnce)).collect();
                P::Subscribe { packet_id: numbered(id), topic_filters: wanted }
            }
            Say::Unsubscribe { id, filters } => {
                P::Unsubscribe { packet_id: numbered(id), topic_filters: filters.iter().map(|filter| filter.as_str().into()).collect() }
            }
            Say::Publish { id, message } => P::Publish(Box::new(Publish {
                dup: false,
                retain: message.retain,
                qos: if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
                topic: message.topic.as_str().into(),
                packet_id: id.map(numbered),
                payload: message.payload.clone(),
                properties: None,
            })),
            Say::PubAck(id) => P::PublishAck { packet_id: numbered(id) },
            Say::Ping => P::PingRequest,
        };
        // All of it is bounded far below what a packet may hold.
        if let Err(error) = self.codec.encode(packet, out) {
            tracing::error!(?error, "a packet for the other broker could not be written");
        }
    }

    pub(crate) fn hear(&mut self, input: &mut BytesMut) -> Result<Option<Heard>, Breach> {
        let skipped = self.skipped.min(input.len());
        input.advance(skipped);
        self.skipped -= skipped;
        let packet = match self.codec.decode(input) {
            Ok(Some((packet, _))) => packet,
            Ok(None) => return Ok(None),
            Err(DecodeError::MaxSizeExceeded { size, .. }) => return self.skip(input, size as usize),
            Err(error) => return Err(breach(error)),
        };
        Ok(Some(match packet {
            P::ConnectAck(ack) => match ack.return_code {
                three::ConnectAckReason::ConnectionAccepted => Heard::ConnAck(Ok(())),
                refusal => Heard::ConnAck(Err(refusal.into())),
            },
            P::SubscribeAck { status, .. } => {
                Heard::SubAck(status.iter().filter(|status| matches!(status, three::SubscribeReturnCode::Failure)).count())
            }
            P::UnsubscribeAck { .. } => Heard::UnsubAck,
            P::PublishAck { packet_id } => Heard::PubAck(packet_id.get()),
            P::PingResponse => Heard::Pong,
            P::Publish(publish) => match from::v3(P::Publish(publish))? {
                super::Packet::Publish(publish) if publish.draft.qos < Qos::Exactly => Heard::Publish(publish),
                _ => return Err(Breach::new(Reason::Protocol, "more than the QoS that was asked for")),
            },
            _ => return Err(Breach::new(Reason::Protocol, "a packet that a broker does not send here")),
        }))
    }

    /// 3.1.1 can't say how much is taken, and what is not acknowledged comes again for ever. The codec has
    /// consumed nothing of the packet yet.
    fn skip(&mut self, input: &mut BytesMut, size: usize) -> Result<Option<Heard>, Breach> {
        // Its first byte, and its length in three or four.
        let head = if size < 1 << 21 { 4 } else { 5 };
        let first = input.first().copied().unwrap_or_default();
        if first >> 4 != PUBLISH || first & 0b110 > 0b010 {
            return Err(Breach::new(Reason::TooLarge, format!("a packet of {size} bytes that is no message")));
        }
        let number = |at: usize| Some(u16::from_be_bytes([*input.get(at)?, *input.get(at + 1)?]));
        let Some(id) = number(head).and_then(|topic| number(head + 2 + usize::from(topic))) else { return Ok(None) };
        self.skipped = head + size;
        Ok(Some(Heard::TooLarge((first & 0b110 > 0).then_some(id))))
    }
}

fn numbered(id: u16) -> NonZeroU16 {
    NonZeroU16::new(id).unwrap_or(NonZeroU16::MIN)
}
