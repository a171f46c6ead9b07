//! Packets of a client, from either version's form.

use bytes::Bytes;
use mote_core::clock::Timestamp;
use mote_core::mqtt::{Message, Qos, Topic};
use rmqtt_codec::types::QoS;
use rmqtt_codec::v5::PublishProperties;
use rmqtt_codec::{v3 as three, v5 as five};

use super::{Breach, Connect, Draft, FILTERS_MAX, Options, Packet, Publish, Reason, USER_PROPERTIES_MAX, Will};

/// "For ever", as both versions write it.
const EVER: u32 = u32::MAX;
const RECEIVE_DEFAULT: u16 = 65_535;

pub(super) fn v3(packet: three::Packet) -> Result<Packet, Breach> {
    use three::Packet as P;
    Ok(match packet {
        P::Connect(connect) => {
            let will = connect.last_will.map(|will| {
                let draft = Draft { qos: qos(will.qos), retain: will.retain, payload: own(&will.message), ..Draft::default() };
                willed(&will.topic, draft, 0)
            });
            Packet::Connect(Box::new(Connect {
                client: connect.client_id.to_string(),
                clean: connect.clean_session,
                keep_alive_s: connect.keep_alive,
                expiry_s: if connect.clean_session { 0 } else { EVER },
                receive_max: RECEIVE_DEFAULT,
                packet_max: 0,
                will: will.transpose()?,
                username: connect.username.map(|text| text.to_string()),
                password: connect.password.map(|bytes| bytes.to_vec()),
                method: false,
            }))
        }
        P::Publish(publish) => published(*publish)?,
        P::PublishAck { packet_id } => Packet::PubAck(packet_id.get()),
        P::PublishReceived { packet_id } => Packet::PubRec(packet_id.get(), true),
        P::PublishRelease { packet_id } => Packet::PubRel(packet_id.get()),
        P::PublishComplete { packet_id } => Packet::PubComp(packet_id.get()),
        P::Subscribe { packet_id, topic_filters } => {
            let filters =
                topic_filters.iter().map(|(filter, wanted)| (filter.to_string(), Options { qos: qos(*wanted), ..Options::default() }));
            Packet::Subscribe { id: packet_id.get(), number: None, filters: few(filters)? }
        }
        P::Unsubscribe { packet_id, topic_filters } => {
            Packet::Unsubscribe { id: packet_id.get(), filters: few(topic_filters.iter().map(ToString::to_string))? }
        }
        P::PingRequest => Packet::Ping,
        P::Disconnect => Packet::Disconnect { with_will: false, expiry_s: None },
        P::ConnectAck(_) | P::SubscribeAck { .. } | P::UnsubscribeAck { .. } | P::PingResponse => return Err(misplaced()),
    })
}

pub(super) fn v5(packet: five::Packet) -> Result<Packet, Breach> {
    use five::Packet as P;
    Ok(match packet {
        P::Connect(connect) => {
            let will = connect.last_will.map(|will| {
                let draft = Draft {
                    qos: qos(will.qos),
                    retain: will.retain,
                    payload: own(&will.message),
                    expires_s: will.message_expiry_interval.map(u32::from),
                    content_type: will.content_type.map(|text| text.to_string()),
                    response_topic: will.response_topic.map(|text| text.to_string()),
                    correlation: will.correlation_data.map(|bytes| bytes.to_vec()),
                    user: user(&will.user_properties)?,
                };
                willed(&will.topic, draft, will.will_delay_interval_sec.unwrap_or_default())
            });
            Packet::Connect(Box::new(Connect {
                client: connect.client_id.to_string(),
                clean: connect.clean_start,
                keep_alive_s: connect.keep_alive,
                expiry_s: connect.session_expiry_interval_secs,
                receive_max: connect.receive_max.map_or(RECEIVE_DEFAULT, u16::from),
                packet_max: connect.max_packet_size.map_or(0, u32::from),
                will: will.transpose()?,
                username: connect.username.map(|text| text.to_string()),
                password: connect.password.map(|bytes| bytes.to_vec()),
                method: connect.auth_method.is_some(),
            }))
        }
        P::Publish(publish) => published(*publish)?,
        P::PublishAck(ack) => Packet::PubAck(ack.packet_id.get()),
        P::PublishReceived(ack) => Packet::PubRec(ack.packet_id.get(), u8::from(ack.reason_code) < 0x80),
        P::PublishRelease(ack) => Packet::PubRel(ack.packet_id.get()),
        P::PublishComplete(ack) => Packet::PubComp(ack.packet_id.get()),
        P::Subscribe(subscribe) => {
            let filters = subscribe.topic_filters.iter().map(|(filter, options)| {
                let retained = u8::from(options.retain_handling);
                let (no_local, as_published) = (options.no_local, options.retain_as_published);
                (filter.to_string(), Options { qos: qos(options.qos), no_local, as_published, retained })
            });
            Packet::Subscribe { id: subscribe.packet_id.get(), number: subscribe.id.map(u32::from), filters: few(filters)? }
        }
        P::Unsubscribe(unsubscribe) => Packet::Unsubscribe {
            id: unsubscribe.packet_id.get(),
            filters: few(unsubscribe.topic_filters.iter().map(ToString::to_string))?,
        },
        P::PingRequest => Packet::Ping,
        P::Disconnect(disconnect) => Packet::Disconnect {
            with_will: disconnect.reason_code == five::DisconnectReasonCode::DisconnectWithWillMessage,
            expiry_s: disconnect.session_expiry_interval_secs,
        },
        P::Auth(_) => return Err(Breach::new(Reason::BadMethod, "an AUTH, though no exchange was begun")),
        P::ConnectAck(_) | P::SubscribeAck(_) | P::UnsubscribeAck(_) | P::PingResponse => return Err(misplaced()),
    })
}

