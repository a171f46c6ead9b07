//! Whether a function may connect to an address, and which rule says so. Pure: no socket, no lookup.
//!
//! A name is judged together with the address that it stands for, and only that address is then
//! connected to. What is not public has to be meant: an address, or a network that lies within the
//! special block, allows it; an exact name does for private addresses; a pattern, or a network that
//! is wider than the block, never does. This host itself is reached by its exact address alone, and
//! its loopback also by a name of ours.

use std::net::IpAddr;

use mote_core::egress::{Egress, HostPattern, Rule};

use super::address::{self, Kind};

/// What a function calls the loopback of mote's own host, which for itself is another one.
pub(super) const HOST: &str = "host.mote";

/// Where a function wants to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim<'a> {
    /// What it looked up, in lower case; `None` if it knew the address.
    pub(super) name: Option<&'a str>,
    pub(super) port: u16,
}

/// An address that a name stands for, or that was meant itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) address: IpAddr,
    /// One of this host's own.
    pub(super) here: bool,
}

/// `Err` says why not, naming the rule.
pub(super) fn judge(egress: &Egress, aim: Aim<'_>, found: Found) -> Result<(), String> {
    match egress {
        Egress::None => Err("`egress` is \"none\"".to_owned()),
        Egress::Public if found.here => Err(format!("`egress` is \"public\", and {} is this host itself", found.address)),
        Egress::Public => match address::kind(found.address) {
            Kind::Public => Ok(()),
            kind => Err(format!("`egress` is \"public\", and {} is {}", found.address, kind.text())),
        },
        Egress::Rules(rules) => by_rules(rules, aim, found),
    }
}

/// Whether the name is worth a lookup: some rule may allow it, at whatever port.
pub(super) fn may_look_up(egress: &Egress, name: &str) -> Result<(), String> {
    match egress {
        Egress::None => Err("`egress` is \"none\"".to_owned()),
        Egress::Public => Ok(()),
        Egress::Rules(rules) if rules.iter().any(|rule| covers_name(rule, name) || (name == HOST && is_of_loopback(rule))) => Ok(()),
        Egress::Rules(_) => Err("no rule of `egress` has that name".to_owned()),
    }
}

fn by_rules(rules: &[Rule], aim: Aim<'_>, found: Found) -> Result<(), String> {
    let kind = address::kind(found.address);
    let mut nearly = None;
    for rule in rules.iter().filter(|rule| rule.port.is_none_or(|port| port == aim.port)) {
        let why_not = match &rule.host {
            HostPattern::Net { address, prefix } => match by_net(*address, *prefix, found) {
                Some(why_not) => why_not,
                None => continue,
            },
            _ if !aim.name.is_some_and(|name| covers_name(rule, name)) => continue,
            HostPattern::Name(name) if name == HOST => None,
            _ if found.here => Some("this host itself".to_owned()),
            HostPattern::Name(_) if matches!(kind, Kind::Public | Kind::Private) => None,
            HostPattern::Below(_) if kind == Kind::Public => None,
            HostPattern::Name(_) | HostPattern::Below(_) => Some(kind.text().to_owned()),
        };
        match why_not {
            None => return Ok(()),
            Some(what) => nearly = nearly.or(Some(format!("the rule {rule} does not reach {}, which is {what}", found.address))),
        }
    }
    Err(nearly.unwrap_or_else(|| "no rule of `egress` allows it".to_owned()))
}

fn covers_name(rule: &Rule, name: &str) -> bool {
    match &rule.host {
        HostPattern::Name(host) => host == name,
        HostPattern::Below(domain) => name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        HostPattern::Net { .. } => false,
    }
}

fn is_of_loopback(rule: &Rule) -> bool {
    matches!(rule.host, HostPattern::Net { address, .. } if address::kind(address) == Kind::Loopback)
}

/// `None` if the network is another; else what the address is that the rule does not mean.
fn by_net(net: IpAddr, prefix: u8, found: Found) -> Option<Option<String>> {
    let (dressed, net, address) = (net.is_ipv6(), address::plain(net), address::plain(found.address));
    // A rule for IPv4 in the dress of IPv6 is one for IPv4.
    let prefix = if dressed && net.is_ipv4() { prefix.saturating_sub(96) } else { prefix };
    if !address::within(net, prefix, address) {
        return None;
    }
    let exact = prefix == if address.is_ipv4() { 32 } else { 128 };
    Some(match address::block(address) {
        _ if exact => None,
        // Loopback is this host by definition, and was meant if it was written.
        _ if found.here && address::kind(address) != Kind::Loopback => Some("this host itself".to_owned()),
        Some(block) if prefix < block => Some(address::kind(address).text().to_owned()),
        Some(_) | None => None,
    })
}

#[cfg(test)]
mod tests;
