//! Packets of the broker, in either version's form.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::BytesMut;
use mote_core::mqtt::Qos;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::{v3 as three, v5 as five};
use tokio_util::codec::Encoder;

use super::{ConnAck, PACKET_BYTES_MAX, Reason, Reply};
use crate::limits;

pub(super) fn v3(codec: &mut three::Codec, reply: Reply, out: &mut BytesMut) -> bool {
    use three::Packet as P;
    let Some(id) = number(&reply) else { return false };
    let packet = match reply {
        Reply::ConnAck(ack) => P::ConnectAck(three::ConnectAck { return_code: refusal(ack.reason), session_present: ack.present }),
        Reply::Publish { .. } => match publish(reply, false) {
            Some(publish) => P::Publish(publish),
            None => return false,
        },
        Reply::PubAck(..) => P::PublishAck { packet_id: id },
        Reply::PubRec(..) => P::PublishReceived { packet_id: id },
        Reply::PubRel(_) => P::PublishRelease { packet_id: id },
        Reply::PubComp(_) => P::PublishComplete { packet_id: id },
        Reply::SubAck(_, codes) => {
            let told = |code| match code {
                Ok(granted) => three::SubscribeReturnCode::Success(qos(granted)),
                Err(_) => three::SubscribeReturnCode::Failure,
            };
            P::SubscribeAck { packet_id: id, status: codes.into_iter().map(told).collect() }
        }
        Reply::UnsubAck(..) => P::UnsubscribeAck { packet_id: id },
        Reply::Pong => P::PingResponse,
        Reply::Disconnect(_) => return false,
    };
    codec.encode(packet, out).is_ok()
}

pub(super) fn v5(codec: &mut five::Codec, reply: Reply, out: &mut BytesMut) -> bool {
    use five::Packet as P;
    let Some(id) = number(&reply) else { return false };
    let packet = match reply {
        Reply::ConnAck(ack) => P::ConnectAck(Box::new(connected(ack))),
        Reply::Publish { .. } => match publish(reply, true) {
            Some(publish) => P::Publish(publish),
            None => return false,
        },
        Reply::PubAck(_, reason) => P::PublishAck(ack(id, reason)),
        Reply::PubRec(_, reason) => P::PublishReceived(ack(id, reason)),
        Reply::PubRel(_) => P::PublishRelease(second(id)),
        Reply::PubComp(_) => P::PublishComplete(second(id)),
        Reply::SubAck(_, codes) => {
            use five::SubscribeAckReason as S;
            let told = |code| match code {
                Ok(Qos::AtMost) => S::GrantedQos0,
                Ok(Qos::AtLeast) => S::GrantedQos1,
                Ok(Qos::Exactly) => S::GrantedQos2,
                Err(Reason::FilterInvalid) => S::TopicFilterInvalid,
                Err(Reason::NotAuthorized) => S::NotAuthorized,
                Err(Reason::Quota) => S::QuotaExceeded,
                Err(_) => S::UnspecifiedError,
            };
            let status = codes.into_iter().map(told).collect();
            P::SubscribeAck(five::SubscribeAck { packet_id: id, properties: Vec::new(), reason_string: None, status })
        }
        Reply::UnsubAck(_, found) => {
            use five::UnsubscribeAckReason as U;
            let status = found.into_iter().map(|found| if found { U::Success } else { U::NoSubscriptionExisted }).collect();
            P::UnsubscribeAck(five::UnsubscribeAck { packet_id: id, properties: Vec::new(), reason_string: None, status })
        }
        Reply::Pong => P::PingResponse,
        Reply::Disconnect(reason) => P::Disconnect(five::Disconnect {
            reason_code: ending(reason),
            session_expiry_interval_secs: None,
            server_reference: None,
            reason_string: None,
            user_properties: Vec::new(),
        }),
    };
    codec.encode(packet, out).is_ok()
}

/// The packet's number, or any where it has none.
fn number(reply: &Reply) -> Option<NonZeroU16> {
    match reply {
        Reply::PubAck(id, _)
        | Reply::PubRec(id, _)
        | Reply::PubRel(id)
        | Reply::PubComp(id)
        | Reply::SubAck(id, _)
        | Reply::UnsubAck(id, _) => NonZeroU16::new(*id),
        Reply::ConnAck(_) | Reply::Publish { .. } | Reply::Pong | Reply::Disconnect(_) => Some(NonZeroU16::MIN),
    }
}

