//! A device of MQTT 3.1.1, packet by packet: a test must be able to stop half-way, which no client library would.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::harness::connect;

pub(super) struct Device {
    pub(super) stream: TcpStream,
}

/// What the broker says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    ConnAck { present: bool, code: u8 },
    Publish { qos: u8, id: u16, topic: String, payload: Vec<u8> },
    PubAck(u16),
    Other(u8),
}

impl Device {
    /// With the session that was there before.
    pub(super) fn returning(address: &str, client: &str, token: &str) -> Device {
        Device::with(address, client, token, 0b1100_0000)
    }

    pub(super) fn fresh(address: &str, client: &str, token: &str) -> Device {
        Device::with(address, client, token, 0b1100_0010)
    }

    fn with(address: &str, client: &str, token: &str, flags: u8) -> Device {
        let mut device = Device { stream: connect(address) };
        let body = [text("MQTT"), vec![4, flags, 0, 0], text(client), text("default"), text(token)].concat();
        device.send(0x10, &body).expect("the broker listens");
        let greeted = device.hear();
        assert!(matches!(greeted, Some(Said::ConnAck { code: 0, .. })), "{greeted:?}");
        device
    }

    pub(super) fn send(&mut self, head: u8, body: &[u8]) -> std::io::Result<()> {
        let (mut packet, mut length) = (vec![head], body.len());
        loop {
            let more = length > 127;
            packet.push((length % 128) as u8 | if more { 128 } else { 0 });
            length /= 128;
            if !more {
                break;
            }
        }
        packet.extend_from_slice(body);
        self.stream.write_all(&packet)
    }

    pub(super) fn publish(&mut self, topic: &str, payload: &[u8], id: u16) -> std::io::Result<()> {
        self.send(0x32, &[text(topic), id.to_be_bytes().to_vec(), payload.to_vec()].concat())
    }

    pub(super) fn subscribe(&mut self, filter: &str, qos: u8) {
        self.send(0x82, &[vec![0, 1], text(filter), vec![qos]].concat()).expect("the broker listens");
        assert_eq!(self.hear(), Some(Said::Other(0x90)), "no SUBACK for {filter}");
    }

    pub(super) fn acknowledge(&mut self, id: u16) -> std::io::Result<()> {
        self.send(0x40, &id.to_be_bytes())
    }

    /// The next packet; `None`: the connection is over.
    pub(super) fn hear(&mut self) -> Option<Said> {
        let (mut head, mut length, mut shift) = ([0; 1], 0, 0);
        self.stream.read_exact(&mut head).ok()?;
        loop {
            let mut byte = [0; 1];
            self.stream.read_exact(&mut byte).ok()?;
            length |= usize::from(byte[0] & 127) << shift;
            shift += 7;
            if byte[0] & 128 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        let number = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        Some(match head[0] >> 4 {
            2 => Said::ConnAck { present: body[0] == 1, code: body[1] },
            3 => {
                let (qos, end) = (head[0] >> 1 & 3, 2 + usize::from(number(0)));
                let topic = String::from_utf8(body[2..end].to_vec()).expect("a topic is UTF-8");
                let (id, start) = if qos == 0 { (0, end) } else { (number(end), end + 2) };
                Said::Publish { qos, id, topic, payload: body[start..].to_vec() }
            }
            4 => Said::PubAck(number(0)),
            _ => Said::Other(head[0]),
        })
    }
}

fn text(text: &str) -> Vec<u8> {
    [(text.len() as u16).to_be_bytes().to_vec(), text.as_bytes().to_vec()].concat()
}