fn misplaced() -> Breach {
    Breach::new(Reason::Protocol, "a packet that only a server sends")
}

fn published(publish: rmqtt_codec::types::Publish) -> Result<Packet, Breach> {
    let PublishProperties { topic_alias, correlation_data, message_expiry_interval, content_type, user_properties, response_topic, .. } =
        publish.properties.unwrap_or_default();
    let draft = Draft {
        qos: qos(publish.qos),
        retain: publish.retain,
        payload: own(&publish.payload),
        expires_s: message_expiry_interval.map(u32::from),
        content_type: content_type.map(|text| text.to_string()),
        response_topic: response_topic.map(|text| text.to_string()),
        correlation: correlation_data.map(|bytes| bytes.to_vec()),
        user: user(&user_properties)?,
    };
    let (alias, id) = (topic_alias.map(u16::from), publish.packet_id.map(u16::from));
    Ok(Packet::Publish(Box::new(Publish { topic: publish.topic.to_string(), alias, id, draft })))
}

fn willed(topic: &str, draft: Draft, delay_s: u32) -> Result<Will, Breach> {
    let life_s = draft.expires_s;
    Ok(Will { message: draft.into_message(topic, None)?, delay_s, life_s })
}

impl Draft {
    pub(crate) fn into_message(self, topic: &str, now: Option<Timestamp>) -> Result<Message, Breach> {
        let topic = Topic::new(topic).map_err(|error| Breach::new(Reason::TopicInvalid, error.detail().to_owned()))?;
        if self.payload.len() as u64 > mote_core::mqtt::PAYLOAD_BYTES_MAX {
            return Err(Breach::new(Reason::TooLarge, "the payload is too large"));
        }
        let seconds = self.expires_s.map(|s| std::time::Duration::from_secs(s.into()));
        Ok(Message {
            retain: self.retain,
            expires: now.zip(seconds).map(|(now, life)| now.plus(life)),
            content_type: self.content_type,
            response_topic: self.response_topic,
            correlation: self.correlation,
            user: self.user,
            ..Message::new(topic, self.qos, self.payload)
        })
    }
}

impl Default for Draft {
    fn default() -> Draft {
        let (expires_s, content_type, response_topic, correlation) = (None, None, None, None);
        Draft {
            qos: Qos::AtMost,
            retain: false,
            payload: Bytes::new(),
            expires_s,
            content_type,
            response_topic,
            correlation,
            user: Vec::new(),
        }
    }
}

/// A copy: a slice would keep the whole buffer that it came in.
fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn user(properties: &[(bytestring::ByteString, bytestring::ByteString)]) -> Result<Vec<(String, String)>, Breach> {
    if properties.len() > USER_PROPERTIES_MAX {
        return Err(Breach::new(Reason::Quota, format!("more than {USER_PROPERTIES_MAX} user properties")));
    }
    Ok(properties.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
}

fn few<T>(filters: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>, Breach> {
    if filters.len() > FILTERS_MAX {
        return Err(Breach::new(Reason::Quota, format!("more than {FILTERS_MAX} filters in one packet")));
    }
    Ok(filters.collect())
}

fn qos(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMost,
        QoS::AtLeastOnce => Qos::AtLeast,
        QoS::ExactlyOnce => Qos::Exactly,
    }
}
