//! The packets' readers alone, for the fuzz target: nothing else can call it without a connection.

use bytes::BytesMut;

use crate::wire::client::ClientWire;
use crate::wire::{PACKET_BYTES_MAX, Packet, Wire};

/// Reads whatever a client, or the other broker of a bridge, may send, and says how many packets it was as a client's.
pub fn packets(data: &[u8]) -> usize {
    let (mut wire, mut input) = (ClientWire::new(), BytesMut::from(data));
    while let Ok(Some(_)) = wire.hear(&mut input) {}
    let (mut wire, mut input, mut count) = (Wire::Unknown, BytesMut::from(data), 0);
    while let Ok(Some(packet)) = wire.decode(&mut input) {
        count += 1;
        match packet {
            Packet::Connect(connect) => wire.widen(connect.packet_max),
            Packet::Publish(publish) => {
                assert!(publish.draft.payload.len() <= PACKET_BYTES_MAX as usize);
                let topic = publish.topic.clone();
                if let Ok(message) = publish.draft.into_message(&topic, None) {
                    assert!(!message.topic.as_str().contains(['+', '#', '\0']), "{topic:?}");
                }
            }
            Packet::Subscribe { filters, .. } => {
                for (text, _) in filters {
                    if let Ok((_, filter)) = crate::space::parted(&text) {
                        assert!(!filter.as_str().is_empty());
                    }
                }
            }
            _ => {}
        }
        // A packet has two bytes at least, so this ends.
        assert!(count <= data.len());
    }
    count
}
