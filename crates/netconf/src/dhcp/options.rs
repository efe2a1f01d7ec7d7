//! The options of a DHCP message (RFC 2132), put together.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::wire::DhcpPacket;

pub(super) const SUBNET_MASK: u8 = 1;
pub(super) const ROUTER: u8 = 3;
pub(super) const NAME_SERVERS: u8 = 6;
pub(super) const DOMAIN: u8 = 15;
pub(super) const MTU: u8 = 26;
const OVERLOAD: u8 = 52;
pub(super) const MESSAGE_TYPE: u8 = 53;
pub(super) const SERVER: u8 = 54;
pub(super) const CLASSLESS_ROUTES: u8 = 121;

/// RFC 3442: classless routes come before the router in the list.
pub(super) const WANTED: [u8; 6] = [
    SUBNET_MASK,
    CLASSLESS_ROUTES,
    ROUTER,
    NAME_SERVERS,
    DOMAIN,
    MTU,
];

/// Where `sname`, `file` and the options begin in a message.
const SNAME: usize = 44;
const FILE: usize = 108;
const OPTIONS: usize = 240;

/// Each option that occurs, with its bytes; an option that occurs several times is one long option (RFC 3396).
#[derive(Debug, Default)]
pub(super) struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    /// `message` is what `packet` was made of.
    pub(super) fn read(packet: &DhcpPacket<&[u8]>, message: &[u8]) -> Self {
        let mut options = Self::default();
        options.add(packet);
        // A server that has no room uses the fields of two names, which nobody asked for (RFC 2132, 9.3).
        let overload = match options.get(OVERLOAD) {
            Some([fields]) => *fields,
            _ => 0,
        };
        for (bit, from, to) in [(1, FILE, OPTIONS - 4), (2, SNAME, FILE)] {
            if overload & bit != 0
                && let (Some(header), Some(field)) = (message.get(..OPTIONS), message.get(from..to))
            {
                let moved = [header, field].concat();
                options.add(&DhcpPacket::new_unchecked(moved.as_slice()));
            }
        }
        options
    }

    fn add(&mut self, packet: &DhcpPacket<&[u8]>) {
        for option in packet.options() {
            self.0
                .entry(option.kind)
                .or_default()
                .extend_from_slice(option.data);
        }
    }

    pub(super) fn get(&self, kind: u8) -> Option<&[u8]> {
        self.0.get(&kind).map(Vec::as_slice)
    }

    /// The one address of an option.
    pub(super) fn address(&self, kind: u8) -> Option<Ipv4Addr> {
        match self.get(kind)? {
            [a, b, c, d] => Some(Ipv4Addr::new(*a, *b, *c, *d)),
            _ => None,
        }
    }

    /// The addresses of an option, at most `limit`.
    pub(super) fn addresses(&self, kind: u8, limit: usize) -> Vec<Ipv4Addr> {
        let bytes = self.get(kind).unwrap_or_default();
        let (addresses, _) = bytes.as_chunks();
        addresses
            .iter()
            .take(limit)
            .map(|&[a, b, c, d]| Ipv4Addr::new(a, b, c, d))
            .collect()
    }
}
