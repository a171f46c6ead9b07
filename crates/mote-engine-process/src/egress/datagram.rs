//! Datagrams that tell which address they were sent to, and answers that come from there.
//!
//! A program that asks 8.8.8.8 takes no answer from 127.0.0.1.

#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Room for one `in_pktinfo` and then some, aligned as control messages are.
#[repr(C, align(8))]
struct Control([u8; 128]);

/// Who sent it, and the address that it was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) from: SocketAddrV4,
    pub(super) to: Ipv4Addr,
}

/// The next datagram; longer ones are cut, and their length tells so. Never waits.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Ends)> {
    // SAFETY: all-zero is a valid value of both.
    let (mut peer, mut message): (libc::sockaddr_in, libc::msghdr) = unsafe { (zeroed(), zeroed()) };
    let mut control = MaybeUninit::<Control>::zeroed();
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    message.msg_name = (&raw mut peer).cast();
    message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>();
    // SAFETY: every pointer in `message` is to a variable that outlives the call, with its own length.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT | libc::MSG_TRUNC) };
    let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has filled in `message`; the macros stay within its control buffer, which
    // is aligned for its headers, and a message of that type and length holds an `in_pktinfo`,
    // which is copied out of it.
    let to = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let fits = !header.is_null()
            && (*header).cmsg_level == libc::IPPROTO_IP
            && (*header).cmsg_type == libc::IP_PKTINFO
            && (*header).cmsg_len >= libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as usize;
        fits.then(|| libc::CMSG_DATA(header).cast::<libc::in_pktinfo>().read_unaligned().ipi_addr)
    };
    let to = to.ok_or_else(|| io::Error::other("a datagram without its destination"))?;
    let from = SocketAddrV4::new(address(peer.sin_addr), u16::from_be(peer.sin_port));
    Ok((got, Ends { from, to: address(to) }))
}

/// Sends from the address that was asked to whoever asked. Never waits.
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8], ends: Ends) -> io::Result<()> {
    // SAFETY: all-zero is a valid value of each.
    let (mut peer, mut message, mut info): (libc::sockaddr_in, libc::msghdr, libc::in_pktinfo) = unsafe { (zeroed(), zeroed(), zeroed()) };
    peer.sin_family = libc::AF_INET as libc::sa_family_t;
    peer.sin_port = ends.from.port().to_be();
    peer.sin_addr.s_addr = u32::from_ne_bytes(ends.from.ip().octets());
    info.ipi_spec_dst.s_addr = u32::from_ne_bytes(ends.to.octets());
    let mut control = Control([0; 128]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    message.msg_name = (&raw mut peer).cast();
    message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    // SAFETY: computes lengths only; an `in_pktinfo` has 12 bytes, and its message fits the buffer.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) } as usize;
    // SAFETY: the buffer is large enough for a header and the struct, so the first header is in it,
    // and nothing else refers to it.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::IPPROTO_IP;
        (*header).cmsg_type = libc::IP_PKTINFO;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as usize;
        libc::CMSG_DATA(header).cast::<libc::in_pktinfo>().write_unaligned(info);
    }
    // SAFETY: every pointer in `message` is to a variable that outlives the call; nothing is written
    // through the one to `bytes`.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn address(address: libc::in_addr) -> Ipv4Addr {
    Ipv4Addr::from(address.s_addr.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    /// All of 127.0.0.0/8 is local everywhere, so one socket can be asked at two addresses.
    #[test]
    fn an_answer_comes_from_where_was_asked() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        let on: libc::c_int = 1;
        // SAFETY: as in the jail: the kernel reads one int that outlives the call.
        let set = unsafe { libc::setsockopt(server.as_raw_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, (&raw const on).cast(), 4) };
        assert_eq!(set, 0);
        let port = server.local_addr().unwrap().port();
        for asked in ["127.0.0.1", "127.9.8.7"] {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.connect((asked, port)).unwrap();
            client.send(b"question").unwrap();
            let mut buffer = [0; 4];
            let (length, ends) = receive(server.as_fd(), &mut buffer).unwrap();
            assert_eq!((length, &buffer, ends.to.to_string().as_str()), (8, b"ques", asked));
            assert_eq!(std::net::SocketAddr::V4(ends.from), client.local_addr().unwrap());
            send(server.as_fd(), b"answer", ends).unwrap();
            // Connected, it takes nothing from elsewhere.
            let length = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"answ");
        }
        assert_eq!(receive(server.as_fd(), &mut [0; 4]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
