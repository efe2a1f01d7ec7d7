//! The kernel's links, addresses and routes, read and changed by rtnetlink(7).

mod address;
mod link;
mod options;
mod route;

pub(super) use address::Held;
pub(super) use options::Options;
pub(super) use route::Route;

use core::net::IpAddr;

use linux_raw_sys::net as n;

/// The family of an address, as the first byte of most messages has it.
fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => n::AF_INET as u8,
        IpAddr::V6(_) => n::AF_INET6 as u8,
    }
}

/// The bytes of an address.
fn with_octets<R>(address: IpAddr, then: impl FnOnce(&[u8]) -> R) -> R {
    match address {
        IpAddr::V4(address) => then(&address.octets()),
        IpAddr::V6(address) => then(&address.octets()),
    }
}

/// The address that these bytes are.
fn from_octets(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(octets));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
