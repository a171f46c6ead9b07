//! The network of a jail: loopback alone, on which whatever a program asks for comes to mote.
//!
//! Every address is a local one (`local 0.0.0.0/0 dev lo`), and the packet filter hands each TCP
//! connection that is not to 127.0.0.0/8, and each DNS question, to one of two sockets. They are
//! made in here and accepted on by mote, outside; the address that was meant is the local address
//! of the accepted connection. Transparent proxying and not address translation: that would track
//! connections, and what a hostile function makes tracked is memory of the kernel's.
//!
//! Where the kernel has no tproxy there is no redirect and no route: then only a jail without a way
//! out can be made, in which nothing is reached but 127.0.0.1.
//!
//! Nothing here decides where a connection may go: see [`crate::egress`].

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netlink;

use super::netlink::{Batch, ROUTE, attribute, nested, number, open, text};
use super::spec::GATEWAY_PORT;
use super::syscalls;

const DNS_PORT: u16 = 53;
/// The kernel gives the first interface of a namespace this number.
const LOOPBACK: i32 = 1;

/// The two sockets through which a jail reaches everything.
#[derive(Debug)]
pub struct Doors {
    /// Listens at port 4566 of every address, and is given every connection to elsewhere.
    pub tcp: TcpListener,
    /// DNS, at 127.0.0.1:53 and at port 53 of every other address.
    pub udp: UdpSocket,
}

impl Doors {
    /// In the order in which [`Doors::received`] takes them.
    pub(super) fn to_send(&self) -> [BorrowedFd<'_>; 2] {
        [self.tcp.as_fd(), self.udp.as_fd()]
    }

    pub(super) fn received(fds: Vec<OwnedFd>) -> Option<Doors> {
        let [tcp, udp] = <[OwnedFd; 2]>::try_from(fds).ok()?;
        Some(Doors { tcp: tcp.into(), udp: udp.into() })
    }
}

/// Makes the network of the namespace that this process has just entered, with the rights over it.
pub(super) fn set_up() -> io::Result<Doors> {
    loopback().map_err(|error| named("loopback", error))?;
    let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, GATEWAY_PORT))?;
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, DNS_PORT))?;
    // A question's own destination comes with it: the answer has to come from there.
    syscalls::set_ip_option(udp.as_fd(), libc::IP_PKTINFO)?;
    Ok(Doors { tcp, udp })
}

/// Has whatever is meant for elsewhere come to them.
pub(super) fn redirect(doors: &Doors) -> io::Result<()> {
    syscalls::set_ip_option(doors.tcp.as_fd(), libc::IP_TRANSPARENT)?;
    syscalls::set_ip_option(doors.udp.as_fd(), libc::IP_TRANSPARENT)?;
    route().map_err(|error| named("the route to loopback", error))?;
    redirects().map_err(|error| named("nf_tables with tproxy", error))
}

/// Any port may be bound, as in a container: there is nobody else on this network. Through the
/// jail's own `/proc`, since that of the host may be read-only.
pub(super) fn open_low_ports() -> io::Result<()> {
    std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
}

/// Keeps the kernel's own error as its source.
pub(super) fn named(what: &'static str, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), Named { what, source })
}