fn publish(reply: Reply, with_properties: bool) -> Option<Box<Publish>> {
    let Reply::Publish { id, dup, qos: level, retain, message, numbers, expires_s } = reply else { return None };
    let properties = with_properties.then(|| five::PublishProperties {
        topic_alias: None,
        correlation_data: message.correlation.clone().map(Into::into),
        message_expiry_interval: expires_s.and_then(NonZeroU32::new),
        content_type: message.content_type.as_deref().map(Into::into),
        user_properties: message.user.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
        is_utf8_payload: false,
        response_topic: message.response_topic.as_deref().map(Into::into),
        subscription_ids: numbers.into_iter().filter_map(NonZeroU32::new).collect(),
    });
    let (topic, payload) = (message.topic.as_str().into(), message.payload.clone());
    Some(Box::new(Publish { dup, retain, qos: qos(level), topic, packet_id: id.and_then(NonZeroU16::new), payload, properties }))
}

fn connected(ack: ConnAck) -> five::ConnectAck {
    use five::ConnectAckReason as C;
    let reason_code = match ack.reason {
        Reason::Success => C::Success,
        Reason::Malformed => C::MalformedPacket,
        Reason::Protocol => C::ProtocolError,
        Reason::ClientInvalid => C::ClientIdentifierNotValid,
        Reason::BadCredential => C::BadUserNameOrPassword,
        Reason::BadMethod => C::BadAuthenticationMethod,
        Reason::NotAuthorized => C::NotAuthorized,
        Reason::Busy | Reason::ShuttingDown => C::ServerBusy,
        Reason::TopicInvalid => C::TopicNameInvalid,
        Reason::TooLarge => C::PacketTooLarge,
        Reason::Quota => C::QuotaExceeded,
        Reason::KeepAlive | Reason::TakenOver | Reason::FilterInvalid | Reason::AliasInvalid | Reason::ReceiveMax | Reason::Unspecified => {
            C::UnspecifiedError
        }
    };
    five::ConnectAck {
        session_present: ack.present,
        reason_code,
        session_expiry_interval_secs: ack.expiry_s,
        receive_max: NonZeroU16::new(limits::RECEIVE_MAX).unwrap_or(NonZeroU16::MIN),
        max_packet_size: Some(PACKET_BYTES_MAX),
        assigned_client_id: ack.assigned.map(Into::into),
        topic_alias_max: limits::ALIASES_MAX,
        server_keepalive_sec: ack.keep_alive_s,
        ..five::ConnectAck::default()
    }
}

fn refusal(reason: Reason) -> three::ConnectAckReason {
    use three::ConnectAckReason as C;
    match reason {
        Reason::Success => C::ConnectionAccepted,
        Reason::ClientInvalid => C::IdentifierRejected,
        Reason::BadCredential => C::BadUserNameOrPassword,
        Reason::NotAuthorized => C::NotAuthorized,
        _ => C::ServiceUnavailable,
    }
}

fn ack(packet_id: NonZeroU16, reason: Reason) -> five::PublishAck {
    use five::PublishAckReason as A;
    let reason_code = match reason {
        Reason::Success => A::Success,
        Reason::NotAuthorized => A::NotAuthorized,
        Reason::TopicInvalid => A::TopicNameInvalid,
        Reason::Quota => A::QuotaExceeded,
        _ => A::UnspecifiedError,
    };
    five::PublishAck { packet_id, reason_code, properties: Vec::new(), reason_string: None }
}

fn second(packet_id: NonZeroU16) -> five::PublishAck2 {
    five::PublishAck2 { packet_id, reason_code: five::PublishAck2Reason::Success, properties: Vec::new(), reason_string: None }
}

fn ending(reason: Reason) -> five::DisconnectReasonCode {
    use five::DisconnectReasonCode as D;
    match reason {
        Reason::Success => D::NormalDisconnection,
        Reason::Malformed => D::MalformedPacket,
        Reason::Protocol | Reason::ClientInvalid => D::ProtocolError,
        Reason::BadCredential | Reason::NotAuthorized => D::NotAuthorized,
        Reason::BadMethod => D::BadAuthenticationMethod,
        Reason::Busy => D::ServerBusy,
        Reason::ShuttingDown => D::ServerShuttingDown,
        Reason::KeepAlive => D::KeepAliveTimeout,
        Reason::TakenOver => D::SessionTakenOver,
        Reason::FilterInvalid => D::TopicFilterInvalid,
        Reason::TopicInvalid => D::TopicNameInvalid,
        Reason::AliasInvalid => D::TopicAliasInvalid,
        Reason::TooLarge => D::PacketTooLarge,
        Reason::Quota => D::QuotaExceeded,
        Reason::ReceiveMax => D::ReceiveMaximumExceeded,
        Reason::Unspecified => D::UnspecifiedError,
    }
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMost => QoS::AtMostOnce,
        Qos::AtLeast => QoS::AtLeastOnce,
        Qos::Exactly => QoS::ExactlyOnce,
    }
}
