//! A DHCP message in UDP in IPv4, written and read.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpOpCode, DhcpPacket, DhcpRepr,
    EthernetAddress, IPV4_HEADER_LEN, IpProtocol, Ipv4Packet, Ipv4Repr, UDP_HEADER_LEN, UdpPacket,
    UdpRepr,
};

use super::Ignored;
use super::options::{self, Options};
use crate::Mac;

/// What the sender did about the UDP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpChecksum {
    /// It is there and must be right.
    Filled,
    /// The packet came from a virtual machine or namespace of the same machine, which leaves the checksum to a card
    /// that never sees it: `TP_STATUS_CSUMNOTREADY` in the `PACKET_AUXDATA` of the packet.
    Partial,
}

/// What is asked of a server.
pub(super) struct Question {
    pub mac: Mac,
    pub transaction: u32,
    pub seconds: u16,
    /// The address and the server of the offer that is taken; without one, the question is for offers.
    pub offer: Option<(Ipv4Addr, Ipv4Addr)>,
}

/// What a server says.
pub(super) struct Answer {
    pub kind: DhcpMessageType,
    pub mac: Mac,
    pub transaction: u32,
    pub address: Ipv4Addr,
    pub options: Options,
}

/// The largest DHCP message that a packet of 1500 bytes holds.
const MAX_MESSAGE: u16 = 1500 - 20 - 8;
/// RFC 951: a BOOTP message has 300 bytes, and some relays drop shorter ones.
const MIN_MESSAGE: usize = 300;
/// The type of Ethernet in `htype`.
const ETHERNET: u16 = 1;
/// The first bytes of the options (RFC 2131, 3).
const MAGIC: u32 = 0x6382_5363;

pub(super) fn write(question: &Question) -> Vec<u8> {
    let from = Ipv4Addr::UNSPECIFIED;
    let to = Ipv4Addr::BROADCAST;
    let mac = EthernetAddress(question.mac.0);
    let message = DhcpRepr {
        message_type: match question.offer {
            Some(_) => DhcpMessageType::Request,
            None => DhcpMessageType::Discover,
        },
        transaction_id: question.transaction,
        secs: question.seconds,
        client_hardware_address: mac,
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: Ipv4Addr::UNSPECIFIED,
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        // A card without an address gets no unicast packets on some bridges.
        broadcast: true,
        requested_ip: question.offer.map(|(address, _)| address),
        // iPXE sends the same, and so gets the same lease.
        client_identifier: Some(mac),
        server_identifier: question.offer.map(|(_, server)| server),
        parameter_request_list: Some(&options::WANTED),
        dns_servers: None,
        max_size: Some(MAX_MESSAGE),
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    // The bytes after the end of the options are zeros, which pad.
    let len = message.buffer_len().max(MIN_MESSAGE);
    let udp = UdpRepr {
        src_port: DHCP_CLIENT_PORT,
        dst_port: DHCP_SERVER_PORT,
    };
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Udp,
        payload_len: UDP_HEADER_LEN + len,
        hop_limit: 64,
    };
    let checksums = ChecksumCapabilities::default();
    let mut bytes = vec![0; IPV4_HEADER_LEN + UDP_HEADER_LEN + len];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
    ip.emit(&mut packet, &checksums);
    udp.emit(
        &mut UdpPacket::new_unchecked(packet.payload_mut()),
        &from.into(),
        &to.into(),
        len,
        |payload| {
            let written = message.emit(&mut DhcpPacket::new_unchecked(payload));
            debug_assert!(
                written.is_ok(),
                "the buffer has the length that was asked for"
            );
        },
        &checksums,
    );
    bytes
}

pub(super) fn read(bytes: &[u8], checksum: UdpChecksum) -> Result<Answer, Ignored> {
    let message = payload(bytes, checksum)?;
    let packet = DhcpPacket::new_checked(message).map_err(|_| Ignored::Malformed)?;
    let ethernet = u16::from(packet.hardware_type()) == ETHERNET && packet.hardware_len() == 6;
    if packet.opcode() != DhcpOpCode::Reply || !ethernet || packet.magic_number() != MAGIC {
        return Err(Ignored::Malformed);
    }
    let options = Options::read(&packet, message);
    let kind = match options.get(options::MESSAGE_TYPE) {
        Some([kind]) => DhcpMessageType::from(*kind),
        _ => return Err(Ignored::Malformed),
    };
    Ok(Answer {
        kind,
        mac: Mac(packet.client_hardware_address().0),
        transaction: packet.transaction_id(),
        address: packet.your_ip(),
        options,
    })
}

/// What the UDP datagram from a server's port to a client's port carries.
fn payload(bytes: &[u8], checksum: UdpChecksum) -> Result<&[u8], Ignored> {
    let ip = Ipv4Packet::new_checked(bytes).map_err(|_| Ignored::NotDhcp)?;
    let whole = !ip.more_frags()
        && ip.frag_offset() == 0
        && usize::from(ip.header_len()) >= IPV4_HEADER_LEN;
    if ip.version() != 4 || !whole || ip.next_header() != IpProtocol::Udp {
        return Err(Ignored::NotDhcp);
    }
    let udp = UdpPacket::new_checked(ip.payload()).map_err(|_| Ignored::NotDhcp)?;
    if (udp.src_port(), udp.dst_port()) != (DHCP_SERVER_PORT, DHCP_CLIENT_PORT) {
        return Err(Ignored::NotDhcp);
    }
    let (from, to) = (IpAddr::V4(ip.src_addr()), IpAddr::V4(ip.dst_addr()));
    let filled = checksum == UdpChecksum::Filled;
    if !ip.verify_checksum() || filled && !udp.verify_checksum(&from.into(), &to.into()) {
        return Err(Ignored::Checksum);
    }
    Ok(udp.payload())
}
