//! What a function may reach outside of mote: the rules of `egress`, as a manifest writes them.
//!
//! Judged by whoever carries the connections, an engine; nothing here resolves a name or opens a
//! socket. Addresses of the host and of private networks are never part of `public`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// The rule of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    None,
    /// Every public address, at every port.
    #[default]
    Public,
    /// These alone.
    Rules(Vec<Rule>),
}

/// `host:port`, `*.example.com:443`, `10.1.0.0/16:5432`; `*` is any port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rule {
    pub host: HostPattern,
    /// `None`: every port.
    pub port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Lower case, without a final dot.
    Name(String),
    /// `*.example.com`: every name below, not the name itself.
    Below(String),
    /// An address, or a network by the length of its prefix.
    Net { address: std::net::IpAddr, prefix: u8 },
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPattern::Name(name) => write!(f, "{name}")?,
            HostPattern::Below(name) => write!(f, "*.{name}")?,
            HostPattern::Net { address, prefix } => match (address, prefix) {
                (std::net::IpAddr::V4(address), 32) => write!(f, "{address}")?,
                (std::net::IpAddr::V6(address), 128) => write!(f, "[{address}]")?,
                (std::net::IpAddr::V4(address), prefix) => write!(f, "{address}/{prefix}")?,
                (std::net::IpAddr::V6(address), prefix) => write!(f, "[{address}/{prefix}]")?,
            },
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":*"),
        }
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> String {
        rule.to_string()
    }
}

impl TryFrom<String> for Rule {
    type Error = Error;

    fn try_from(text: String) -> Result<Rule> {
        text.parse()
    }
}

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Rule> {
        let wrong = || {
            let shown: String = text.chars().take(100).collect();
            Error::new(Code::ManifestInvalid, format!("{shown:?} is no rule of `egress`"))
                .hint("Write `host:port`, `*.example.com:443`, `10.1.0.0/16:5432` or `[fd00::/8]:443`; the port may be `*`.")
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = match port {
            "*" => None,
            port => Some(port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?),
        };
        Ok(Rule { host: HostPattern::read(host).ok_or_else(wrong)?, port })
    }
}

impl HostPattern {
    fn read(text: &str) -> Option<HostPattern> {
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let (address, prefix) = match bracketed.unwrap_or(text).split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (bracketed.unwrap_or(text), None),
        };
        if let Ok(address) = address.parse::<std::net::IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.unwrap_or(most);
            return (prefix <= most && address.is_ipv6() == bracketed.is_some()).then_some(HostPattern::Net { address, prefix });
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let label = |label: &str| {
            !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let good = name.len() <= 253 && name.split('.').all(label) && !name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let name = name.to_ascii_lowercase();
        good.then_some(if below { HostPattern::Below(name) } else { HostPattern::Name(name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_written_alike() {
        let check = |text: &str, good: bool| {
            let rule = text.parse::<Rule>();
            assert_eq!(rule.is_ok(), good, "{text:?}");
            if let Ok(rule) = rule {
                assert_eq!(rule.to_string(), text);
            }
        };
        check("example.com:443", true);
        check("*.example.com:443", true);
        check("example.com:*", true);
        check("10.0.0.0/8:5432", true);
        check("127.0.0.1:80", true);
        check("[::1]:80", true);
        check("[fd00::/8]:*", true);
        check("example.com", false);
        check("example.com:0", false);
        check("*:443", false);
        check("a.*.com:443", false);
        check("10.0.0.0/33:1", false);
        check("::1:80", false);
        check("1.2.3:80", false);
        check("a..b:80", false);
    }
}
