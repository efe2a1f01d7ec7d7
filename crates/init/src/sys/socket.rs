//! Sockets. None of them blocks, but those of a [`pair`]: wait with [`poll`](super::poll).

use core::mem::size_of;

use linux_raw_sys::if_packet as p;
use linux_raw_sys::net as n;
use linux_raw_sys::netlink as l;

use super::address::Address;
use super::syscall::syscall;
use super::{Errno, Fd};

use linux_raw_sys::general as k;

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4.
    Udp4,
    /// UDP over IPv6.
    Udp6,
    /// Packets of one link without their Ethernet heads. It hears nothing before it is bound.
    Packet,
    /// The kernel's links, addresses and routes: rtnetlink(7).
    Route,
    /// Whatever else the kernel lets programs ask for: generic netlink.
    Generic,
}

/// Makes a socket.
pub fn socket(protocol: Protocol) -> Result<Fd, Errno> {
    let (family, kind, number) = match protocol {
        Protocol::Tcp4 => (n::AF_INET, n::SOCK_STREAM, 0),
        Protocol::Tcp6 => (n::AF_INET6, n::SOCK_STREAM, 0),
        Protocol::Udp4 => (n::AF_INET, n::SOCK_DGRAM, 0),
        Protocol::Udp6 => (n::AF_INET6, n::SOCK_DGRAM, 0),
        Protocol::Packet => (n::AF_PACKET, n::SOCK_DGRAM, 0),
        Protocol::Route => (n::AF_NETLINK, n::SOCK_RAW, l::NETLINK_ROUTE),
        Protocol::Generic => (n::AF_NETLINK, n::SOCK_RAW, l::NETLINK_GENERIC),
    };
    // `SOCK_NONBLOCK` and `SOCK_CLOEXEC` are defined as these two.
    let kind = kind | k::O_NONBLOCK | k::O_CLOEXEC;
    // SAFETY: it touches no memory.
    let fd = unsafe {
        syscall(
            k::__NR_socket,
            [family as usize, kind as usize, number as usize],
        )
    }?;
    Ok(Fd::from_number(fd))
}

/// Makes two sockets that are connected with each other, and that block.
pub fn pair() -> Result<(Fd, Fd), Errno> {
    let kind = n::SOCK_STREAM | k::O_CLOEXEC;
    let mut ends = [0_u32; 2];
    // SAFETY: the kernel writes two 32-bit numbers there.
    unsafe {
        let (family, to) = (n::AF_UNIX as usize, ends.as_mut_ptr() as usize);
        syscall(k::__NR_socketpair, [family, kind as usize, 0, to])
    }?;
    let [one, other] = ends.map(|end| Fd::from_number(end as usize));
    Ok((one, other))
}

/// Gives a socket its own address.
pub fn bind(socket: &Fd, address: &Address) -> Result<(), Errno> {
    with_address(k::__NR_bind, socket, address)
}

/// Begins to connect a TCP socket: [`Errno::EINPROGRESS`] is the usual answer, and once the socket is ready to be
/// written, [`take_error`] tells how it went. Ties a UDP socket to one station, at once.
pub fn connect(socket: &Fd, address: &Address) -> Result<(), Errno> {
    with_address(k::__NR_connect, socket, address)
}

fn with_address(call: u32, socket: &Fd, address: &Address) -> Result<(), Errno> {
    let address = address.encode();
    let bytes = address.bytes();
    // SAFETY: the kernel only reads the address, which outlives the call.
    unsafe { syscall(call, [socket.arg(), bytes.as_ptr() as usize, bytes.len()]) }.map(drop)
}

/// Sends on a connected socket, maybe not all of it.
pub fn send(socket: &Fd, bytes: &[u8]) -> Result<usize, Errno> {
    send_call(socket, bytes, &[])
}

/// Sends one packet to a station.
pub fn send_to(socket: &Fd, bytes: &[u8], to: &Address) -> Result<usize, Errno> {
    send_call(socket, bytes, to.encode().bytes())
}

fn send_call(socket: &Fd, bytes: &[u8], address: &[u8]) -> Result<usize, Errno> {
    let address_at = if address.is_empty() {
        0
    } else {
        address.as_ptr() as usize
    };
    // A broken connection is an error, not a signal that ends the process.
    let flags = n::MSG_NOSIGNAL as usize;
    // SAFETY: the kernel only reads the bytes and the address, and no address is a null pointer.
    unsafe {
        let (from, len) = (bytes.as_ptr() as usize, bytes.len());
        syscall(
            k::__NR_sendto,
            [socket.arg(), from, len, flags, address_at, address.len()],
        )
    }
}

/// Receives what is there: the next bytes of a connection, of which 0 is the end, or one packet, of which what does not
/// fit is lost.
pub fn receive(socket: &Fd, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes to the buffer, and no address.
    unsafe {
        let (to, len) = (buffer.as_mut_ptr() as usize, buffer.len());
        syscall(k::__NR_recvfrom, [socket.arg(), to, len, 0, 0, 0])
    }
}

/// A packet that a [`Protocol::Packet`] socket received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// How much of the buffer it fills.
    pub len: usize,
    /// Whether its checksum is still to be computed: it comes from this machine, or from the host of this virtual one,
    /// and was never on a wire.
    pub checksum_missing: bool,
}

/// The layout of `iovec`.
#[repr(C)]
struct Part {
    start: *mut u8,
    len: usize,
}

/// The layout of a `cmsghdr` with a `tpacket_auxdata`, and room to spare.
#[repr(C)]
struct Control {
    head: n::cmsghdr,
    data: p::tpacket_auxdata,
    rest: [u64; 8],
}

