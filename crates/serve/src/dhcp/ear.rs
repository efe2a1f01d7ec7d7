//! Sockets that know at which interface a message came in, and answer there.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IPV4_HEADER_LEN, IpProtocol, Ipv4Packet, UDP_HEADER_LEN, UdpPacket, UdpRepr};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Longer packets are none of a machine that boots.
const MAX_PACKET: usize = 4096;
/// After the socket failed, as with a network that is down, the next try waits so long.
const PAUSE: Duration = Duration::from_millis(500);

/// A socket.
#[derive(Debug)]
pub(super) struct Ear {
    socket: UdpSocket,
    port: u16,
    /// Whether packets have the headers of IP and UDP before the message.
    is_raw: bool,
}

/// A message.
pub(super) struct Heard<'a> {
    pub(super) message: &'a [u8],
    /// Whom it is from.
    pub(super) from: SocketAddrV4,
    /// The number of the interface at which it came in.
    pub(super) interface: u32,
    /// The address of this machine for those there.
    pub(super) local: Ipv4Addr,
}

impl Ear {
    /// Hears what comes for a port, whoever else has it. The firewall counts, as for other sockets.
    pub(super) fn raw(port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP))?;
        socket.attach_filter(&filter(port))?;
        Self::of(socket, port, true)
    }

    /// Has a port, alone. (Of two sockets that share one, only one would get what is for this machine, and that may be
    /// a message for the DHCP server.)
    pub(super) fn bound(port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
        Self::of(socket, port, false)
    }

    fn of(socket: Socket, port: u16, is_raw: bool) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_broadcast(true)?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self {
            socket,
            port,
            is_raw,
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Waits for a packet. If it carries a message for the port, `use_it` gets that.
    pub(super) async fn hear(&self, use_it: impl FnOnce(Heard<'_>)) {
        let mut buffer = [0; MAX_PACKET];
        let received = self
            .socket
            .async_io(Interest::READABLE, || self.receive(&mut buffer))
            .await;
        let Ok(received) = received else {
            tokio::time::sleep(PAUSE).await;
            return;
        };
        let Some((length, info, from)) = received else {
            return;
        };
        let packet = buffer.get(..length).unwrap_or_default();
        let content = match self.is_raw {
            true => unpack(packet, self.port),
            false => Some((packet, from)),
        };
        let local = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
        let interface = u32::try_from(info.ipi_ifindex);
        if let (Some((message, from)), Ok(interface), false) =
            (content, interface, local.is_unspecified())
        {
            use_it(Heard {
                message,
                from,
                interface,
                local,
            });
        }
    }

    /// The length of a packet, where it came in, and whom it is from. `None` if it is too long.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, in_pktinfo, SocketAddrV4)>> {
        let mut control = nix::cmsg_space!(in_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let packet = recvmsg::<SockaddrIn>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let info = packet.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(info),
            _ => None,
        });
        let is_whole = !packet.flags.contains(MsgFlags::MSG_TRUNC);
        Ok(match (info, packet.address) {
            (Some(info), Some(from)) if is_whole => {
                let from = SocketAddrV4::new(from.ip(), from.port());
                Some((packet.bytes, info, from))
            }
            _ => None,
        })
    }

    /// Sends a message in answer to another, from the address and the port to which that came.
    pub(super) fn say(
        &self,
        to_what: &Heard<'_>,
        message: &[u8],
        to: SocketAddrV4,
    ) -> io::Result<()> {
        let packet = match self.is_raw {
            true => &datagram(self.port, to_what.local, to, message),
            false => message,
        };
        // A broadcast goes out where the question came in. To all others the routes know the way.
        let interface = match to.ip().is_broadcast() {
            true => i32::try_from(to_what.interface).unwrap_or(0),
            false => 0,
        };
        let info = in_pktinfo {
            ipi_ifindex: interface,
            ipi_spec_dst: in_addr {
                s_addr: u32::from_ne_bytes(to_what.local.octets()),
            },
            ipi_addr: in_addr { s_addr: 0 },
        };
        sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(packet)],
            &[ControlMessage::Ipv4PacketInfo(&info)],
            MsgFlags::MSG_DONTWAIT,
            Some(&SockaddrIn::from(to)),
        )?;
        Ok(())
    }
}

