//! A DHCP server's side: reads what the client sends, and writes answers.

use std::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress, IpProtocol, Ipv4Packet,
    Ipv4Repr, UdpPacket, UdpRepr,
};
use storeboot_netconf::Mac;

use crate::{ADDRESS, SERVER};

/// Where the options begin in a packet.
pub const OPTIONS: usize = 20 + 8 + 240;

/// What a client asks.
#[derive(Clone, Debug)]
pub struct Asked {
    pub kind: DhcpMessageType,
    pub transaction: u32,
    pub mac: Mac,
    pub seconds: u16,
    pub broadcast: bool,
    pub requested: Option<Ipv4Addr>,
    pub server: Option<Ipv4Addr>,
    pub parameters: Vec<u8>,
}

/// Reads a packet of the client, which must be right in every respect.
pub fn read(bytes: &[u8]) -> Asked {
    let checksums = ChecksumCapabilities::default();
    let packet = Ipv4Packet::new_checked(bytes).expect("a whole packet");
    let ip = Ipv4Repr::parse(&packet, &checksums).expect("a packet with the right checksum");
    assert_eq!(
        (ip.src_addr, ip.dst_addr),
        (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST)
    );
    let packet = UdpPacket::new_checked(packet.payload()).expect("a whole datagram");
    let (from, to) = (ip.src_addr.into(), ip.dst_addr.into());
    let udp = UdpRepr::parse(&packet, &from, &to, &checksums).expect("the right checksum");
    assert_eq!((udp.src_port, udp.dst_port), (68, 67));
    assert!(
        packet.payload().len() >= 300,
        "some relays drop shorter messages"
    );
    let packet = DhcpPacket::new_checked(packet.payload()).expect("a whole message");
    let message = DhcpRepr::parse(&packet).expect("a message");
    assert_eq!(
        message.client_identifier,
        Some(message.client_hardware_address)
    );
    assert_eq!(message.max_size, Some(1472));
    Asked {
        kind: message.message_type,
        transaction: message.transaction_id,
        mac: Mac(message.client_hardware_address.0),
        seconds: message.secs,
        broadcast: message.broadcast,
        requested: message.requested_ip,
        server: message.server_identifier,
        parameters: message.parameter_request_list.unwrap_or_default().to_vec(),
    }
}

/// What a server says.
#[derive(Clone, Debug)]
pub struct Answer {
    transaction: u32,
    mac: Mac,
    address: Ipv4Addr,
    options: Vec<(u8, Vec<u8>)>,
}

impl Answer {
    fn new(asked: &Asked, kind: u8, address: Ipv4Addr) -> Self {
        Self {
            transaction: asked.transaction,
            mac: asked.mac,
            address,
            options: vec![(53, vec![kind]), (54, SERVER.octets().to_vec())],
        }
    }

    fn with_settings(self) -> Self {
        self.with(1, &[255, 255, 255, 0])
            .with(3, &[SERVER.octets(), [192, 0, 2, 2]].concat())
            .with(6, &SERVER.octets())
            .with(15, b"Example.ORG")
            .with(26, &1400_u16.to_be_bytes())
    }

    /// Offers [`ADDRESS`], with settings.
    pub fn offer(asked: &Asked) -> Self {
        Self::new(asked, 2, ADDRESS).with_settings()
    }

    /// Confirms [`ADDRESS`], with settings.
    pub fn ack(asked: &Asked) -> Self {
        Self::new(asked, 5, ADDRESS).with_settings()
    }

    /// Refuses.
    pub fn nak(asked: &Asked) -> Self {
        Self::new(asked, 6, Ipv4Addr::UNSPECIFIED)
    }

    /// The same with another value of an option.
    pub fn with(self, kind: u8, value: &[u8]) -> Self {
        self.without(kind).also(kind, value)
    }

    /// The same with one more option.
    pub fn also(mut self, kind: u8, value: &[u8]) -> Self {
        self.options.push((kind, value.to_vec()));
        self
    }

    pub fn without(mut self, kind: u8) -> Self {
        self.options.retain(|(other, _)| *other != kind);
        self
    }

    pub fn with_mac(self, mac: Mac) -> Self {
        Self { mac, ..self }
    }

    pub fn with_transaction(self, transaction: u32) -> Self {
        Self {
            transaction,
            ..self
        }
    }

    pub fn with_address(self, address: Ipv4Addr) -> Self {
        Self { address, ..self }
    }
}

/// The whole IPv4 packet.
pub fn packet(answer: &Answer) -> Vec<u8> {
    packet_with(answer, |_| {})
}

/// The same, with a change of the DHCP message before the checksums are made.
pub fn packet_with(answer: &Answer, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let message = message(answer);
    let checksums = ChecksumCapabilities::default();
    let ip = Ipv4Repr {
        src_addr: SERVER,
        dst_addr: Ipv4Addr::BROADCAST,
        next_header: IpProtocol::Udp,
        payload_len: 8 + message.len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; 20 + 8 + message.len()];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
    ip.emit(&mut packet, &checksums);
    UdpRepr {
        src_port: 67,
        dst_port: 68,
    }
    .emit(
        &mut UdpPacket::new_unchecked(packet.payload_mut()),
        &ip.src_addr.into(),
        &ip.dst_addr.into(),
        message.len(),
        |payload| {
            payload.copy_from_slice(&message);
            change(payload);
        },
        &checksums,
    );
    bytes
}

fn message(answer: &Answer) -> Vec<u8> {
    // The type of the message comes with the other options, where it is written twice otherwise.
    let options: Vec<_> = answer
        .options
        .iter()
        .map(|(kind, data)| DhcpOption { kind: *kind, data })
        .collect();
    let len: usize = options.iter().map(|option| 2 + option.data.len()).sum();
    let mut bytes = vec![0; 240 + len + 1];
    let mut packet = DhcpPacket::new_unchecked(bytes.as_mut_slice());
    packet.set_opcode(smoltcp::wire::DhcpOpCode::Reply);
    packet.set_hardware_type(smoltcp::wire::ArpHardware::Ethernet);
    packet.set_hardware_len(6);
    packet.set_transaction_id(answer.transaction);
    packet.set_client_hardware_address(EthernetAddress(answer.mac.0));
    packet.set_your_ip(answer.address);
    packet.set_magic_number(0x6382_5363);
    let mut writer = packet.options_mut();
    for option in options {
        writer.emit(option).expect("there is room");
    }
    writer.end().expect("there is room");
    bytes
}
