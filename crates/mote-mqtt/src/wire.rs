//! Packets of both versions as one vocabulary, over the codecs of rmqtt-codec.
//!
//! What is malformed, too large or out of place for a client ends here as a [`Breach`]. Not here:
//! what a packet brings about ([`crate::connection`]).

pub(crate) mod client;
mod from;
mod to;

use bytes::BytesMut;
use mote_core::mqtt::{Message, Qos};
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::version::{ProtocolVersion, VersionCodec};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Decoder;

/// Of a first packet, from somebody who has shown nothing yet: credentials and a will are in it.
pub(crate) const CONNECT_BYTES_MAX: u32 = 64 << 10;
/// Of any other: a payload, its topic and its properties.
pub(crate) const PACKET_BYTES_MAX: u32 = (mote_core::mqtt::PAYLOAD_BYTES_MAX as u32) + (16 << 10);
const USER_PROPERTIES_MAX: usize = 32;
const FILTERS_MAX: usize = 100;

/// What clients send.
#[derive(Debug)]
pub(crate) enum Packet {
    Connect(Box<Connect>),
    Publish(Box<Publish>),
    PubAck(u16),
    /// `false`: refused, so nothing more comes of it.
    PubRec(u16, bool),
    PubRel(u16),
    PubComp(u16),
    Subscribe {
        id: u16,
        number: Option<u32>,
        filters: Vec<(String, Options)>,
    },
    Unsubscribe {
        id: u16,
        filters: Vec<String>,
    },
    Ping,
    Disconnect {
        with_will: bool,
        expiry_s: Option<u32>,
    },
}

#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) client: String,
    pub(crate) clean: bool,
    pub(crate) keep_alive_s: u16,
    /// Of its session, once it is away; 3.1.1 can only say "none" or "for ever".
    pub(crate) expiry_s: u32,
    pub(crate) receive_max: u16,
    pub(crate) packet_max: u32,
    pub(crate) will: Option<Will>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    /// An exchange of credentials that nobody here can carry on.
    pub(crate) method: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) message: Message,
    pub(crate) delay_s: u32,
    /// Of the message, from when it is published.
    pub(crate) life_s: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Publish {
    /// As sent; empty where an alias stands for it.
    pub(crate) topic: String,
    pub(crate) alias: Option<u16>,
    pub(crate) id: Option<u16>,
    pub(crate) draft: Draft,
}

/// A message whose topic has not been judged.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) payload: bytes::Bytes,
    pub(crate) expires_s: Option<u32>,
    pub(crate) content_type: Option<String>,
    pub(crate) response_topic: Option<String>,
    pub(crate) correlation: Option<Vec<u8>>,
    pub(crate) user: Vec<(String, String)>,
}

/// How a subscription wants its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Options {
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) as_published: bool,
    /// 0: at each subscribing, 1: at a new one, 2: never.
    #[serde(skip)]
    pub(crate) retained: u8,
}

/// What the broker sends.
#[derive(Debug)]
pub(crate) enum Reply {
    ConnAck(ConnAck),
    Publish {
        id: Option<u16>,
        dup: bool,
        qos: Qos,
        retain: bool,
        message: std::sync::Arc<Message>,
        numbers: Vec<u32>,
        expires_s: Option<u32>,
    },
    PubAck(u16, Reason),
    PubRec(u16, Reason),
    PubRel(u16),
    PubComp(u16),
    SubAck(u16, Vec<Result<Qos, Reason>>),
    UnsubAck(u16, Vec<bool>),
    Pong,
    /// Version 5 alone is told.
    Disconnect(Reason),
}

#[derive(Debug)]
pub(crate) struct ConnAck {
    pub(crate) reason: Reason,
    pub(crate) present: bool,
    pub(crate) assigned: Option<String>,
    pub(crate) expiry_s: Option<u32>,
    pub(crate) keep_alive_s: Option<u16>,
}

/// Why not; each version has numbers of its own for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Success,
    Malformed,
    Protocol,
    ClientInvalid,
    BadCredential,
    BadMethod,
    NotAuthorized,
    Busy,
    ShuttingDown,
    KeepAlive,
    TakenOver,
    FilterInvalid,
    TopicInvalid,
    AliasInvalid,
    TooLarge,
    Quota,
    ReceiveMax,
    Unspecified,
}

/// The end of a connection, by the client's own doing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) reason: Reason,
    pub(crate) why: String,
}

