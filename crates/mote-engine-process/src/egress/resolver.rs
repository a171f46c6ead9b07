//! The name server of one jail: siblings, what `egress` allows, and nothing else.
//!
//! mote looks outside names up as the host does (its `/etc/hosts`, its name servers) and keeps what
//! it found to itself: the jail gets an address of [`super::names`]. Records that are no addresses
//! (MX, TXT, SRV and their kind) come from the host's name servers as they are.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

use super::dns::{self, Answer, Question, kind};
use super::{Meant, Outward, judge, lock};

/// The domain in which functions are, for programs that insist on a dot.
const DOMAIN: &str = ".mote";
const LOOKUP_TIME_MAX: Duration = Duration::from_secs(10);
/// For one of the host's name servers.
const FORWARD_TIME_MAX: Duration = Duration::from_secs(3);
const SERVERS_MAX: usize = 3;
const FORWARDED: &[u16] = &[kind::NS, kind::SOA, kind::MX, kind::TXT, kind::SRV, kind::CAA];
const LOOPBACK_REVERSE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What a host name means in a jail.
enum Host {
    Loopback,
    Known,
    Outside,
    /// No name that a host could have.
    Nobody,
}

impl Outward {
    /// The answer to one message; empty if there is none to give.
    pub(super) async fn answer(&self, message: &[u8]) -> Vec<u8> {
        let question = match dns::read(message) {
            Ok(question) => question,
            Err(refusal) => return refusal,
        };
        if FORWARDED.contains(&question.kind) && self.may_forward(&question.name) {
            return match self.forward(&question).await {
                Some(reply) => reply,
                None => question.answer(&Answer::Failed),
            };
        }
        question.answer(&self.find(&question).await)
    }

    async fn find(&self, question: &Question) -> Answer {
        let name = question.name.as_str();
        if question.kind == kind::PTR && name.ends_with(".arpa") {
            return match question.reverse() {
                Some(LOOPBACK_REVERSE) => Answer::Name("localhost".to_owned()),
                Some(address) => self.named(address).map_or(Answer::NoSuchName, Answer::Name),
                None => Answer::NoSuchName,
            };
        }
        match (self.host(name), question.kind) {
            (Host::Nobody, _) => Answer::NoSuchName,
            (Host::Loopback, kind::A) => Answer::Address(Ipv4Addr::LOCALHOST.into()),
            (Host::Loopback, kind::AAAA) => Answer::Address(Ipv6Addr::LOCALHOST.into()),
            (Host::Known, kind::A) => Answer::Address(self.stands_for(name).into()),
            (Host::Outside, kind::A) => match self.look_up(name).await {
                Ok(_) => Answer::Address(self.stands_for(name).into()),
                Err(Unfound::NoSuchName) => Answer::NoSuchName,
                Err(Unfound::Failed) => Answer::Failed,
            },
            (Host::Loopback | Host::Known | Host::Outside, _) => Answer::Nothing,
        }
    }

    /// Also tells the log of a name that no rule has.
    fn host(&self, name: &str) -> Host {
        if name == "localhost" || name == "mote" || name.ends_with(".localhost") {
            return Host::Loopback;
        }
        if name != judge::HOST && self.sibling(name).is_some() {
            if self.sealed {
                self.deny(name, "this host has no nf_tables with tproxy, by which functions reach one another");
                return Host::Nobody;
            }
            return Host::Known;
        }
        if !is_host_name(name) {
            return Host::Nobody;
        }
        match judge::may_look_up(&self.function.egress, name) {
            Ok(()) => Host::Outside,
            Err(why) => {
                self.deny(name, &why);
                Host::Nobody
            }
        }
    }

    fn sibling(&self, name: &str) -> Option<mote_core::function::Name> {
        let label = name.strip_suffix(DOMAIN).unwrap_or(name);
        // Else a function could stand in the way of a host of the same name.
        if label.contains('.') && label.len() == name.len() {
            return None;
        }
        self.gateway.sibling(&self.function, label)
    }

    /// What a name of this jail's stands for right now.
    pub(super) fn meaning(&self, name: String) -> Meant {
        match self.sibling(&name) {
            Some(function) if name != judge::HOST => Meant::Sibling(function),
            Some(_) | None => Meant::Name(name),
        }
    }

