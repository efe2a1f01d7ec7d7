use alloc::string::String;
use core::fmt;
use core::net::IpAddr;

/// A word that counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The whole word, as the command line has it.
    pub word: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is nothing after the `=`.
    Empty,
    /// The word is none of those that set up the network.
    UnknownWord,
    /// A bracket is without its other half.
    Bracket,
    /// `ip=` has more fields than its form has.
    TooManyFields,
    /// This is no address.
    Address(String),
    /// This is no address that a machine can have, or reach a server or gateway at: zero, multicast or broadcast.
    NotUnicast(IpAddr),
    /// `ip=` says `none` or `off` for fields without an address.
    NoAddress,
    /// This is neither a netmask nor a prefix length of the address's family.
    Netmask(String),
    /// Gateway and address are not both IPv4 or both IPv6.
    MixedFamilies,
    /// This names no method.
    UnknownMethod(String),
    /// This names a method that stage 1 does not have.
    UnsupportedMethod(String),
    /// This is no name of a network device.
    Device(String),
    /// This is no MTU from 576 to 65535.
    Mtu(String),
    /// This is no MAC address of six pairs of digits, or it is one of a group.
    Mac(String),
    /// The name of a VLAN does not end in a number from 1 to 4094.
    VlanId(String),
    /// `vlan=` is not a name and a device.
    VlanForm,
    /// `BOOTIF=` is the address of an InfiniBand port, which has 20 bytes.
    InfiniBand,
    /// `BOOTIF=` is the address of hardware of this type.
    Hardware(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` on the kernel command line counts for nothing: {}",
            self.word, self.reason
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it has no value"),
            Self::UnknownWord => f.write_str("it does not set up the network"),
            Self::Bracket => f.write_str("a bracket is without its other half"),
            Self::TooManyFields => f.write_str("it has too many fields"),
            Self::Address(text) => write!(
                f,
                "`{text}` is no IP address (an IPv6 address stands in brackets)"
            ),
            Self::NotUnicast(address) => write!(f, "{address} is the address of no single machine"),
            Self::NoAddress => f.write_str("it has neither an address nor a method to get one"),
            Self::Netmask(text) => write!(
                f,
                "`{text}` is neither a netmask nor the length of a prefix"
            ),
            Self::MixedFamilies => {
                f.write_str("one of address and gateway is IPv4 and the other is IPv6")
            }
            Self::UnknownMethod(text) => write!(f, "`{text}` is no method to get an address"),
            Self::UnsupportedMethod(text) => {
                write!(f, "stage 1 cannot set up a network by `{text}`")
            }
            Self::Device(text) => write!(f, "`{text}` is no name of a network device"),
            Self::Mtu(text) => write!(f, "`{text}` is no MTU from 576 to 65535"),
            Self::Mac(text) => write!(f, "`{text}` is no MAC address of one card"),
            Self::VlanId(text) => write!(
                f,
                "the name `{text}` does not end in the number of a VLAN, 1 to 4094"
            ),
            Self::VlanForm => f.write_str("it must be the name of a VLAN, a colon and a device"),
            Self::InfiniBand => {
                f.write_str("it is the address of an InfiniBand port, which stage 1 cannot use")
            }
            Self::Hardware(text) => write!(
                f,
                "the hardware is of type `{text}`, and stage 1 can use type 01 (Ethernet) only"
            ),
        }
    }
}

impl core::error::Error for Problem {}
