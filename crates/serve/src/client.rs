//! Whom the limits for each client count as one.

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one address: a machine has as many addresses of IPv6 as it likes, all in one network of 64 bits.
pub(crate) fn client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}
