//! What a lease says, read from an answer.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use super::Ignored;
use super::options;
use super::packet::Answer;
use crate::dns::Name;

/// More name servers are not asked anyway.
const MAX_NAME_SERVERS: usize = 8;
/// More routes than a rack has networks.
const MAX_ROUTES: usize = 64;

/// An address, and what a server says with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// A unicast address.
    pub address: Ipv4Addr,
    /// The length of the network's prefix, 1 to 32.
    pub prefix_len: u8,
    /// The routes, in order. The default route is one of them, if there is one. From option 121, else from option 3.
    pub routes: Vec<Route>,
    /// At most eight, in order.
    pub name_servers: Vec<Ipv4Addr>,
    /// The link's MTU, in bytes, 576 to 65535.
    pub mtu: Option<u32>,
    /// The domain for names of one label.
    pub domain: Option<String>,
    /// Who gave the lease.
    pub server: Ipv4Addr,
}

/// The way to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network's address; bits after the prefix are zero.
    pub destination: Ipv4Addr,
    /// The length of the network's prefix, 0 to 32.
    pub prefix_len: u8,
    /// A unicast address, which need not be in the lease's network: it is on the link then. `None`: the whole network
    /// is on the link.
    pub gateway: Option<Ipv4Addr>,
}

pub(super) fn server(answer: &Answer) -> Result<Ipv4Addr, Ignored> {
    let server = answer.options.address(options::SERVER);
    server.filter(is_unicast).ok_or(Ignored::NoServer)
}

pub(super) fn read(answer: &Answer) -> Result<Lease, Ignored> {
    let server = server(answer)?;
    let mask = answer.options.address(options::SUBNET_MASK);
    let prefix_len = mask
        .and_then(crate::prefix_len_of_mask)
        .filter(|len| *len > 0)
        .ok_or(Ignored::Netmask)?;
    let address = answer.address;
    if !is_unicast(&address) || !is_host(address, prefix_len) {
        return Err(Ignored::Address(address));
    }
    let name_servers = answer
        .options
        .addresses(options::NAME_SERVERS, MAX_NAME_SERVERS)
        .into_iter()
        .filter(is_unicast)
        .collect();
    Ok(Lease {
        address,
        prefix_len,
        routes: routes(answer),
        name_servers,
        mtu: mtu(answer),
        domain: domain(answer),
        server,
    })
}

fn is_unicast(address: &Ipv4Addr) -> bool {
    crate::is_unicast(IpAddr::V4(*address))
}

/// Neither the network's own address nor its broadcast address, which networks of one or two addresses do not have.
fn is_host(address: Ipv4Addr, prefix_len: u8) -> bool {
    let host = !mask(prefix_len);
    prefix_len > 30 || (address.to_bits() & host != 0 && address.to_bits() & host != host)
}

fn mask(prefix_len: u8) -> u32 {
    u32::MAX
        .checked_shl(32 - u32::from(prefix_len))
        .unwrap_or(0)
}

/// RFC 3442: with classless routes, the router does not count.
fn routes(answer: &Answer) -> Vec<Route> {
    match answer.options.get(options::CLASSLESS_ROUTES) {
        Some(bytes) => classless_routes(bytes),
        None => answer
            .options
            .addresses(options::ROUTER, 1)
            .into_iter()
            .filter(is_unicast)
            .map(|gateway| Route {
                destination: Ipv4Addr::UNSPECIFIED,
                prefix_len: 0,
                gateway: Some(gateway),
            })
            .collect(),
    }
}

/// Reads as far as the bytes make sense.
fn classless_routes(mut bytes: &[u8]) -> Vec<Route> {
    let mut routes = Vec::new();
    while routes.len() < MAX_ROUTES
        && let Some((route, rest)) = classless_route(bytes)
    {
        if route.gateway.is_none_or(|gateway| is_unicast(&gateway)) {
            routes.push(route);
        }
        bytes = rest;
    }
    routes
}

/// The length of a prefix, as many of its bytes as are not zero for sure, and a gateway; 0.0.0.0 means the link.
fn classless_route(bytes: &[u8]) -> Option<(Route, &[u8])> {
    let (&prefix_len, rest) = bytes.split_first().filter(|(len, _)| **len <= 32)?;
    let (network, rest) = rest.split_at_checked(usize::from(prefix_len.div_ceil(8)))?;
    let (&gateway, rest) = rest.split_first_chunk::<4>()?;
    let mut octets = [0; 4];
    octets.get_mut(..network.len())?.copy_from_slice(network);
    let gateway = Ipv4Addr::from(gateway);
    let route = Route {
        destination: Ipv4Addr::from_bits(u32::from_be_bytes(octets) & mask(prefix_len)),
        prefix_len,
        gateway: (!gateway.is_unspecified()).then_some(gateway),
    };
    Some((route, rest))
}

fn mtu(answer: &Answer) -> Option<u32> {
    let bytes = answer.options.get(options::MTU)?;
    let mtu = u16::from_be_bytes(bytes.try_into().ok()?).into();
    crate::MTU.contains(&mtu).then_some(mtu)
}

/// Some servers count the zero at the end of a C string.
fn domain(answer: &Answer) -> Option<String> {
    let bytes = answer.options.get(options::DOMAIN)?;
    let text = core::str::from_utf8(bytes).ok()?.trim_end_matches('\0');
    Name::parse(text).ok().map(|name| name.as_str().into())
}