#[derive(Debug)]
struct Named {
    what: &'static str,
    source: io::Error,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl std::error::Error for Named {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

fn loopback() -> io::Result<()> {
    let up = libc::IFF_UP as u32;
    let link = [&[0, 0, 0, 0][..], &LOOPBACK.to_ne_bytes(), &up.to_ne_bytes(), &up.to_ne_bytes()].concat();
    let mut batch = Batch::default();
    batch.tell(libc::RTM_NEWLINK, 0, &link);
    batch.send(&open(ROUTE)?)
}

fn route() -> io::Result<()> {
    // Family, lengths of destination and source, service, table, protocol, scope, type, flags.
    let mut route =
        vec![libc::AF_INET as u8, 0, 0, 0, libc::RT_TABLE_LOCAL, libc::RTPROT_BOOT, libc::RT_SCOPE_HOST, libc::RTN_LOCAL, 0, 0, 0, 0];
    route.extend(attribute(libc::RTA_OIF, &LOOPBACK.to_ne_bytes()));
    // Without it a connection to 8.8.8.8 would say that it comes from there.
    route.extend(attribute(libc::RTA_PREFSRC, &Ipv4Addr::LOCALHOST.octets()));

    let mut batch = Batch::default();
    batch.tell(libc::RTM_NEWROUTE, (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16, &route);
    batch.send(&open(ROUTE)?)
}

const TABLE: &str = "mote";
const CHAIN: &str = "out";
/// What a rule calculates with.
const REGISTERS: [u32; 2] = [1, 2];

/// As `nft` would be told it:
///
/// ```text
/// table ip mote { chain out {
///     type filter hook prerouting priority mangle
///     ip daddr 127.0.0.0/8 return
///     meta l4proto tcp tproxy to 127.0.0.1:4566
///     udp dport 53 tproxy to 127.0.0.1:53
/// } }
/// ```
fn redirects() -> io::Result<()> {
    let begin = libc::NLM_F_CREATE as u16;
    let append = (libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16;
    let mut batch = Batch::default();
    batch.push(libc::NFNL_MSG_BATCH_BEGIN as u16, 0, &filter_header(libc::AF_UNSPEC, libc::NFNL_SUBSYS_NFTABLES as u16));
    batch.tell(filter(libc::NFT_MSG_NEWTABLE), begin, &[filter_header(libc::AF_INET, 0), text(1, TABLE)].concat());
    batch.tell(filter(libc::NFT_MSG_NEWCHAIN), begin, &chain());
    batch.tell(filter(libc::NFT_MSG_NEWRULE), append, &rule(&[destination_begins(127), verdict(libc::NFT_RETURN)].concat()));
    let tcp = [protocol(libc::IPPROTO_TCP as u8), hand_to(GATEWAY_PORT)].concat();
    batch.tell(filter(libc::NFT_MSG_NEWRULE), append, &rule(&tcp));
    let dns = [protocol(libc::IPPROTO_UDP as u8), port_is(DNS_PORT), hand_to(DNS_PORT)].concat();
    batch.tell(filter(libc::NFT_MSG_NEWRULE), append, &rule(&dns));
    batch.push(libc::NFNL_MSG_BATCH_END as u16, 0, &filter_header(libc::AF_UNSPEC, libc::NFNL_SUBSYS_NFTABLES as u16));
    batch.send(&open(Some(netlink::NETFILTER))?)
}

fn filter(message: libc::c_int) -> u16 {
    ((libc::NFNL_SUBSYS_NFTABLES as u16) << 8) | message as u16
}

/// Family, version, and for the ends of a batch the part of the filter that it is for.
fn filter_header(family: libc::c_int, part: u16) -> Vec<u8> {
    let [high, low] = part.to_be_bytes();
    vec![family as u8, 0, high, low]
}

// The numbers below are those of `linux/netfilter/nf_tables.h`: attributes are counted from 1
// within what holds them.

fn chain() -> Vec<u8> {
    const PREROUTING: u32 = 0;
    const MANGLE: i32 = -150;
    let hook = nested(4, &[number(1, PREROUTING), number(2, MANGLE as u32)]);
    [filter_header(libc::AF_INET, 0), text(1, TABLE), text(3, CHAIN), hook, number(5, libc::NF_ACCEPT as u32), text(7, "filter")].concat()
}

fn rule(expressions: &[Vec<u8>]) -> Vec<u8> {
    [filter_header(libc::AF_INET, 0), text(1, TABLE), text(2, CHAIN), nested(4, expressions)].concat()
}

fn expression(name: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, attributes)])
}

fn data(attribute_number: u16, value: &[u8]) -> Vec<u8> {
    nested(attribute_number, &[attribute(1, value)])
}

fn is(value: &[u8]) -> Vec<u8> {
    expression("cmp", &[number(1, REGISTERS[0]), number(2, libc::NFT_CMP_EQ as u32), data(3, value)])
}

fn load(base: libc::c_int, offset: u32, bytes: u32) -> Vec<u8> {
    expression("payload", &[number(1, REGISTERS[0]), number(2, base as u32), number(3, offset), number(4, bytes)])
}

/// The first byte of the destination's address.
fn destination_begins(byte: u8) -> Vec<Vec<u8>> {
    vec![load(libc::NFT_PAYLOAD_NETWORK_HEADER, 16, 1), is(&[byte])]
}

fn port_is(port: u16) -> Vec<Vec<u8>> {
    vec![load(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), is(&port.to_be_bytes())]
}

fn protocol(protocol: u8) -> Vec<Vec<u8>> {
    let load = expression("meta", &[number(1, REGISTERS[0]), number(2, libc::NFT_META_L4PROTO as u32)]);
    vec![load, is(&[protocol])]
}

fn verdict(code: libc::c_int) -> Vec<Vec<u8>> {
    vec![expression("immediate", &[number(1, libc::NFT_REG_VERDICT as u32), nested(2, &[nested(2, &[number(1, code as u32)])])])]
}

/// To the socket at that port of 127.0.0.1, whatever the packet's own destination.
fn hand_to(port: u16) -> Vec<Vec<u8>> {
    let put = |register, value: &[u8]| expression("immediate", &[number(1, register), data(2, value)]);
    let [address_register, port_register] = REGISTERS;
    let proxy = [number(1, libc::AF_INET as u32), number(2, address_register), number(3, port_register)];
    vec![put(address_register, &Ipv4Addr::LOCALHOST.octets()), put(port_register, &port.to_be_bytes()), expression("tproxy", &proxy)]
}
