//! Why there is no network. Each error is one sentence.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use storeboot_netconf::dhcp::Error as NoLease;

use super::links::{Link, List};
use crate::sys::Errno;

/// Why there is no network.
#[derive(Debug)]
pub(crate) enum Error {
    /// The kernel does not let stage 1 see or change its links.
    NoNetlink(Errno),
    /// The kernel does not send what DHCP needs.
    NoPacketSockets(Errno),
    /// There is no link at all, whatever the patience.
    NoLinks,
    /// The link that the command line names is not there.
    LinkMissing {
        /// Its name, or its hardware address.
        wanted: String,
        there: Vec<Link>,
    },
    /// No link has a carrier.
    NoCarrier { links: Vec<Link>, seconds: u64 },
    /// There are links with a carrier, but no answers.
    NoAnswer {
        /// Who did not answer.
        nobody: &'static str,
        asked: Vec<Link>,
        without_carrier: Vec<Link>,
        seconds: u64,
    },
    /// One link has a carrier, and DHCP gave it nothing.
    NoLease { link: Link, reason: NoLease },
    /// A link cannot be set up.
    SetUp { link: Link, errno: Errno },
    /// A VLAN cannot be made.
    Vlan {
        name: String,
        parent: String,
        errno: Errno,
    },
    /// An address cannot be given to a link.
    Address {
        link: Link,
        address: IpAddr,
        prefix: u8,
        errno: Errno,
    },
    /// The way to other networks cannot be set.
    Gateway {
        link: Link,
        gateway: IpAddr,
        errno: Errno,
    },
}

impl Error {
    /// Whether a DHCP server answered, and did not give an address.
    pub(super) fn is_of_one_server(&self) -> bool {
        let Self::NoLease { reason, .. } = self else {
            return false;
        };
        !matches!(reason, NoLease::NoOffer { ignored: None, .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNetlink(errno) => {
                write!(f, "this kernel lets nobody set up its network (netlink: {errno}): it needs CONFIG_NET")
            }
            Self::NoPacketSockets(errno) => write!(
                f,
                "this kernel cannot send DHCP's packets (AF_PACKET: {errno}): it needs CONFIG_PACKET, built in or as \
                 the module `af_packet` in the initrd, or an address by ip= on the command line"
            ),
            Self::NoLinks => f.write_str(
                "this machine has no wired network card that works: either it has none, or the initrd lacks the card's \
                 driver (build with --network-modules all)",
            ),
            Self::LinkMissing { wanted, there } if there.is_empty() => write!(
                f,
                "the network link {wanted} of the command line is not there, and neither is any other: the initrd \
                 may lack the card's driver (build with --network-modules all)"
            ),
            Self::LinkMissing { wanted, there } => write!(
                f,
                "the network link {wanted} of the command line is not there; this machine has {}",
                List(there)
            ),
            Self::NoCarrier { links, seconds } => write!(
                f,
                "no cable leads anywhere: after {seconds} s there is no carrier on {}",
                List(links)
            ),
            Self::NoAnswer { nobody, asked, without_carrier, seconds } => {
                write!(f, "this machine got no address: in {seconds} s, {nobody} answered on {}", List(asked))?;
                if !without_carrier.is_empty() {
                    write!(f, "; there is no carrier on {}", List(without_carrier))?;
                }
                Ok(())
            }
            Self::NoLease { link, reason } => write!(f, "{link} got no address: {reason}"),
            Self::SetUp { link, errno } => write!(f, "the network link {link} cannot be set up: {errno}"),
            Self::Vlan { name, parent, errno } => {
                write!(f, "the VLAN {name} cannot be made on {parent}: {errno}")?;
                if *errno == Errno::EOPNOTSUPP {
                    f.write_str("; this kernel needs CONFIG_VLAN_8021Q, built in or as a module in the initrd")?;
                }
                Ok(())
            }
            Self::Address { link, address, prefix, errno } => {
                write!(f, "the address {address}/{prefix} cannot be given to {link}: {errno}")
            }
            Self::Gateway { link, gateway, errno } => {
                write!(f, "the gateway {gateway} cannot be reached over {link}: {errno}")
            }
        }
    }
}
