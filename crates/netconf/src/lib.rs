//! The network settings of a machine that boots, for a program that has sockets and nothing else.
//!
//! - [`words`] reads `ip=`, `nameserver=`, `vlan=` and `BOOTIF=` of the kernel command line.
//! - [`dhcp`] takes an IPv4 address from a DHCP server.
//! - [`router`] reads the name servers that an IPv6 router advertises.
//! - [`dns`] turns a name into addresses.
//!
//! The crate does no I/O. The clients of [`dhcp`] and [`dns`] are state machines: the caller asks them what to do next
//! (send this, or wait until then), hands them what arrives, and gives them the time and random numbers. A time is a
//! [`Duration`](core::time::Duration) on a clock that only goes forward; where its zero lies does not matter.
//!
//! Bytes that come from the network are hostile until they are checked: no input makes these parsers panic, and the
//! time, the memory and the number of packets of every client have a bound.
#![no_std]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod dhcp;
pub mod dns;
mod mac;
pub mod router;
pub mod words;

pub use mac::Mac;

use core::net::{IpAddr, Ipv4Addr};
use core::ops::RangeInclusive;

/// An IPv4 packet of 576 bytes must get through everywhere, and its length has 16 bits.
const MTU: RangeInclusive<u32> = 576..=65535;

/// Whether one machine can have this address on a network.
fn is_unicast(address: IpAddr) -> bool {
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        return false;
    }
    match address {
        // 0/8 is "this network", and 240/4 reserved but for the broadcast address.
        IpAddr::V4(address) => (1..240).contains(&address.octets()[0]),
        IpAddr::V6(_) => true,
    }
}

/// The number of leading ones, if there are only zeros after them.
fn prefix_len_of_mask(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let ones = bits.leading_ones();
    (bits.count_ones() == ones).then(|| ones.try_into().ok())?
}
