//! Whether an address is this host's own: asked of the kernel's routes, which know at any time.
//!
//! Not a list of the interfaces' addresses: it would be old some time, and there are addresses
//! that are local without standing on an interface.

use std::io;
use std::net::IpAddr;

use crate::jail::netlink;

/// A destination that the kernel delivers to itself, or to everybody around.
pub(super) fn is_here(address: IpAddr) -> io::Result<bool> {
    let (family, octets) = match address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    // Family, lengths of destination and source, service, table, protocol, scope, type, flags.
    let mut question = vec![family as u8, (octets.len() * 8) as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    question.extend(netlink::attribute(libc::RTA_DST, &octets));
    let route = match netlink::ask(&netlink::open(netlink::ROUTE)?, libc::RTM_GETROUTE, &question, libc::RTM_NEWROUTE) {
        Ok(route) => route,
        Err(error) if leads_nowhere(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    let kind = *route.get(7).ok_or_else(|| io::Error::other("a route of the kernel is not whole"))?;
    Ok(kind != libc::RTN_UNICAST)
}

/// There is no route (or no such family), so it is not here, and nobody can be reached there.
fn leads_nowhere(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL | libc::EAFNOSUPPORT | libc::EOPNOTSUPP)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_here_and_a_test_network_is_not() {
        let check = |address: &str, expect: bool| assert_eq!(is_here(address.parse().unwrap()).unwrap(), expect, "{address}");
        check("127.0.0.1", true);
        check("127.1.2.3", true);
        check("0.0.0.0", true);
        check("255.255.255.255", true);
        check("192.0.2.1", false);
        check("2001:db8::1", false);
    }
}
