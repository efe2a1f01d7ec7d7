//! `ip=` in the kernel's and in dracut's form, and the fields that other words share with it.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Configuration, Device, Method, Network, Reason};
use crate::Mac;

/// The longest name of a network device (`IFNAMSIZ` - 1).
const MAX_DEVICE: usize = 15;

pub(super) struct Found {
    pub configuration: Configuration,
    pub name_servers: Vec<IpAddr>,
}

pub(super) fn parse(value: &str) -> Result<Found, Reason> {
    let fields = fields(value)?;
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    match fields.as_slice() {
        [method] if address(method).is_err() => Ok(Found {
            configuration: Configuration {
                device: None,
                method: without_address(method)?,
                mtu: None,
                mac: None,
            },
            name_servers: Vec::new(),
        }),
        [device_name, method, rest @ ..]
            if !device_name.is_empty() && address(device_name).is_err() =>
        {
            if is_like_an_address(device_name) {
                return Err(Reason::Address(device_name.to_string()));
            }
            let device = device(device_name)?;
            let (mtu, mac) = mtu_and_mac(rest)?;
            Ok(Found {
                configuration: Configuration {
                    device: Some(device),
                    method: without_address(method)?,
                    mtu,
                    mac,
                },
                name_servers: Vec::new(),
            })
        }
        _ => {
            if !field(1).is_empty() {
                // The kernel's server, or dracut's other end of a tunnel: neither matters here.
                address(field(1))?;
            }
            let method = match unicast_or_unset(field(0))? {
                None => without_address(field(6))?,
                Some(address) => {
                    known(field(6))?;
                    Method::Static(network(address, field(2), field(3))?)
                }
            };
            // `ip=::::::none` is a template that nobody filled in.
            if method == Method::Off {
                return Err(Reason::NoAddress);
            }
            let device = match field(5) {
                "" => None,
                name => Some(device(name)?),
            };
            let rest = fields.get(7..).unwrap_or_default();
            let ((mtu, mac), name_servers) = match rest {
                [first, others @ ..] if first.is_empty() || address(first).is_ok() => {
                    match others {
                        // An empty MTU before a MAC address.
                        [_, _, _, _, _, _] if first.is_empty() => (mtu_and_mac(rest)?, Vec::new()),
                        _ => ((None, None), servers(rest)?),
                    }
                }
                _ => (mtu_and_mac(rest)?, Vec::new()),
            };
            Ok(Found {
                configuration: Configuration {
                    device,
                    method,
                    mtu,
                    mac,
                },
                name_servers,
            })
        }
    }
}

/// Splits at the colons outside of brackets.
fn fields(value: &str) -> Result<Vec<&str>, Reason> {
    let mut fields = Vec::new();
    let mut rest = value;
    loop {
        let end = if rest.starts_with('[') {
            let bracket = rest.find(']').ok_or(Reason::Bracket)?;
            bracket + 1
        } else {
            rest.find(':').unwrap_or(rest.len())
        };
        let (field, after) = rest.split_at_checked(end).ok_or(Reason::Bracket)?;
        fields.push(field);
        match after.strip_prefix(':') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err(Reason::Bracket),
        }
    }
}

/// Reads the method of a word that has no address.
fn without_address(method: &str) -> Result<Method, Reason> {
    known(method)?;
    Ok(match method {
        "none" | "off" => Method::Off,
        "dhcp" | "single-dhcp" => Method::Automatic {
            dhcp: true,
            router: false,
        },
        "auto6" => Method::Automatic {
            dhcp: false,
            router: true,
        },
        // Nothing means `any`, as in the kernel.
        _ => Method::Automatic {
            dhcp: true,
            router: true,
        },
    })
}

fn known(method: &str) -> Result<(), Reason> {
    match method {
        "" | "none" | "off" | "dhcp" | "single-dhcp" | "on" | "any" | "auto6" | "either6" => Ok(()),
        "dhcp6" | "link6" | "ibft" | "bootp" | "rarp" | "both" => {
            Err(Reason::UnsupportedMethod(method.into()))
        }
        _ => Err(Reason::UnknownMethod(method.into())),
    }
}

fn network(address: IpAddr, gateway: &str, netmask: &str) -> Result<Network, Reason> {
    let gateway = unicast_or_unset(gateway)?;
    if gateway.is_some_and(|gateway| gateway.is_ipv4() != address.is_ipv4()) {
        return Err(Reason::MixedFamilies);
    }
    Ok(Network {
        address,
        prefix_len: prefix_len(address, netmask)?,
        gateway,
    })
}