impl Breach {
    pub(crate) fn new(reason: Reason, why: impl Into<String>) -> Breach {
        Breach { reason, why: why.into() }
    }
}

/// One connection's translator: of no version until the first packet has named it.
pub(crate) enum Wire {
    Unknown,
    V3(v3::Codec),
    V5(v5::Codec),
}

impl Wire {
    pub(crate) fn is_v5(&self) -> bool {
        matches!(self, Wire::V5(_))
    }

    /// The next whole packet of what has come so far.
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Packet>, Breach> {
        match self {
            Wire::Unknown => {
                let Some(version) = VersionCodec.decode(input).map_err(breach)? else {
                    // Of an overlong length, or a name that does not come.
                    return if input.len() > 16 {
                        Err(Breach::new(Reason::Malformed, "the connection begins with no CONNECT"))
                    } else {
                        Ok(None)
                    };
                };
                *self = match version {
                    ProtocolVersion::MQTT3 => Wire::V3(v3::Codec::new(CONNECT_BYTES_MAX)),
                    ProtocolVersion::MQTT5 => Wire::V5(v5::Codec::new(CONNECT_BYTES_MAX, 0)),
                };
                self.decode(input)
            }
            Wire::V3(codec) => codec.decode(input).map_err(breach)?.map(|(packet, _)| from::v3(packet)).transpose(),
            Wire::V5(codec) => codec.decode(input).map_err(breach)?.map(|(packet, _)| from::v5(packet)).transpose(),
        }
    }

    /// After a CONNECT that was taken: larger packets in, and none out that the client would not take.
    pub(crate) fn widen(&mut self, packet_max: u32) {
        match self {
            Wire::Unknown => {}
            Wire::V3(codec) => codec.set_max_size(PACKET_BYTES_MAX),
            Wire::V5(codec) => {
                codec.set_max_inbound_size(PACKET_BYTES_MAX);
                codec.set_max_outbound_size(packet_max);
            }
        }
    }

    /// False: the packet is larger than the client takes, or means nothing in its version.
    pub(crate) fn encode(&mut self, reply: Reply, out: &mut BytesMut) -> bool {
        let before = out.len();
        let done = match self {
            Wire::Unknown => false,
            Wire::V3(codec) => to::v3(codec, reply, out),
            Wire::V5(codec) => to::v5(codec, reply, out),
        };
        if !done {
            out.truncate(before);
        }
        done
    }
}

fn breach(error: DecodeError) -> Breach {
    let reason = match error {
        DecodeError::MaxSizeExceeded { .. } => Reason::TooLarge,
        DecodeError::InvalidClientId => Reason::ClientInvalid,
        _ => Reason::Malformed,
    };
    Breach::new(reason, format!("{error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(bytes: &[u8]) -> Result<Option<Packet>, Breach> {
        Wire::Unknown.decode(&mut BytesMut::from(bytes))
    }

    #[test]
    fn hostile_beginnings_are_refused() {
        let check = |bytes: &[u8]| assert!(fed(bytes).is_err(), "{bytes:?}");
        check(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        // A PUBLISH before any CONNECT.
        check(b"\x30\x05\x00\x01ahi");
        // A length of five bytes, and one of 256 MB.
        check(b"\x10\xff\xff\xff\xff\x7f\x00\x04MQTT\x04");
        check(b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\x02\x00\x3c\x00\x00");
        // A version that is none.
        check(b"\x10\x0c\x00\x04MQTT\x09\x02\x00\x3c\x00\x00");
        // A client id that is no UTF-8.
        check(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02\xff\xfe");
        // A byte at a time is no breach.
        assert!(fed(b"\x10\x0c\x00").unwrap().is_none());
    }

    #[test]
    fn both_versions_connect() {
        let Ok(Some(Packet::Connect(old))) = fed(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a") else { panic!("3.1.1") };
        assert_eq!((old.client.as_str(), old.clean, old.keep_alive_s, old.expiry_s), ("a", true, 60, 0));
        let Ok(Some(Packet::Connect(new))) = fed(b"\x10\x13\x00\x04MQTT\x05\x00\x00\x0a\x05\x11\x00\x00\x00\x09\x00\x01b") else {
            panic!("5")
        };
        assert_eq!((new.client.as_str(), new.clean, new.keep_alive_s, new.expiry_s), ("b", false, 10, 9));
    }
}
