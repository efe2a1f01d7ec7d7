//! The network interfaces of this machine.

use std::net::{IpAddr, Ipv4Addr};

use pnet_datalink::NetworkInterface;

use super::Place;
use crate::Error;

/// An Ethernet interface with an IPv4 address.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its first IPv4 address.
    pub address: Ipv4Addr,
    pub(super) mac: [u8; 6],
    pub(super) device: NetworkInterface,
}

impl Interface {
    pub(super) fn place(&self, http: u16) -> Place {
        Place {
            address: self.address,
            http,
        }
    }

    fn of(device: NetworkInterface) -> Option<Self> {
        let mut addresses = device.ips.iter().map(|network| network.ip());
        let address = addresses.find_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })?;
        Some(Self {
            name: device.name.clone(),
            address,
            mac: device.mac?.octets(),
            device,
        })
    }
}

/// The interfaces with these names; without names, all that are up and are not the machine's own.
///
/// # Errors
/// [`Error::Interface`] where a name is none of an Ethernet interface with an IPv4 address, or where there is none at
/// all.
pub fn interfaces(names: &[String]) -> Result<Vec<Interface>, Error> {
    let all = pnet_datalink::interfaces();
    if names.is_empty() {
        let usable = all
            .into_iter()
            .filter(|device| device.is_up() && !device.is_loopback() && device.is_broadcast());
        let found: Vec<Interface> = usable.filter_map(Interface::of).collect();
        return match found.is_empty() {
            false => Ok(found),
            true => Err(Error::Interface(
                "no network interface is up and has an IPv4 address".into(),
            )),
        };
    }
    let named = |name: &String| {
        let device = all.iter().find(|device| device.name == *name);
        let device = device
            .ok_or_else(|| Error::Interface(format!("there is no network interface {name:?}")))?;
        Interface::of(device.clone()).ok_or_else(|| {
            Error::Interface(format!(
                "the network interface {name} has no IPv4 address, or is no Ethernet"
            ))
        })
    };
    names.iter().map(named).collect()
}