fn prefix_len(address: IpAddr, netmask: &str) -> Result<u8, Reason> {
    let wrong = || Reason::Netmask(netmask.into());
    let longest = if address.is_ipv4() { 32 } else { 128 };
    if netmask.is_empty() {
        return Ok(default_prefix_len(address));
    }
    match netmask.parse::<Ipv4Addr>() {
        Ok(mask) if address.is_ipv4() => crate::prefix_len_of_mask(mask).ok_or_else(wrong),
        Ok(_) => Err(wrong()),
        Err(_) => number(netmask)
            .and_then(|len| u8::try_from(len).ok())
            .filter(|len| *len <= longest)
            .ok_or_else(wrong),
    }
}

fn default_prefix_len(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(address) => match address.octets()[0] {
            0..128 => 8,
            128..192 => 16,
            _ => 24,
        },
        IpAddr::V6(_) => 64,
    }
}

fn mtu_and_mac(fields: &[&str]) -> Result<(Option<u32>, Option<Mac>), Reason> {
    let Some((mtu, pairs)) = fields.split_first() else {
        return Ok((None, None));
    };
    let mtu = match *mtu {
        "" => None,
        text => {
            let mtu = number(text).filter(|mtu| crate::MTU.contains(mtu));
            Some(mtu.ok_or_else(|| Reason::Mtu(text.into()))?)
        }
    };
    let pairs = pairs.join(":");
    let mac = match pairs.as_str() {
        "" => None,
        text => Some(mac(text, ':')?),
    };
    Ok((mtu, mac))
}

/// Two name servers, then a time server, which stage 1 has no use for.
fn servers(fields: &[&str]) -> Result<Vec<IpAddr>, Reason> {
    if fields.len() > 3 {
        return Err(Reason::TooManyFields);
    }
    let mut servers = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        if let Some(server) = unicast_or_unset(field)?
            && at < 2
        {
            servers.push(server);
        }
    }
    Ok(servers)
}

/// A number of at most nine digits.
fn number(text: &str) -> Option<u32> {
    let digits = (1..10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// An IPv4 address, or an IPv6 address in brackets.
fn address(text: &str) -> Result<IpAddr, Reason> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => text.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    address.map_err(|_| Reason::Address(text.into()))
}

/// Tells a mistyped address from the name of a device.
fn is_like_an_address(text: &str) -> bool {
    let dotted = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    text.starts_with('[') || text.bytes().all(dotted)
}

/// An address of one machine. PXELINUX writes 0.0.0.0 where it knows none.
fn unicast_or_unset(text: &str) -> Result<Option<IpAddr>, Reason> {
    if text.is_empty() {
        return Ok(None);
    }
    let address = address(text)?;
    if address.is_unspecified() {
        return Ok(None);
    }
    if crate::is_unicast(address) {
        Ok(Some(address))
    } else {
        Err(Reason::NotUnicast(address))
    }
}

/// The address of a name server, which may be an IPv6 address without brackets.
pub(super) fn server(text: &str) -> Result<IpAddr, Reason> {
    let server = match text.parse::<Ipv6Addr>() {
        Ok(address) => IpAddr::V6(address),
        Err(_) => address(text)?,
    };
    if crate::is_unicast(server) {
        Ok(server)
    } else {
        Err(Reason::NotUnicast(server))
    }
}

/// A name that the kernel takes for a device, or a MAC address in udev's form.
pub(super) fn device(name: &str) -> Result<Device, Reason> {
    if let Some(mac) = name.strip_prefix("enx").and_then(Mac::parse_digits) {
        return Ok(Device::Mac(mac));
    }
    let taken = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'[' | b']');
    let valid = (1..=MAX_DEVICE).contains(&name.len())
        && name.bytes().all(taken)
        && name != "."
        && name != "..";
    if valid {
        Ok(Device::Name(name.into()))
    } else {
        Err(Reason::Device(name.into()))
    }
}

/// The MAC address of one card.
pub(super) fn mac(text: &str, separator: char) -> Result<Mac, Reason> {
    Mac::parse(text, separator)
        .filter(|mac| mac.0[0] & 1 == 0 && mac.0 != [0; 6])
        .ok_or_else(|| Reason::Mac(text.into()))
}
