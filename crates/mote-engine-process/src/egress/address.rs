//! What an address is: somebody's on the public internet, or one of the many kinds that are not.
//!
//! From the registries of special-purpose addresses (RFC 6890 and what followed it). Addresses that
//! carry an IPv4 address within them are what that one is. Whether an address is this host's own
//! is not seen by looking at it: see [`super::here`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Global unicast.
    Public,
    /// Of a private network: RFC 1918, shared address space, unique local.
    Private,
    Loopback,
    LinkLocal,
    /// Of no use as somebody's address, or the metadata of a cloud at an address that looks public.
    Special,
}

impl Kind {
    pub(super) fn text(self) -> &'static str {
        match self {
            Kind::Public => "public",
            Kind::Private => "private",
            Kind::Loopback => "loopback",
            Kind::LinkLocal => "link-local",
            Kind::Special => "reserved",
        }
    }
}

/// The first that holds an address decides.
const V4: &[(Ipv4Addr, u8, Kind)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, Kind::Special),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Kind::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Kind::Private),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Kind::Loopback),
    // One cloud answers its machines here; the others do at a link-local address.
    (Ipv4Addr::new(168, 63, 129, 16), 32, Kind::Special),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Kind::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Kind::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Kind::Special),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Kind::Special),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Kind::Special),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Kind::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Kind::Special),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Kind::Special),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Kind::Special),
    // Multicast, reserved, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3, Kind::Special),
];

const V6: &[(Ipv6Addr, u8, Kind)] = &[
    (Ipv6Addr::LOCALHOST, 128, Kind::Loopback),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, Kind::LinkLocal),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Kind::Private),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, Kind::Private),
    // Teredo, ORCHID, benchmarking and other protocols' own.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Kind::Special),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Kind::Special),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, Kind::Special),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Kind::Special),
    (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, Kind::Public),
];

pub(super) fn kind(address: IpAddr) -> Kind {
    match plain(address) {
        IpAddr::V4(address) => {
            V4.iter().find(|(net, prefix, _)| within((*net).into(), *prefix, address.into())).map_or(Kind::Public, |e| e.2)
        }
        IpAddr::V6(address) => {
            V6.iter().find(|(net, prefix, _)| within((*net).into(), *prefix, address.into())).map_or(Kind::Special, |e| e.2)
        }
    }
}

/// The block of special addresses that holds this one, by its prefix.
pub(super) fn block(address: IpAddr) -> Option<u8> {
    let prefix = match plain(address) {
        IpAddr::V4(address) => V4.iter().find(|(net, prefix, _)| within((*net).into(), *prefix, address.into())).map(|e| (e.1, e.2)),
        IpAddr::V6(address) => V6.iter().find(|(net, prefix, _)| within((*net).into(), *prefix, address.into())).map(|e| (e.1, e.2)),
    };
    match prefix {
        Some((prefix, kind)) if kind != Kind::Public => Some(prefix),
        // Outside of what is given out there is no block to name, only single addresses.
        None if plain(address).is_ipv6() => Some(128),
        Some(_) | None => None,
    }
}

/// Without the dress of IPv6 around an address of IPv4: mapped, or translated by the network's NAT64.
pub(super) fn plain(address: IpAddr) -> IpAddr {
    const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
    match address {
        IpAddr::V6(v6) if within(NAT64.into(), 96, v6.into()) => IpAddr::V4(Ipv4Addr::from((u128::from(v6) & 0xffff_ffff) as u32)),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Whether the network of that prefix holds the address. Never for addresses of two families.
pub(super) fn within(net: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let same = |a: u128, b: u128, bits: u8| prefix == 0 || (a ^ b) >> u32::from(bits.saturating_sub(prefix)) == 0;
    match (net, address) {
        (IpAddr::V4(net), IpAddr::V4(address)) => same(u32::from(net).into(), u32::from(address).into(), 32),
        (IpAddr::V6(net), IpAddr::V6(address)) => same(net.into(), address.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_kind() {
        let check = |address: &str, expect| assert_eq!(kind(address.parse().unwrap()), expect, "{address}");
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "168.63.129.17",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:2800:220:1::1",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            check(public, Kind::Public);
        }
        for private in ["10.0.0.1", "100.64.0.1", "100.100.100.200", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1", "fc00::1"] {
            check(private, Kind::Private);
        }
        for private in ["::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "fd00:ec2::254"] {
            check(private, Kind::Private);
        }
        for loopback in ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"] {
            check(loopback, Kind::Loopback);
        }
        for link_local in ["169.254.169.254", "fe80::1", "febf::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"] {
            check(link_local, Kind::LinkLocal);
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "4000::1",
            "fec0::1",
            "ff02::1",
        ] {
            check(special, Kind::Special);
        }
    }
}
