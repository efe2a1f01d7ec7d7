use core::fmt;
use core::net::Ipv4Addr;
use core::time::Duration;

/// Why there is no lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No server offered an address that the machine could use.
    NoOffer {
        /// What was wrong with the last answer to this machine, if there was one.
        ignored: Option<Ignored>,
        /// How long the client tried.
        limit: Duration,
    },
    /// A server offered an address, and did not confirm it.
    NotConfirmed {
        /// The server.
        server: Ipv4Addr,
        /// The address that it offered.
        address: Ipv4Addr,
        /// How long the client tried.
        limit: Duration,
    },
    /// A server refused the address that it had offered.
    Refused {
        /// The server.
        server: Ipv4Addr,
        /// How long the client tried.
        limit: Duration,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = |f: &mut fmt::Formatter<'_>, limit: &Duration| {
            write!(f, " within {} seconds", limit.as_secs())
        };
        match self {
            Self::NoOffer { ignored, limit } => {
                f.write_str("no DHCP server offered an address")?;
                within(f, limit)?;
                match ignored {
                    Some(ignored) => write!(f, "; the last answer did not count: {ignored}"),
                    None => Ok(()),
                }
            }
            Self::NotConfirmed {
                server,
                address,
                limit,
            } => {
                write!(
                    f,
                    "DHCP server {server} offered {address} and did not confirm it"
                )?;
                within(f, limit)
            }
            Self::Refused { server, limit } => {
                write!(
                    f,
                    "DHCP server {server} refused the address that it had offered, and none was to be had"
                )?;
                within(f, limit)
            }
        }
    }
}

impl core::error::Error for Error {}

/// Why a packet does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// It is not a whole IPv4 packet with a UDP datagram from a DHCP server to a client.
    NotDhcp,
    /// A checksum is wrong.
    Checksum,
    /// It is cut short, or is no DHCP message of a server to an Ethernet card.
    Malformed,
    /// It is for another card.
    OtherMac,
    /// It answers another packet: one of another client, or an older one of this client.
    OtherTransaction,
    /// It is from another server than the one whose offer was taken.
    OtherServer,
    /// It is for another address than the one that was offered.
    OtherAddress,
    /// Nothing of its kind was asked for.
    NotAsked,
    /// It does not say which server it is from.
    NoServer,
    /// No machine can have this address.
    Address(Ipv4Addr),
    /// It has no netmask, or one that is no netmask.
    Netmask,
}

impl Ignored {
    /// Whether the packet was an answer to this client that could not be used.
    pub(super) fn is_for_this_client(&self) -> bool {
        matches!(
            self,
            Self::OtherAddress | Self::NoServer | Self::Address(_) | Self::Netmask
        )
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDhcp => f.write_str("it is no packet of a DHCP server"),
            Self::Checksum => f.write_str("its checksum is wrong"),
            Self::Malformed => f.write_str("it is no whole DHCP message"),
            Self::OtherMac => f.write_str("it is for another card"),
            Self::OtherTransaction => f.write_str("it answers another packet"),
            Self::OtherServer => f.write_str("it is from another server"),
            Self::OtherAddress => f.write_str("it is for another address than the one offered"),
            Self::NotAsked => f.write_str("nothing of its kind was asked for"),
            Self::NoServer => f.write_str("it does not name its server"),
            Self::Address(address) => write!(f, "no machine can have the address {address}"),
            Self::Netmask => f.write_str("it has no netmask, or a wrong one"),
        }
    }
}

impl core::error::Error for Ignored {}
