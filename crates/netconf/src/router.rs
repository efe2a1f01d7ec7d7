//! What a router advertises about names, as the kernel hands it on.
//!
//! The kernel takes addresses, routes and the MTU out of a router advertisement itself. What it has no use for it sends
//! to the members of the rtnetlink group `RTNLGRP_ND_USEROPT`, as messages of type `RTM_NEWNDUSEROPT`: a
//! `struct nduseroptmsg`, the option as it came, and attributes.
//!
//! ```
//! use storeboot_netconf::router::Advertised;
//!
//! // From device 2, on a little-endian machine.
//! let mut message = vec![10, 0, 24, 0, 2, 0, 0, 0, 134, 0, 0, 0, 0, 0, 0, 0];
//! # if cfg!(target_endian = "big") { message[2..8].copy_from_slice(&[0, 24, 0, 0, 0, 2]); }
//! message.extend([25, 3, 0, 0, 0, 0, 7, 8]); // RDNSS for 1800 seconds
//! message.extend("2001:db8::53".parse::<std::net::Ipv6Addr>()?.octets());
//! let advertised = Advertised::read(&message)?;
//! assert_eq!(advertised.device, 2);
//! assert_eq!(advertised.name_servers[0].to_string(), "2001:db8::53");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use smoltcp::wire::{NdiscOption, NdiscOptionType};

/// The length of `struct nduseroptmsg` (`linux/rtnetlink.h`).
const HEADER: usize = 16;
/// `AF_INET6`
const FAMILY: u8 = 10;
/// The ICMPv6 type of a router advertisement.
const ADVERTISEMENT: u8 = 134;
/// The type of the option with name servers (RFC 8106, 5.1).
const RDNSS: u8 = 25;
/// More name servers are not asked anyway.
const MAX_NAME_SERVERS: usize = 8;
/// The smallest MTU that IPv6 may have, and the largest that its length field allows.
const MTU: core::ops::RangeInclusive<u32> = 1280..=65535;

/// What one message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// The index of the device that the advertisement came in at. A link-local name server is to be reached there.
    pub device: u32,
    /// From the options RDNSS (RFC 8106) whose lifetime is not zero, in order, at most eight.
    pub name_servers: Vec<Ipv6Addr>,
    /// From the option MTU (RFC 4861), which the kernel does not hand on as it uses it itself.
    pub mtu: Option<u32>,
}

/// Why a message does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The message is shorter than it says.
    Short,
    /// The message is not about a router advertisement.
    NotAdvertisement,
    /// An option is longer than its message, or is of length zero.
    Option,
}

impl Advertised {
    /// Reads the payload of a netlink message of type `RTM_NEWNDUSEROPT`: what follows its `nlmsghdr`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(message: &[u8]) -> Result<Self, Error> {
        let (header, rest) = message.split_first_chunk::<HEADER>().ok_or(Error::Short)?;
        let [family, _, len0, len1, i0, i1, i2, i3, kind, ..] = *header;
        if family != FAMILY || kind != ADVERTISEMENT {
            return Err(Error::NotAdvertisement);
        }
        let len = u16::from_ne_bytes([len0, len1]);
        let mut advertised = Self {
            device: u32::from_ne_bytes([i0, i1, i2, i3]),
            name_servers: Vec::new(),
            mtu: None,
        };
        let mut options = rest.get(..len.into()).ok_or(Error::Short)?;
        while !options.is_empty() {
            let option = NdiscOption::new_checked(options).map_err(|_| Error::Option)?;
            advertised.take(&option);
            // Not zero: `new_checked` saw to it.
            options = options
                .get(8 * usize::from(option.data_len())..)
                .ok_or(Error::Option)?;
        }
        Ok(advertised)
    }

    fn take(&mut self, option: &NdiscOption<&[u8]>) {
        match option.option_type() {
            NdiscOptionType::Mtu if MTU.contains(&option.mtu()) => self.mtu = Some(option.mtu()),
            NdiscOptionType::Unknown(RDNSS) => {
                // Two reserved bytes, the lifetime in seconds, the addresses.
                let Some((&[_, _, a, b, c, d], addresses)) = option.data().split_first_chunk()
                else {
                    return;
                };
                if [a, b, c, d] == [0; 4] {
                    return;
                }
                for address in addresses.as_chunks::<16>().0 {
                    let address = Ipv6Addr::from(*address);
                    if crate::is_unicast(IpAddr::V6(address))
                        && self.name_servers.len() < MAX_NAME_SERVERS
                        && !self.name_servers.contains(&address)
                    {
                        self.name_servers.push(address);
                    }
                }
            }
            _ => {}
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "the kernel's message about a router is cut short",
            Self::NotAdvertisement => "the kernel's message is not about a router advertisement",
            Self::Option => "an option of a router advertisement has a wrong length",
        })
    }
}

impl core::error::Error for Error {}
