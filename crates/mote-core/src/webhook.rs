//! Webhooks, both ways: where events are posted to, and what is posted here.
//!
//! Out: an [`Endpoint`] is a destination; what waits for it is a [`Dispatch`], and each attempt is
//! signed by [`sign`]. In: an [`Inlet`] is a route of a function, and [`verify`] says who may post to it.
//! Pure: sockets are a trigger's (`webhook.rs` of mote-triggers), who connects is [`Dial`]'s.

pub mod receive;
pub mod sign;
pub mod verify;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::BoxFuture;
use crate::clock::Id;
use crate::clock::Timestamp;
use crate::egress::Egress;
use crate::engine::Connection;
use crate::error::{Code, Error, Result};
use crate::event::StoredEvent;
use crate::function::Name;
use crate::function::delivery::Retry;
use crate::invoke::deliver::parcel::Wish;
use crate::store::{Item, Once};
use crate::topic::Subscribed;

pub use verify::Inlet;

/// The queues of what is to be posted begin with this; each host of a namespace has one of its own,
/// so that one that is slow holds up nobody else.
pub const QUEUES: &str = "webhook/";
const URL_BYTES_MAX: usize = 2048;
const ONCE_KEPT_MS: u64 = 24 * 3_600_000;

/// Where events are posted to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub url: HookUrl,
    /// Signs what is posted; by name, since a value is looked up at each attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Name>,
    /// What may be connected to: the public internet, or these.
    #[serde(default, skip_serializing_if = "is_public")]
    pub egress: Egress,
    #[serde(default, skip_serializing_if = "Mode::is_default")]
    pub mode: Mode,
}

fn is_public(egress: &Egress) -> bool {
    *egress == Egress::Public
}

/// How an event is laid into the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Attributes are headers, the data is the body.
    #[default]
    Binary,
    /// All of it is one JSON object.
    Structured,
}

impl Mode {
    fn is_default(&self) -> bool {
        *self == Mode::Binary
    }
}

impl Endpoint {
    pub fn new(url: HookUrl) -> Endpoint {
        Endpoint { url, secret: None, egress: Egress::Public, mode: Mode::Binary }
    }
}

/// `http` or `https`, a host, a path: nothing that belongs into no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HookUrl {
    pub tls: bool,
    /// In lower case; an address of IPv6 without its brackets.
    pub host: String,
    pub port: u16,
    /// With the query.
    pub path: String,
}

impl HookUrl {
    /// For the `Host` header; a port that goes without saying is not said.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }
}

impl FromStr for HookUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<HookUrl> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(80).collect();
            Error::new(Code::DestinationInvalid, format!("{shown:?} is no URL that events can be posted to: {why}"))
                .hint("Such as https://hooks.example.com/orders.")
        };
        if text.len() > URL_BYTES_MAX {
            return Err(wrong("it is longer than 2048 bytes"));
        }
        let uri: http::Uri = text.parse().map_err(|_| wrong("it can't be read"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("http or https is wanted")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a user and password belong into a secret"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
            return Err(wrong("its host is none"));
        }
        // The library's own reading takes a number that is no port for none.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") if tls => 443,
            Some("") => 80,
            rest => {
                let port = rest.and_then(|rest| rest.strip_prefix(':')?.parse::<u16>().ok());
                port.filter(|port| *port > 0).ok_or_else(|| wrong("its port is none"))?
            }
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(HookUrl { tls, host, port, path })
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.path)
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<HookUrl> for String {
    fn from(url: HookUrl) -> String {
        url.to_string()
    }
}

impl TryFrom<String> for HookUrl {
    type Error = Error;

    fn try_from(text: String) -> Result<HookUrl> {
        text.parse()
    }
}

/// What an item of [`QUEUES`] holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispatch {
    pub namespace: Name,
    pub to: Endpoint,
    pub accepted: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The subscription that it is for: it ends once the receiver wants no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Subscribed>,
    pub event: StoredEvent,
}

impl Dispatch {
    pub fn into_item(self, id: Id, wish: Wish) -> Item {
        let queue = format!("{QUEUES}{}/{}", self.namespace, self.to.url.authority());
        let this = Dispatch { retry: wish.retry.or(self.retry), ..self };
        let payload = serde_json::to_vec(&this).expect("a dispatch is plain data");
        let until = Timestamp(this.accepted.0.saturating_add(ONCE_KEPT_MS));
        Item {
            priority: wish.priority,
            once: wish.idempotency_key.map(|key| Once { key, until }),
            ..Item::new(id, queue, wish.due.unwrap_or(this.accepted), payload)
        }
    }
}

/// The seam of a connection to the outside: judged by rules before it is made, and made to the
/// address that was judged. With TLS, for the host's name, where the URL has it.
pub trait Dial: Send + Sync {
    fn dial<'a>(&'a self, to: &'a HookUrl, egress: &'a Egress) -> BoxFuture<'a, Result<Box<dyn Connection>>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written_alike() {
        let check = |text: &str, expect: Option<&str>| {
            let read = text.parse::<HookUrl>().ok().map(|url| url.to_string());
            assert_eq!(read.as_deref(), expect, "{text:?}");
        };
        check("https://hooks.example.com/a?b=c", Some("https://hooks.example.com/a?b=c"));
        check("https://Hooks.Example.com:443", Some("https://hooks.example.com/"));
        check("http://127.0.0.1:8000/x", Some("http://127.0.0.1:8000/x"));
        check("http://[::1]:80/x", Some("http://[::1]/x"));
        check("https://example.com./", Some("https://example.com/"));
        for bad in [
            "",
            "example.com",
            "ftp://example.com/",
            "https://",
            "https://u:p@example.com/",
            "https:///x",
            "https://a:0/",
            "https://a:99999/",
            "https://a b/",
            "https://ä/",
            "file:///etc/passwd",
        ] {
            check(bad, None);
        }
        check(&format!("https://example.com/{}", "x".repeat(2048)), None);
    }
}
