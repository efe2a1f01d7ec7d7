use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;

use smoltcp::wire::DnsRcode;

use super::{Name, NameError};

/// Why a name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// This is no name of a host.
    Name {
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        reason: NameError,
    },
    /// There is nobody to ask.
    NoServers {
        /// What was asked for.
        name: Name,
    },
    /// The name does not exist, says a server. Nor does it in the domains that were tried.
    NoSuchName {
        /// What was asked for last.
        name: Name,
        /// Who says so.
        server: SocketAddr,
    },
    /// The name exists and has no address of the wanted kind, says a server.
    NoAddress {
        /// What was asked for last.
        name: Name,
        /// Who says so.
        server: SocketAddr,
    },
    /// No server gave an answer that could be used.
    NoAnswer {
        /// What was asked for last.
        name: Name,
        /// What the last server answered, if one did.
        refusal: Option<Refusal>,
    },
}

/// An answer without addresses that does not settle the question: the next server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who answered.
    pub server: SocketAddr,
    /// The response code of RFC 1035, as 2 (SERVFAIL) and 5 (REFUSED). 0: the answer was cut before the first address.
    pub code: u8,
}

/// Why a datagram does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// Nothing was asked, or not of this server.
    OtherServer,
    /// It answers another message, or none.
    OtherMessage,
    /// It answers another question.
    OtherQuestion,
    /// It is cut short, or no DNS message.
    Malformed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, reason } => write!(f, "`{name}` is no name of a host: {reason}"),
            Self::NoServers { name } => {
                write!(f, "no name server is known that could be asked for {name}")
            }
            Self::NoSuchName { name, server } => {
                write!(
                    f,
                    "the name {name} does not exist, says name server {}",
                    server.ip()
                )
            }
            Self::NoAddress { name, server } => {
                write!(
                    f,
                    "the name {name} has no address, says name server {}",
                    server.ip()
                )
            }
            Self::NoAnswer {
                name,
                refusal: Some(refusal),
            } => write!(
                f,
                "no name server could tell the address of {name}: {refusal}"
            ),
            Self::NoAnswer {
                name,
                refusal: None,
            } => write!(f, "no name server answered when asked for {name}"),
        }
    }
}

impl core::error::Error for Error {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered ", self.server.ip())?;
        match DnsRcode::from(self.code) {
            DnsRcode::NoError => f.write_str("too much for one packet, and no address"),
            DnsRcode::FormErr => f.write_str("FORMERR"),
            DnsRcode::ServFail => f.write_str("SERVFAIL"),
            DnsRcode::NotImp => f.write_str("NOTIMP"),
            DnsRcode::Refused => f.write_str("REFUSED"),
            _ => write!(f, "with response code {}", self.code),
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherServer => "this server was not asked",
            Self::OtherMessage => "it answers another message",
            Self::OtherQuestion => "it answers another question",
            Self::Malformed => "it is no whole DNS message",
        })
    }
}

impl core::error::Error for Ignored {}
