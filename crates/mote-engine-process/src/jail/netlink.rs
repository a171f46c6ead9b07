//! The bytes by which the kernel is told of a network: messages with attributes, and its answers.
//!
//! The few messages that a jail needs, and nothing of a general client: no dump, no multicast. What
//! is said with them stands in [`super::network`].

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

const HEADER_BYTES: usize = 16;
const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
/// Far more than an answer with one route or one error has.
const ANSWER_BYTES_MAX: usize = 8 << 10;
/// Set on the type of an attribute that holds attributes.
const NESTED: u16 = 1 << 15;

/// Messages that go out together.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    messages: u32,
    /// The numbers of those that the kernel is to answer.
    awaited: Vec<u32>,
}

impl Batch {
    /// Adds a message that the kernel confirms.
    pub(crate) fn tell(&mut self, kind: u16, flags: u16, body: &[u8]) -> &mut Batch {
        self.awaited.push(self.messages);
        self.push(kind, flags | ACK, body)
    }

    /// Adds one that is not answered by itself.
    pub(crate) fn push(&mut self, kind: u16, flags: u16, body: &[u8]) -> &mut Batch {
        let length = (HEADER_BYTES + body.len()) as u32;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(REQUEST | flags).to_ne_bytes());
        self.bytes.extend_from_slice(&self.messages.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(body);
        pad(&mut self.bytes);
        self.messages += 1;
        self
    }

    /// Sends all of it, and waits until the kernel has confirmed each, or refused one.
    pub(crate) fn send(mut self, socket: &OwnedFd) -> io::Result<()> {
        rustix::net::send(socket, &self.bytes, SendFlags::empty())?;
        while !self.awaited.is_empty() {
            let answer = receive(socket)?;
            for message in messages(&answer) {
                if message.kind == libc::NLMSG_ERROR as u16 {
                    message.refusal()?;
                    self.awaited.retain(|number| *number != message.number);
                }
            }
        }
        Ok(())
    }
}

/// Links, addresses and routes: their number is 0, which is what no choice means too.
pub(crate) const ROUTE: Option<Protocol> = None;

/// A socket to that part of the kernel.
pub(crate) fn open(protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

/// Asks one question and gives the body of its answer.
pub(crate) fn ask(socket: &OwnedFd, kind: u16, body: &[u8], answer: u16) -> io::Result<Vec<u8>> {
    let mut question = Batch::default();
    question.push(kind, 0, body);
    rustix::net::send(socket, &question.bytes, SendFlags::empty())?;
    let bytes = receive(socket)?;
    for message in messages(&bytes) {
        if message.kind == libc::NLMSG_ERROR as u16 {
            message.refusal()?;
        } else if message.kind == answer {
            return Ok(message.body.to_vec());
        }
    }
    Err(io::Error::other("the kernel answered something else"))
}

fn receive(socket: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; ANSWER_BYTES_MAX];
    let (_, got) = rustix::net::recv(socket, bytes.as_mut_slice(), RecvFlags::TRUNC)?;
    if got == 0 || got > bytes.len() {
        return Err(io::Error::other("an answer of the kernel is not whole"));
    }
    bytes.truncate(got);
    Ok(bytes)
}

struct Message<'a> {
    kind: u16,
    number: u32,
    body: &'a [u8],
}

impl Message<'_> {
    /// The error that it reports; 0 is a confirmation.
    fn refusal(&self) -> io::Result<()> {
        match word(self.body, 0).map(|code| code as i32) {
            Some(0) => Ok(()),
            Some(code) => Err(Errno::from_raw_os_error(code.saturating_neg()).into()),
            None => Err(io::Error::other("an answer of the kernel is not whole")),
        }
    }
}

fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = word(bytes, 0)? as usize;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let number = word(bytes, 8)?;
        let body = bytes.get(HEADER_BYTES..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, number, body })
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// One attribute.
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 8);
    bytes.extend_from_slice(&((value.len() + 4) as u16).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    pad(&mut bytes);
    bytes
}

/// One attribute with a text, which ends with a zero.
pub(crate) fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), b"\0"].concat())
}

/// One attribute with a number in network order, as the packet filter has them.
pub(crate) fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

/// One attribute that holds others.
pub(crate) fn nested(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &attributes.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_length_is_not() {
        let (one, tail) = (attribute(7, b"abcde"), text(1, "lo"));
        assert_eq!(one, [&9u16.to_ne_bytes()[..], &7u16.to_ne_bytes(), b"abcde\0\0\0"].concat());
        assert_eq!(tail, [&7u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"lo\0\0"].concat());
        let both = nested(2, &[one, tail]);
        assert_eq!(both.len(), 4 + 12 + 8);
        assert_eq!(&both[2..4], &(2u16 | NESTED).to_ne_bytes());
    }

    #[test]
    fn answers_are_told_apart_and_broken_ones_end_the_list() {
        let mut batch = Batch::default();
        batch.tell(libc::NLMSG_ERROR as u16, 0, &(-95i32).to_ne_bytes()).tell(3, 0, b"x");
        let read: Vec<_> = messages(&batch.bytes).collect();
        assert_eq!(read.iter().map(|m| (m.kind, m.number, m.body.len())).collect::<Vec<_>>(), [(2, 0, 4), (3, 1, 1)]);
        assert_eq!(read[0].refusal().unwrap_err().raw_os_error(), Some(95));
        for end in 0..batch.bytes.len() {
            messages(&batch.bytes[..end]).for_each(|message| drop(message.refusal()));
        }
        assert_eq!(messages(&[0; 64]).count(), 0, "a length below the header's own");
    }

    /// Needs no right, and what it asks of is the same everywhere.
    #[test]
    fn the_kernel_refuses_what_it_does_not_know() {
        let socket = open(ROUTE).unwrap();
        let mut batch = Batch::default();
        batch.tell(0x7ff0, 0, &[]);
        assert_eq!(batch.send(&socket).unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP));
    }
}