/// Receives one packet. The socket was made with [`want_checksum_state`], or every packet seems to have its checksum.
pub fn receive_packet(socket: &Fd, buffer: &mut [u8]) -> Result<Packet, Errno> {
    let mut part = Part {
        start: buffer.as_mut_ptr(),
        len: buffer.len(),
    };
    // SAFETY: it is made of integers only, for which zeros are valid.
    let mut control: Control = unsafe { core::mem::zeroed() };
    let mut message = n::msghdr {
        msg_name: core::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: (&raw mut part).cast(),
        msg_iovlen: 1,
        msg_control: (&raw mut control).cast(),
        msg_controllen: size_of::<Control>(),
        msg_flags: 0,
    };
    // SAFETY: the kernel writes at most `buffer.len()` bytes to the buffer, at most a `Control` to `control`, and all
    // three outlive the call.
    let len = unsafe {
        syscall(
            k::__NR_recvmsg,
            [socket.arg(), (&raw mut message) as usize, 0],
        )
    }?;
    // What the kernel did not write is zero, which is no head of this kind.
    let is_state = control.head.cmsg_level == n::SOL_PACKET as i32
        && control.head.cmsg_type == p::PACKET_AUXDATA as i32;
    Ok(Packet {
        len,
        checksum_missing: is_state && control.data.tp_status & p::TP_STATUS_CSUMNOTREADY != 0,
    })
}

/// Why the latest call on a socket failed after it had returned, above all [`connect`].
pub fn take_error(socket: &Fd) -> Result<(), Errno> {
    let mut error = 0_u32;
    let mut len = size_of::<u32>() as u32;
    // SAFETY: the kernel writes at most the four bytes that `len` says, and `len`.
    unsafe {
        let (error, len) = ((&raw mut error) as usize, (&raw mut len) as usize);
        syscall(
            k::__NR_getsockopt,
            [
                socket.arg(),
                n::SOL_SOCKET as usize,
                n::SO_ERROR as usize,
                error,
                len,
            ],
        )
    }?;
    match error {
        0 => Ok(()),
        error => Err(Errno(error)),
    }
}

/// Sends each piece of a TCP connection at once.
pub fn no_delay(socket: &Fd) -> Result<(), Errno> {
    let tcp = n::SOL_TCP;
    set_option(socket, tcp, n::TCP_NODELAY, &1_u32.to_ne_bytes())
}

/// Has a [`Protocol::Packet`] socket tell which packets have no checksum yet.
pub fn want_checksum_state(socket: &Fd) -> Result<(), Errno> {
    let packet = n::SOL_PACKET;
    set_option(socket, packet, p::PACKET_AUXDATA, &1_u32.to_ne_bytes())
}

/// Has a [`Protocol::Route`] socket hear what the kernel tells a group of listeners.
pub fn join_group(socket: &Fd, group: u32) -> Result<(), Errno> {
    let netlink = n::SOL_NETLINK;
    let join = l::NETLINK_ADD_MEMBERSHIP;
    set_option(socket, netlink, join, &group.to_ne_bytes())
}

fn set_option(socket: &Fd, level: u32, option: u32, value: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel only reads the value.
    unsafe {
        let (from, len) = (value.as_ptr() as usize, value.len());
        syscall(
            k::__NR_setsockopt,
            [socket.arg(), level as usize, option as usize, from, len],
        )
    }
    .map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, UdpSocket};
    use std::time::Duration;

    use super::super::poll::{Poll, poll};
    use super::*;

    #[test]
    fn a_connection_sends_and_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Ip(listener.local_addr().unwrap());
        let socket = socket(Protocol::Tcp4).unwrap();
        no_delay(&socket).unwrap();
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(errno) => panic!("{errno}"),
        }
        let mut wanted = [Poll::to_write(&socket)];
        poll(&mut wanted, None).unwrap();
        assert!(wanted[0].ready);
        take_error(&socket).unwrap();

        let (mut peer, _) = listener.accept().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(receive(&socket, &mut buffer), Err(Errno::EAGAIN));
        assert_eq!(send(&socket, b"hello"), Ok(5));
        peer.read_exact(&mut buffer[..5]).unwrap();
        assert_eq!(&buffer[..5], b"hello");
        drop(peer);
        poll(&mut [Poll::to_read(&socket)], None).unwrap();
        assert_eq!(receive(&socket, &mut buffer), Ok(0));
    }

    #[test]
    fn a_refused_connection_says_so() {
        let address = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            Address::Ip(gone.local_addr().unwrap())
        };
        let socket = socket(Protocol::Tcp4).unwrap();
        let result = match connect(&socket, &address) {
            Err(Errno::EINPROGRESS) => {
                poll(&mut [Poll::to_write(&socket)], None).unwrap();
                take_error(&socket)
            }
            result => result,
        };
        assert_eq!(result, Err(Errno::ECONNREFUSED));
    }

    #[test]
    fn datagrams() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = socket(Protocol::Udp4).unwrap();
        connect(&socket, &Address::Ip(peer.local_addr().unwrap())).unwrap();
        assert_eq!(send(&socket, b"question"), Ok(8));
        let mut buffer = [0; 16];
        let (len, from) = peer.recv_from(&mut buffer).unwrap();
        peer.send_to(&buffer[..len], from).unwrap();
        let mut wanted = [Poll::to_read(&socket)];
        poll(&mut wanted, Some(Duration::from_secs(60))).unwrap();
        assert_eq!(receive(&socket, &mut buffer), Ok(8));
        assert_eq!(&buffer[..8], b"question");
    }
}