/// A program for the kernel (classic BPF): only IPv4 packets with UDP for this port wake the server.
fn filter(port: u16) -> [SockFilter; 7] {
    [
        // The protocol is UDP, or go to the end.
        SockFilter::new(0x30, 0, 0, 9),
        SockFilter::new(0x15, 0, 4, 17),
        // X is the length of the IP header.
        SockFilter::new(0xb1, 0, 0, 0),
        // The destination's port behind it is this one, or go to the end.
        SockFilter::new(0x48, 0, 0, 2),
        SockFilter::new(0x15, 0, 1, port.into()),
        // Take all of it.
        SockFilter::new(0x06, 0, 0, u32::MAX),
        // The end: take nothing.
        SockFilter::new(0x06, 0, 0, 0),
    ]
}

/// What an IPv4 packet with UDP for this port carries, and whom it is from. Checksums do not count: where a packet comes
/// from this machine or its guests, they are not computed yet.
pub fn unpack(packet: &[u8], port: u16) -> Option<(&[u8], SocketAddrV4)> {
    let ip = Ipv4Packet::new_checked(packet).ok()?;
    let is_whole = !ip.more_frags() && ip.frag_offset() == 0;
    let has_head = usize::from(ip.header_len()) >= IPV4_HEADER_LEN;
    if ip.version() != 4 || !is_whole || !has_head || ip.next_header() != IpProtocol::Udp {
        return None;
    }
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    let from = SocketAddrV4::new(ip.src_addr(), udp.src_port());
    (udp.dst_port() == port).then(|| (udp.payload(), from))
}

/// A message with the header of UDP before it.
fn datagram(port: u16, from: Ipv4Addr, to: SocketAddrV4, message: &[u8]) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: port,
        dst_port: to.port(),
    };
    let mut bytes = vec![0; UDP_HEADER_LEN + message.len()];
    udp.emit(
        &mut UdpPacket::new_unchecked(&mut bytes),
        &IpAddr::V4(from).into(),
        &IpAddr::V4(*to.ip()).into(),
        message.len(),
        |payload| payload.copy_from_slice(message),
        &ChecksumCapabilities::default(),
    );
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::wire::Ipv4Repr;

    const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 68);

    /// A packet as a raw socket gets it.
    fn packet(message: &[u8]) -> Vec<u8> {
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
        let payload = datagram(FROM.port(), *FROM.ip(), to, message);
        let ip = Ipv4Repr {
            src_addr: *FROM.ip(),
            dst_addr: *to.ip(),
            next_header: IpProtocol::Udp,
            payload_len: payload.len(),
            hop_limit: 64,
        };
        let mut head = vec![0; IPV4_HEADER_LEN + payload.len()];
        let mut packet = Ipv4Packet::new_unchecked(&mut head);
        ip.emit(&mut packet, &ChecksumCapabilities::default());
        packet.payload_mut().copy_from_slice(&payload);
        head
    }

    #[test]
    fn the_message_is_behind_the_headers() {
        let bytes = packet(b"a question");
        assert_eq!(unpack(&bytes, 67), Some((&b"a question"[..], FROM)));
        assert_eq!(unpack(&bytes, 69), None);
        assert_eq!(unpack(&bytes[..bytes.len() - 1], 67), None);
    }

    proptest::proptest! {
        #[test]
        fn no_packet_harms(bytes: Vec<u8>, at in 0..28_usize, byte: u8) {
            let _ = unpack(&bytes, 67);
            let mut whole = packet(&bytes);
            whole[at] = byte;
            let _ = unpack(&whole, 67);
        }
    }
}