    /// Where an allowed name leads, asked of the host no more than twice a minute.
    pub(super) async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, Unfound> {
        if name == judge::HOST {
            return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
        }
        let now = self.clock.monotonic();
        if let Some(known) = lock(&self.found).get(name, now) {
            return Ok(known);
        }
        let places = tokio::select! {
            places = self.places() => places,
            // Others hold them all, by names that nobody answers for.
            () = self.clock.sleep(LOOKUP_TIME_MAX) => return Err(Unfound::Failed),
        };
        let asked = name.to_owned();
        // A task of its own: the host's resolver can't be stopped, and holds its places till it ends.
        let looking = tokio::spawn(async move {
            let _places = places;
            let found = tokio::net::lookup_host((asked.as_str(), 0)).await;
            found.map(|addresses| addresses.map(|address| address.ip()).collect::<Vec<_>>())
        });
        let looked_up = tokio::select! {
            looked_up = looking => looked_up.map_err(|_| Unfound::Failed)?,
            () = self.clock.sleep(LOOKUP_TIME_MAX) => return Err(Unfound::Failed),
        };
        let addresses = match looked_up {
            Ok(addresses) => addresses,
            Err(error) if is_temporary(&error) => return Err(Unfound::Failed),
            Err(_) => return Err(Unfound::NoSuchName),
        };
        if addresses.is_empty() {
            return Err(Unfound::NoSuchName);
        }
        lock(&self.found).put(name, now, &addresses);
        Ok(addresses)
    }

    /// A jail asks no more than so much at a time, nor do all of one function, nor all there are.
    async fn places(&self) -> impl Sized + Send + use<> {
        (self.asking.clone().acquire_owned().await, self.shared.lookups.take(&self.reference).await)
    }

    fn may_forward(&self, name: &str) -> bool {
        name != judge::HOST && matches!(self.host(name), Host::Outside)
    }

    /// The answer of the first of the host's name servers that gives one.
    async fn forward(&self, question: &Question) -> Option<Vec<u8>> {
        let _places = self.places().await;
        let configuration = crate::engine::blocking(|| std::fs::read_to_string("/etc/resolv.conf")).await.ok()?;
        for server in servers(&configuration).take(SERVERS_MAX) {
            let [high, low, ..] = self.clock.random().ok()?;
            let id = u16::from_be_bytes([high, low]);
            let asked = tokio::select! {
                reply = exchange(server, question.forwarded(id)) => reply,
                () = self.clock.sleep(FORWARD_TIME_MAX) => continue,
            };
            if let Some(reply) = asked.ok().and_then(|reply| question.relayed(id, reply)) {
                return Some(reply);
            }
        }
        None
    }
}

pub(super) enum Unfound {
    NoSuchName,
    Failed,
}

/// The host's resolver tells by text alone whether asking again can help.
fn is_temporary(error: &io::Error) -> bool {
    let text = error.to_string();
    text.contains("Temporary failure") || text.contains("Try again")
}

async fn exchange(server: SocketAddr, message: Vec<u8>) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A port of its own for each question, which whoever forges an answer would have to guess.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&message).await?;
    let mut reply = vec![0; dns::MESSAGE_BYTES_MAX];
    let length = socket.recv(&mut reply).await?;
    reply.truncate(length);
    Ok(reply)
}

/// The lines `nameserver ADDRESS` of the host's configuration.
fn servers(configuration: &str) -> impl Iterator<Item = SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then_some(())?;
        Some(SocketAddr::new(words.next()?.parse().ok()?, 53))
    };
    configuration.lines().filter_map(address)
}

/// What may be asked of the host's resolver: it would read other things as addresses, or as more.
pub(super) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(label) && last.starts_with(|first: char| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_names_are_asked_of_the_host() {
        let check = |name: &str, expect: bool| assert_eq!(is_host_name(name), expect, "{name:?}");
        check("api.example.com", true);
        check("_mongodb._tcp.db-1.example", true);
        check("db", true);
        check("", false);
        check("127.0.0.1", false);
        check("127.1", false);
        check("2130706433", false);
        check("0x7f.0x1", false);
        check("a..b", false);
        check("a b", false);
        check("a\0b", false);
        check("a/b", false);
        check("-oops", true);
        check(&"a".repeat(64), false);
        check(&"a.".repeat(127), false);
    }

    #[test]
    fn the_hosts_name_servers_are_read() {
        let text = "# nameserver 9.9.9.9\nsearch example.com\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \nnameserver x\nnameserver\n";
        let read: Vec<_> = servers(text).map(|server| server.to_string()).collect();
        assert_eq!(read, ["192.0.2.1:53", "[2001:db8::1]:53"]);
    }
}
