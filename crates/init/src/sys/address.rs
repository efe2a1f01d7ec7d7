//! Addresses of sockets, as the kernel reads them.

use core::net::SocketAddr;

use linux_raw_sys::net as n;

/// A link's hardware address, as Ethernet has it.
pub type Mac = [u8; 6];

/// Where a socket is, or where it talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address and a port.
    Ip(SocketAddr),
    /// A link, by its index, and a station there.
    Packet {
        /// The link's index.
        link: u32,
        /// The type of the Ethernet frames, such as 0x0800 for IPv4.
        protocol: u16,
        /// The station.
        mac: Mac,
    },
    /// The kernel.
    Kernel,
}

/// The largest address of a socket here: one of IPv6.
const LONGEST: usize = 28;

/// An address as bytes.
pub(super) struct Encoded {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Encoded {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push<const N: usize>(&mut self, part: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&part);
        self.len += N;
    }
}

impl Address {
    /// The layouts of `sockaddr_in`, `sockaddr_in6`, `sockaddr_ll` and `sockaddr_nl`.
    pub(super) fn encode(&self) -> Encoded {
        let mut to = Encoded {
            bytes: [0; LONGEST],
            len: 0,
        };
        let family = |family: u32| (family as u16).to_ne_bytes();
        match self {
            Self::Ip(SocketAddr::V4(address)) => {
                to.push(family(n::AF_INET));
                to.push(address.port().to_be_bytes());
                to.push(address.ip().octets());
                to.push([0; 8]);
            }
            Self::Ip(SocketAddr::V6(address)) => {
                to.push(family(n::AF_INET6));
                to.push(address.port().to_be_bytes());
                to.push(address.flowinfo().to_be_bytes());
                to.push(address.ip().octets());
                to.push(address.scope_id().to_ne_bytes());
            }
            Self::Packet {
                link,
                protocol,
                mac,
            } => {
                to.push(family(n::AF_PACKET));
                to.push(protocol.to_be_bytes());
                to.push(link.to_ne_bytes());
                // The kernel fills in the link's kind and whom the packet is for.
                to.push([0, 0, 0, mac.len() as u8]);
                to.push(*mac);
                to.push([0; 2]);
            }
            Self::Kernel => {
                to.push(family(n::AF_NETLINK));
                to.push([0; 10]);
            }
        }
        to
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use linux_raw_sys::{if_packet, netlink};

    use super::*;

    #[test]
    fn each_kind_has_the_kernels_size() {
        let ip = |text: &str| Address::Ip(text.parse().unwrap());
        let packet = Address::Packet {
            link: 7,
            protocol: 0x0800,
            mac: [0xff; 6],
        };
        let len = |address: Address| address.encode().bytes().len();
        assert_eq!(len(ip("10.0.0.1:80")), size_of::<n::sockaddr_in>());
        assert_eq!(len(ip("[fe80::1%3]:80")), size_of::<n::sockaddr_in6>());
        assert_eq!(len(packet), size_of::<if_packet::sockaddr_ll>());
        assert_eq!(len(Address::Kernel), size_of::<netlink::sockaddr_nl>());
    }

    #[test]
    fn bytes() {
        let address = Address::Ip("10.0.2.3:258".parse().unwrap());
        assert_eq!(address.encode().bytes()[2..8], [1, 2, 10, 0, 2, 3]);
        let address = Address::Ip("[fe80::1%3]:258".parse().unwrap());
        let encoded = address.encode();
        assert_eq!(encoded.bytes()[2..10], [1, 2, 0, 0, 0, 0, 0xfe, 0x80]);
        assert_eq!(encoded.bytes()[24..], 3_u32.to_ne_bytes());
        let address = Address::Packet {
            link: 9,
            protocol: 0x0800,
            mac: [1, 2, 3, 4, 5, 6],
        };
        let encoded = address.encode();
        assert_eq!(encoded.bytes()[2..4], [8, 0]);
        assert_eq!(encoded.bytes()[4..8], 9_u32.to_ne_bytes());
        assert_eq!(encoded.bytes()[11..18], [6, 1, 2, 3, 4, 5, 6]);
    }
}
