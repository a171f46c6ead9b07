//! The rest of the internet: whoever is called answers, and every packet is written down.
//!
//! One address space for all: the namespace takes every address for its own, so that a service on
//! port 80 is every host's web server. What was tried at ports where nobody listens is known from
//! the wire itself. Not here: which of it should have come, see `cases/network.rs`.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketType};

use super::names;

/// Web servers, and one that repeats what it is told.
const WEB_PORTS: &[u16] = &[80, 443, 8000];
const ECHO_PORT: u16 = 7;
const DNS_PORT: u16 = 53;

/// `tcp 93.184.216.34:80` for each that was tried, `name allowed.test` for each that was asked for.
pub(crate) type Seen = Arc<Mutex<BTreeSet<String>>>;

/// Starts them all; `from` are the addresses of the namespace that is watched.
pub(crate) fn start(from: &[IpAddr]) -> io::Result<Seen> {
    let seen = Seen::default();
    watch(from, &seen)?;
    let every = if std::path::Path::new("/proc/net/if_inet6").exists() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    };
    for &port in WEB_PORTS {
        serve(TcpListener::bind((every, port))?, web);
    }
    serve(TcpListener::bind((every, ECHO_PORT))?, echo);
    let dns = UdpSocket::bind((super::HOSTS, DNS_PORT))?;
    let asked = seen.clone();
    thread::spawn(move || names::answer(&dns, &asked));
    let udp = UdpSocket::bind((super::PUBLIC, ECHO_PORT))?;
    thread::spawn(move || repeat(&udp));
    Ok(seen)
}

fn serve(listener: TcpListener, answer: fn(TcpStream) -> io::Result<()>) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who breaks off, breaks off.
            thread::spawn(move || answer(stream).ok());
        }
    });
}

/// Says who was asked, by address and by name.
fn web(stream: TcpStream) -> io::Result<()> {
    let asked = stream.local_addr()?.ip().to_canonical();
    let mut lines = BufReader::new(&stream).lines();
    let mut host = String::new();
    while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("host")
        {
            host = value.trim().to_owned();
        }
    }
    let body = format!("this is {asked}, asked as {host}\n");
    write!(&stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut stream.try_clone()?, &mut stream).map(drop)
}

fn repeat(socket: &UdpSocket) {
    let mut packet = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        let _ = socket.send_to(&packet[..length], from);
    }
}

/// Every packet that comes over the cable, of whatever kind.
fn watch(from: &[IpAddr], seen: &Seen) -> io::Result<()> {
    // ETH_P_ALL, in network order; SOCK_DGRAM, so that a packet begins with its IP header.
    let all = Protocol::from_raw(u32::from(3u16.to_be()).try_into().map_err(io::Error::other)?);
    let socket: OwnedFd = rustix::net::socket(AddressFamily::PACKET, SocketType::DGRAM, Some(all))?;
    let (from, seen) = (from.to_vec(), seen.clone());
    thread::spawn(move || {
        let mut packet = [0; 256];
        while let Ok((length, _)) = rustix::net::recv(&socket, &mut packet[..], RecvFlags::empty()) {
            if let Some((source, what)) = read(&packet[..length])
                && from.contains(&source)
            {
                seen.lock().expect("nobody panics with it").insert(what);
            }
        }
    });
    Ok(())
}

fn read(packet: &[u8]) -> Option<(IpAddr, String)> {
    let address = |at: usize, four: bool| -> Option<IpAddr> {
        Some(match four {
            true => IpAddr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?),
            false => IpAddr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?),
        })
    };
    let four = packet.first()? >> 4 == 4;
    let (source, target, kind, payload) = match four {
        true => (address(12, true)?, address(16, true)?, *packet.get(9)?, usize::from(packet.first()? & 15) * 4),
        false => (address(8, false)?, address(24, false)?, *packet.get(6)?, 40),
    };
    let kind = match kind {
        6 => "tcp",
        17 => "udp",
        1 | 58 => return Some((source, format!("icmp {target}"))),
        _ => return Some((source, format!("other {target}"))),
    };
    let port = u16::from_be_bytes([*packet.get(payload + 2)?, *packet.get(payload + 3)?]);
    Some((source, format!("{kind} {}", SocketAddr::new(target, port))))
}
