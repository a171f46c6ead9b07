//! A name server that knows a handful of names, one of which changes its mind.
//!
//! Answers one question with A or AAAA records; whatever else it is asked does not exist.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use super::hosts::Seen;

/// Its answers take turns, from one question to the next.
const NAMES: &[(&str, &[&[IpAddr]])] = &[
    ("allowed.test", &[&[v4(93, 184, 216, 34)]]),
    ("also.allowed.test", &[&[v4(93, 184, 216, 36)]]),
    ("forbidden.test", &[&[v4(93, 184, 216, 35)]]),
    ("private.test", &[&[v4(10, 0, 0, 5)]]),
    ("metadata.test", &[&[v4(169, 254, 169, 254)]]),
    ("loopback.test", &[&[v4(127, 0, 0, 1)]]),
    ("rebind.test", &[&[v4(93, 184, 216, 34)], &[v4(127, 0, 0, 1)]]),
    ("mixed.test", &[&[v4(93, 184, 216, 34), v4(127, 0, 0, 1), v4(10, 0, 0, 5)]]),
    ("mapped.test", &[&[IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()), IpAddr::V6(Ipv6Addr::LOCALHOST)]]),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

pub(crate) fn answer(socket: &UdpSocket, seen: &Seen) {
    let mut asked: HashMap<(String, u16), usize> = HashMap::new();
    let mut packet = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        if let Some((name, _)) = question(&packet[..length]) {
            seen.lock().expect("nobody panics with it").insert(format!("name {name}"));
        }
        if let Some(reply) = reply(&packet[..length], &mut asked) {
            let _ = socket.send_to(&reply, from);
        }
    }
}

fn reply(query: &[u8], asked: &mut HashMap<(String, u16), usize>) -> Option<Vec<u8>> {
    let (name, end) = question(query)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    let turns = NAMES.iter().find(|(known, _)| *known == name).map(|(_, turns)| *turns);
    let turn = asked.entry((name, kind)).or_default();
    let addresses = turns.map(|turns| turns[*turn % turns.len()]);
    *turn += 1;
    let records: Vec<&IpAddr> =
        addresses.unwrap_or_default().iter().filter(|address| kind == if address.is_ipv4() { 1 } else { 28 }).collect();

    let mut reply = query.get(..2)?.to_vec();
    // An answer, with recursion; 3 says that there is no such name.
    reply.extend([0x81, if addresses.is_some() { 0x80 } else { 0x83 }]);
    reply.extend([0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    reply.extend(query.get(12..end + 4)?);
    for address in records {
        // The question's name, its kind, class IN, valid for no second.
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 0]);
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        reply.extend((octets.len() as u16).to_be_bytes());
        reply.extend(octets);
    }
    Some(reply)
}

/// The name, and where its kind begins.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
}
