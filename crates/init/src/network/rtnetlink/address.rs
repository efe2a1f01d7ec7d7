//! Addresses of links.

use alloc::vec::Vec;
use core::net::IpAddr;

use linux_raw_sys::net as n;
use linux_raw_sys::netlink as l;

use super::{family, from_octets, with_octets};
use crate::netlink::{Message, Netlink, Request, attributes, number};
use crate::sys::Errno;

/// The size of `ifaddrmsg`.
const BODY: usize = 8;

/// An address that a link has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::network) struct Held {
    /// The link's index.
    pub link: u32,
    pub address: IpAddr,
    /// The size of its subnet, in bits.
    pub prefix: u8,
    /// Whether it reaches beyond the link.
    pub is_global: bool,
    /// Whether the kernel still asks if another machine has it.
    pub is_tentative: bool,
    /// Whether another machine has it.
    pub is_duplicate: bool,
}

impl Held {
    /// The layout of `ifaddrmsg`: family, prefix, flags, scope, link; and attributes.
    fn read(message: Message<'_>) -> Option<Self> {
        let body = message.body;
        let [_, prefix, flags, scope] = *body.first_chunk()?;
        let mut flags = u32::from(flags);
        let (mut address, mut local) = (None, None);
        for (kind, value) in attributes(body, BODY) {
            if kind == l::IFA_ADDRESS as u32 {
                address = from_octets(value);
            } else if kind == l::IFA_LOCAL as u32 {
                local = from_octets(value);
            } else if kind == l::IFA_FLAGS as u32 {
                flags = number(value, 0)?;
            }
        }
        Some(Self {
            link: number(body, 4)?,
            // On a link to one other machine, the first is that machine's.
            address: local.or(address)?,
            prefix,
            is_global: u32::from(scope) < l::rt_scope_t::RT_SCOPE_LINK as u32,
            is_tentative: flags & l::IFA_F_TENTATIVE != 0,
            is_duplicate: flags & l::IFA_F_DADFAILED != 0,
        })
    }
}

impl Netlink {
    /// The addresses of all links.
    pub(in crate::network) fn addresses(&mut self) -> Result<Vec<Held>, Errno> {
        let mut list = Vec::new();
        let body = address_message(n::AF_UNSPEC as u8, 0, 0);
        let request = Request::new(l::RTM_GETADDR as u32, l::NLM_F_DUMP, &body);
        self.ask(request, |message| {
            if message.kind == l::RTM_NEWADDR as u32 {
                list.extend(Held::read(message));
            }
        })?;
        Ok(list)
    }

    /// Gives a link an address. One that it has already is fine.
    pub(in crate::network) fn add_address(
        &mut self,
        link: u32,
        address: IpAddr,
        prefix: u8,
    ) -> Result<(), Errno> {
        self.change(new_address(link, address, prefix))
    }

    /// Takes an address from a link.
    pub(in crate::network) fn delete_address(
        &mut self,
        link: u32,
        address: IpAddr,
        prefix: u8,
    ) -> Result<(), Errno> {
        let body = address_message(family(address), prefix, link);
        let request = Request::new(l::RTM_DELADDR as u32, l::NLM_F_ACK, &body);
        self.change(with_octets(address, |octets| {
            request.with(l::IFA_LOCAL as u32, octets)
        }))
    }
}

fn new_address(link: u32, address: IpAddr, prefix: u8) -> Request {
    let body = address_message(family(address), prefix, link);
    let flags = l::NLM_F_ACK | l::NLM_F_CREATE | l::NLM_F_REPLACE;
    let mut request = Request::new(l::RTM_NEWADDR as u32, flags, &body);
    for kind in [l::IFA_LOCAL, l::IFA_ADDRESS] {
        request = with_octets(address, |octets| request.with(kind as u32, octets));
    }
    match address {
        // Subnets of one or two addresses have none for everybody.
        IpAddr::V4(address) if prefix < 31 => {
            let host_bits = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            let everybody = address.to_bits() | host_bits;
            request.with(l::IFA_BROADCAST as u32, &everybody.to_be_bytes())
        }
        IpAddr::V4(_) => request,
        // Whoever wrote it on the command line knows that it is this machine's, and packets can be sent at once.
        IpAddr::V6(_) => request.with(l::IFA_FLAGS as u32, &l::IFA_F_NODAD.to_ne_bytes()),
    }
}

fn address_message(family: u8, prefix: u8, link: u32) -> [u8; BODY] {
    let [a, b, c, d] = link.to_ne_bytes();
    [family, prefix, 0, 0, a, b, c, d]
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;
    use crate::netlink::messages;

    #[test]
    fn an_address_with_the_one_for_everybody() {
        let bytes = new_address(2, "10.1.2.3".parse().unwrap(), 22).finish(1);
        #[rustfmt::skip]
        assert_eq!(bytes, [
            48, 0, 0, 0,  20, 0, 5, 5,  1, 0, 0, 0,  0, 0, 0, 0,
            2, 22, 0, 0,  2, 0, 0, 0,
            8, 0, 2, 0,  10, 1, 2, 3,
            8, 0, 1, 0,  10, 1, 2, 3,
            8, 0, 4, 0,  10, 1, 3, 255,
        ][..]);
        for (prefix, len) in [(31, 40), (32, 40), (0, 48)] {
            let bytes = new_address(2, "10.1.2.3".parse().unwrap(), prefix).finish(1);
            assert_eq!(bytes.len(), len);
        }
    }

    #[test]
    fn an_address_of_ipv6_is_read() {
        let address: IpAddr = "2001:db8::5".parse().unwrap();
        let mut body = address_message(10, 64, 3);
        body[2] = 0x80;
        let bytes = with_octets(address, |octets| {
            Request::new(20, 0, &body)
                .with(l::IFA_ADDRESS as u32, octets)
                .with(l::IFA_FLAGS as u32, &l::IFA_F_TENTATIVE.to_ne_bytes())
                .finish(0)
        });
        let read = |bytes: &[u8]| messages(bytes).next().and_then(Held::read);
        assert_eq!(
            read(&bytes),
            Some(Held {
                link: 3,
                address,
                prefix: 64,
                is_global: true,
                is_tentative: true,
                is_duplicate: false
            })
        );
        assert_eq!(read(&Request::new(20, 0, &body).finish(0)), None);
        assert_eq!(read(&Request::new(20, 0, &body[..3]).finish(0)), None);
    }

    #[test]
    fn this_machine_has_the_loopback_address() {
        let list = Netlink::open(crate::sys::Protocol::Route)
            .unwrap()
            .addresses()
            .unwrap();
        let loopback = list
            .iter()
            .find(|held| held.address.is_loopback() && held.address.is_ipv4())
            .unwrap();
        assert_eq!((loopback.prefix, loopback.is_global), (8, false));
    }
}
