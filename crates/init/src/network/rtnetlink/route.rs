//! Routes.

use core::net::IpAddr;

use linux_raw_sys::net as n;
use linux_raw_sys::netlink as l;

use super::{family, with_octets};
use crate::netlink::{Message, Netlink, Request, attributes, number};
use crate::sys::Errno;

/// The size of `rtmsg`.
const BODY: usize = 12;

/// A way to a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::network) struct Route {
    /// The index of the link that leads there.
    pub link: u32,
    /// The subnet: any address of it and its size in bits, which is 0 for everywhere.
    pub to: (IpAddr, u8),
    /// The machine that passes packets on; without one, the subnet is on the link itself.
    pub gateway: Option<IpAddr>,
}

impl Netlink {
    /// Adds a route. One that is there already is fine.
    pub(in crate::network) fn add_route(&mut self, route: &Route) -> Result<(), Errno> {
        self.change(new_route(route))
    }

    /// Whether IPv6 packets to everywhere find a way over a link.
    pub(in crate::network) fn has_default_route6(&mut self, link: u32) -> Result<bool, Errno> {
        let mut found = false;
        let mut body = [0; BODY];
        body[0] = n::AF_INET6 as u8;
        let request = Request::new(l::RTM_GETROUTE as u32, l::NLM_F_DUMP, &body);
        self.ask(request, |message| {
            found |= default_route_over(message) == Some(link);
        })?;
        Ok(found)
    }
}

/// The link of a route that leads everywhere.
fn default_route_over(message: Message<'_>) -> Option<u32> {
    // The layout of `rtmsg`: family, sizes of the destination's and the source's subnet, type of service, table,
    // origin, scope, kind, flags.
    let [_, to, from, _, _, _, _, kind] = *message.body.first_chunk()?;
    let leads_everywhere = message.kind == l::RTM_NEWROUTE as u32
        && (to, from) == (0, 0)
        && u32::from(kind) == l::RTN_UNICAST as u32;
    if !leads_everywhere {
        return None;
    }
    let (_, link) = attributes(message.body, BODY)
        .find(|(kind, _)| *kind == l::rtattr_type_t::RTA_OIF as u32)?;
    number(link, 0)
}

fn new_route(route: &Route) -> Request {
    let (to, prefix) = route.to;
    let scope = match route.gateway {
        Some(_) => l::rt_scope_t::RT_SCOPE_UNIVERSE,
        None => l::rt_scope_t::RT_SCOPE_LINK,
    };
    // A gateway need not be in a subnet of the link: cloud machines with an address of their own alone have such.
    let flags = route.gateway.map_or(0, |_| l::RTNH_F_ONLINK);
    let mut body = [0; BODY];
    body[0] = family(to);
    body[1] = prefix;
    body[4] = l::rt_class_t::RT_TABLE_MAIN as u8;
    body[5] = l::RTPROT_BOOT as u8;
    body[6] = scope as u8;
    body[7] = l::RTN_UNICAST as u8;
    body[8..].copy_from_slice(&flags.to_ne_bytes());
    let create = l::NLM_F_ACK | l::NLM_F_CREATE | l::NLM_F_REPLACE;
    let mut request = Request::new(l::RTM_NEWROUTE as u32, create, &body);
    if prefix > 0 {
        request = with_octets(subnet(to, prefix), |octets| {
            request.with(l::rtattr_type_t::RTA_DST as u32, octets)
        });
    }
    if let Some(gateway) = route.gateway {
        request = with_octets(gateway, |octets| {
            request.with(l::rtattr_type_t::RTA_GATEWAY as u32, octets)
        });
    }
    request.with(l::rtattr_type_t::RTA_OIF as u32, &route.link.to_ne_bytes())
}

/// The first address of a subnet: the kernel refuses a route to any other.
fn subnet(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix));
            IpAddr::V4((address.to_bits() & mask.unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix));
            IpAddr::V6((address.to_bits() & mask.unwrap_or(0)).into())
        }
    }
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;
    use crate::netlink::messages;

    fn bytes(to: &str, prefix: u8, gateway: Option<&str>) -> alloc::vec::Vec<u8> {
        new_route(&Route {
            link: 2,
            to: (to.parse().unwrap(), prefix),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        })
        .finish(1)
    }

    #[test]
    fn a_gateway_counts_as_on_the_link() {
        #[rustfmt::skip]
        assert_eq!(bytes("0.0.0.0", 0, Some("10.0.0.1")), [
            44, 0, 0, 0,  24, 0, 5, 5,  1, 0, 0, 0,  0, 0, 0, 0,
            2, 0, 0, 0,  254, 3, 0, 1,  4, 0, 0, 0,
            8, 0, 5, 0,  10, 0, 0, 1,
            8, 0, 4, 0,  2, 0, 0, 0,
        ][..]);
    }

    #[test]
    fn a_route_leads_to_the_start_of_its_subnet() {
        #[rustfmt::skip]
        assert_eq!(bytes("10.1.2.3", 12, None)[16..], [
            2, 12, 0, 0,  254, 3, 253, 1,  0, 0, 0, 0,
            8, 0, 1, 0,  10, 0, 0, 0,
            8, 0, 4, 0,  2, 0, 0, 0,
        ][..]);
        let at = |address: &str, prefix| subnet(address.parse().unwrap(), prefix);
        assert_eq!(at("10.1.2.3", 32), "10.1.2.3".parse::<IpAddr>().unwrap());
        assert_eq!(at("10.1.2.3", 0), "0.0.0.0".parse::<IpAddr>().unwrap());
        assert_eq!(at("fd00::1", 64), "fd00::".parse::<IpAddr>().unwrap());
        assert_eq!(at("fd00::1", 128), "fd00::1".parse::<IpAddr>().unwrap());
        assert_eq!(at("fd00::1", 0), "::".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_default_route_is_told_from_others() {
        let link = |bytes: &[u8]| messages(bytes).next().and_then(default_route_over);
        assert_eq!(link(&bytes("::", 0, Some("fe80::1"))), Some(2));
        assert_eq!(link(&bytes("fd00::", 8, Some("fe80::1"))), None);
        let mut unreachable = bytes("::", 0, Some("fe80::1"));
        unreachable[16 + 7] = 7;
        assert_eq!(link(&unreachable), None);
        assert_eq!(link(&bytes("::", 0, None)[..30]), None);
    }
}
