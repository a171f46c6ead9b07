//! The few requests to the kernel that lay a cable between two network namespaces.
//!
//! By rtnetlink itself, as `ip` is not on every machine. Deliberately without a parser of what the
//! kernel says beyond its verdict. Who lays which cable: `world.rs`.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType};

const NEWLINK: u16 = 16;
const NEWADDR: u16 = 20;
const NEWROUTE: u16 = 24;
/// A request whose verdict is wanted.
const REQUEST: u16 = 0x1 | 0x4;
/// Create, and fail if it is there.
const CREATE: u16 = 0x400 | 0x200;

const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_PID: u16 = 19;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFF_UP: u32 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// No wait for somebody else who might have the address: nobody has.
const IFA_F_NODAD: u8 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const TABLE_MAIN: u8 = 254;
const BY_ADMINISTRATOR: u8 = 4;
const UNICAST: u8 = 1;
const LOCAL: u8 = 2;
const SCOPE_HOST: u8 = 254;

/// The loopback's index in every network namespace.
pub(crate) const LOOPBACK: u32 = 1;

pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    pub(crate) fn open() -> io::Result<Netlink> {
        // Without an address, what is sent goes to the kernel.
        Ok(Netlink(rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?))
    }

    /// A cable: one end here, the other in the network namespace of `pid`.
    pub(crate) fn cable(&self, here: &str, there: &str, pid: u32) -> io::Result<()> {
        let name = |name: &str| attribute(IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
        let peer = [link(0, 0), name(there), attribute(IFLA_NET_NS_PID, &pid.to_ne_bytes())].concat();
        let data = attribute(IFLA_INFO_DATA, &attribute(VETH_INFO_PEER, &peer));
        let info = attribute(IFLA_LINKINFO, &[attribute(IFLA_INFO_KIND, b"veth\0"), data].concat());
        self.ask(NEWLINK, CREATE, &[link(0, 0), name(here), info].concat())
    }

    pub(crate) fn index(&self, name: &str) -> io::Result<u32> {
        Ok(rustix::net::netdevice::name_to_index(&self.0, name)?)
    }

    pub(crate) fn up(&self, index: u32) -> io::Result<()> {
        self.ask(NEWLINK, 0, &link(index, IFF_UP))
    }

    pub(crate) fn address(&self, index: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        let (family, bytes) = octets(address);
        let head = [&[family, prefix, IFA_F_NODAD, 0][..], &index.to_ne_bytes()].concat();
        self.ask(NEWADDR, CREATE, &[head, attribute(IFA_LOCAL, &bytes), attribute(IFA_ADDRESS, &bytes)].concat())
    }

    /// Every other address is reached through `gateway`.
    pub(crate) fn default_route(&self, index: u32, gateway: IpAddr) -> io::Result<()> {
        let (family, bytes) = octets(gateway);
        self.route(family, UNICAST, 0, &[attribute(RTA_OIF, &index.to_ne_bytes()), attribute(RTA_GATEWAY, &bytes)].concat())
    }

    /// Every address that no other route knows is this namespace's own.
    pub(crate) fn everything_is_local(&self, like: IpAddr) -> io::Result<()> {
        self.route(octets(like).0, LOCAL, SCOPE_HOST, &attribute(RTA_OIF, &LOOPBACK.to_ne_bytes()))
    }

    fn route(&self, family: u8, kind: u8, scope: u8, attributes: &[u8]) -> io::Result<()> {
        let head = [family, 0, 0, 0, TABLE_MAIN, BY_ADMINISTRATOR, scope, kind, 0, 0, 0, 0];
        self.ask(NEWROUTE, CREATE, &[&head[..], attributes].concat())
    }

    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        let mut message = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend((REQUEST | flags).to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        rustix::net::send(&self.0, &message, SendFlags::empty())?;
        let mut answer = [0; 4096];
        rustix::net::recv(&self.0, &mut answer, RecvFlags::empty())?;
        // The verdict: a head of 16 bytes, then a negative errno, or 0.
        match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(-errno)),
        }
    }
}

fn link(index: u32, flags: u32) -> Vec<u8> {
    [&[0; 4][..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &flags.to_ne_bytes()].concat()
}

/// Length, kind, value, and what brings it to a multiple of four.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn octets(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (2, address.octets().to_vec()),
        IpAddr::V6(address) => (10, address.octets().to_vec()),
    }
}
