//! DHCP in Ethernet frames, for where another server has taken port 67.

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress, IpProtocol,
    Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

/// A message of a client: the bytes behind the UDP header, and where it came from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard<'a> {
    pub from: SocketAddrV4,
    pub message: &'a [u8],
}

/// The message in a frame, if it goes to this port. Checksums do not count: where a frame comes from this machine or
/// its guests, they are not computed yet.
pub(super) fn message(frame: &[u8], port: u16) -> Option<Heard<'_>> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    if packet.next_header() != IpProtocol::Udp || packet.more_frags() || packet.frag_offset() != 0 {
        return None;
    }
    let from = packet.src_addr();
    let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
    (datagram.dst_port() == port).then(|| Heard {
        from: SocketAddrV4::new(from, datagram.src_port()),
        message: datagram.payload(),
    })
}

/// A frame with a message for all stations.
pub(super) fn broadcast(
    own_mac: [u8; 6],
    from: SocketAddrV4,
    to_port: u16,
    message: &[u8],
) -> Option<Vec<u8>> {
    let udp = UdpRepr {
        src_port: from.port(),
        dst_port: to_port,
    };
    let length = udp.header_len() + message.len();
    let ip = Ipv4Repr {
        src_addr: *from.ip(),
        dst_addr: Ipv4Addr::BROADCAST,
        next_header: IpProtocol::Udp,
        payload_len: length,
        hop_limit: 64,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(own_mac),
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Ipv4,
    };
    // An IPv4 packet is no longer than this.
    if ip.buffer_len() + length > 1500 {
        return None;
    }
    let checksums = ChecksumCapabilities::default();
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + length];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    ethernet.emit(&mut frame);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    udp.emit(
        &mut datagram,
        &IpAddress::Ipv4(ip.src_addr),
        &IpAddress::Ipv4(ip.dst_addr),
        message.len(),
        |payload| payload.copy_from_slice(message),
        &checksums,
    );
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 67);

    #[test]
    fn what_is_sent_is_heard() {
        let frame = broadcast([2; 6], FROM, 68, b"an offer").unwrap();
        let heard = Heard {
            from: FROM,
            message: b"an offer",
        };
        assert_eq!(message(&frame, 68), Some(heard));
        assert_eq!(message(&frame, 67), None);
        assert_eq!(broadcast([2; 6], FROM, 68, &[0; 1500]), None);
    }

    proptest::proptest! {
        #[test]
        fn no_frame_harms(bytes: Vec<u8>, at in 0..60_usize, byte: u8) {
            let _ = message(&bytes, 67);
            let mut frame = broadcast([2; 6], FROM, 67, &bytes[..bytes.len().min(100)]).unwrap();
            let at = at % frame.len();
            frame[at] = byte;
            let _ = message(&frame, 67);
        }
    }
}
