//! The wire of DNS (RFC 1035), as far as a jail asks and mote answers: one question, plain records.
//!
//! What a jail sends is hostile. A name in a question is never compressed, so nothing here follows
//! a pointer. What the answer is, is [`super::resolver`]'s business.

use std::net::{IpAddr, Ipv4Addr};

const HEADER_BYTES: usize = 12;
const NAME_BYTES_MAX: usize = 255;
/// A question that carries more than this, options and all, is not an honest one.
pub const MESSAGE_BYTES_MAX: usize = 1232;
const INTERNET: u16 = 1;
const RESPONSE: u16 = 1 << 15;
const OPCODE: u16 = 0b1111 << 11;
const AUTHORITATIVE: u16 = 1 << 10;
const RECURSION_DESIRED: u16 = 1 << 8;
const RECURSION_AVAILABLE: u16 = 1 << 7;
/// The place of the question's name in every answer.
const POINTER_TO_NAME: [u8; 2] = [0xc0, HEADER_BYTES as u8];
/// Synthetic addresses outlive this by far, and a name that comes to be is found soon.
const TTL_SECONDS: u32 = 30;

/// What a jail asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    id: u16,
    flags: u16,
    /// In lower case, without the final dot; the root is empty.
    pub name: String,
    pub kind: u16,
    class: u16,
    /// Name, type and class as they came: an answer repeats them.
    asked: Vec<u8>,
}

/// Types that mote knows something of.
pub mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const CAA: u16 = 257;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Address(IpAddr),
    Name(String),
    /// The name is there, and has nothing of that type.
    Nothing,
    NoSuchName,
    /// Somebody else could not be asked: try again.
    Failed,
}

/// `Err` is the answer to what is no question for us; empty if it deserves none.
pub fn read(message: &[u8]) -> Result<Question, Vec<u8>> {
    const FORMAT: u8 = 1;
    const NOT_IMPLEMENTED: u8 = 4;
    let (Some(id), Some(flags), Some(questions)) = (word(message, 0), word(message, 2), word(message, 4)) else {
        return Err(Vec::new());
    };
    if message.len() < HEADER_BYTES || flags & RESPONSE != 0 {
        return Err(Vec::new());
    }
    let refuse = |code: u8| head(id, flags, code, 0, 0);
    if flags & OPCODE != 0 {
        return Err(refuse(NOT_IMPLEMENTED));
    }
    let read = (message.len() <= MESSAGE_BYTES_MAX && questions == 1).then(|| question(message)).flatten();
    let (name, kind, class, asked) = read.ok_or_else(|| refuse(FORMAT))?;
    if class != INTERNET {
        return Err(refuse(NOT_IMPLEMENTED));
    }
    Ok(Question { id, flags, name, kind, class, asked })
}

fn question(message: &[u8]) -> Option<(String, u16, u16, Vec<u8>)> {
    let mut at = HEADER_BYTES;
    let mut name = String::new();
    loop {
        let length = usize::from(*message.get(at)?);
        let label = message.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        // Above 63 it is a pointer, or something that nobody defined.
        if length > 63 || at - HEADER_BYTES > NAME_BYTES_MAX {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        // Anything may stand in a label; what is no host name matches no rule and no function.
        name.extend(
            label.iter().map(|byte| if byte.is_ascii() && *byte != b'.' { char::from(byte.to_ascii_lowercase()) } else { '\u{fffd}' }),
        );
    }
    Some((name, word(message, at)?, word(message, at + 2)?, message.get(HEADER_BYTES..at + 4)?.to_vec()))
}

impl Question {
    /// The address that a reverse name asks for; IPv4 only, since no jail has others.
    pub fn reverse(&self) -> Option<Ipv4Addr> {
        let mut parts = self.name.strip_suffix(".in-addr.arpa")?.split('.').map(|part| part.parse::<u8>().ok());
        let (d, c, b, a) = (parts.next()??, parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(Ipv4Addr::new(a, b, c, d))
    }

    pub fn answer(&self, answer: &Answer) -> Vec<u8> {
        const SERVER_FAILURE: u8 = 2;
        const NO_SUCH_NAME: u8 = 3;
        let (code, record) = match answer {
            Answer::Address(IpAddr::V4(address)) => (0, Some((kind::A, address.octets().to_vec()))),
            Answer::Address(IpAddr::V6(address)) => (0, Some((kind::AAAA, address.octets().to_vec()))),
            Answer::Name(name) => (0, labels(name).map(|name| (kind::PTR, name))),
            Answer::Nothing => (0, None),
            Answer::NoSuchName => (NO_SUCH_NAME, None),
            Answer::Failed => (SERVER_FAILURE, None),
        };
        let mut bytes = head(self.id, self.flags, code, 1, u16::from(record.is_some()));
        bytes.extend_from_slice(&self.asked);
        if let Some((kind, data)) = record {
            bytes.extend_from_slice(&POINTER_TO_NAME);
            bytes.extend_from_slice(&kind.to_be_bytes());
            bytes.extend_from_slice(&self.class.to_be_bytes());
            bytes.extend_from_slice(&TTL_SECONDS.to_be_bytes());
            bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&data);
        }
        bytes
    }

    /// The same question as somebody else is asked it: nothing of the jail's but name and type.
    pub fn forwarded(&self, id: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.asked.len());
        for word in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&self.asked);
        bytes
    }

    /// What the other said to [`Question::forwarded`], if it is an answer to that: under the jail's own number.
    pub fn relayed(&self, id: u16, mut reply: Vec<u8>) -> Option<Vec<u8>> {
        let fits = word(&reply, 0)? == id && word(&reply, 2)? & RESPONSE != 0 && word(&reply, 4)? == 1;
        let same = reply.get(HEADER_BYTES..HEADER_BYTES + self.asked.len())?.eq_ignore_ascii_case(&self.asked);
        reply.get_mut(..2)?.copy_from_slice(&self.id.to_be_bytes());
        (fits && same).then_some(reply)
    }
}

fn head(id: u16, flags: u16, code: u8, questions: u16, answers: u16) -> Vec<u8> {
    let flags = RESPONSE | AUTHORITATIVE | (flags & RECURSION_DESIRED) | RECURSION_AVAILABLE | u16::from(code);
    [id, flags, questions, answers, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect()
}

fn labels(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    (bytes.len() <= NAME_BYTES_MAX).then_some(bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
