//! The words of the kernel command line that set up the network.
//!
//! `ip=` has two forms, which differ in the first field:
//! - `ip=<client>:<server>:<gateway>:<netmask>:<host name>:<device>:<method>` and then either two name servers and a
//!   time server (the kernel's `Documentation/admin-guide/nfs/nfsroot.rst`) or an MTU and a MAC address (dracut);
//! - `ip=<method>` and `ip=<device>:<method>[:<MTU>[:<MAC>]]` (`dracut.cmdline(7)`).
//!
//! IPv6 addresses stand in brackets. The netmask is `255.255.255.0` or a prefix length. iPXE and PXELINUX fill in the
//! first form. `BOOTIF=` is PXELINUX's `SYSAPPEND 2`.
//!
//! ```
//! use storeboot_netconf::words::{Method, Settings};
//!
//! let settings = Settings::parse([
//!     "ip=192.0.2.7::192.0.2.1:255.255.255.0:::none",
//!     "BOOTIF=01-52-54-00-12-34-56",
//!     "nameserver=192.0.2.53",
//!     "ip=ibft",
//! ]);
//! let Method::Static(network) = &settings.configurations[0].method else { panic!() };
//! assert_eq!((network.address.to_string().as_str(), network.prefix_len), ("192.0.2.7", 24));
//! assert_eq!(settings.boot_mac.unwrap().to_string(), "52:54:00:12:34:56");
//! assert_eq!(
//!     settings.problems[0].to_string(),
//!     "`ip=ibft` on the kernel command line counts for nothing: stage 1 cannot set up a network by `ibft`"
//! );
//! ```

mod bootif;
mod ip;
mod problem;
mod vlan;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

pub use problem::{Problem, Reason};
pub use vlan::Vlan;

use crate::Mac;

/// What the words say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// From `ip=`, in order, at most one for each device and one for no device.
    pub configurations: Vec<Configuration>,
    /// From `nameserver=`, in order, then those of the `ip=` words; none twice.
    pub name_servers: Vec<IpAddr>,
    /// From `vlan=`, in order, at most one for each name.
    pub vlans: Vec<Vlan>,
    /// From `BOOTIF=`: the card that the firmware booted from.
    pub boot_mac: Option<Mac>,
    /// The words that count for nothing, and why.
    pub problems: Vec<Problem>,
}

/// What one `ip=` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Which device it is for. `None`: see [`Settings::configuration`].
    pub device: Option<Device>,
    /// How the device gets its addresses.
    pub method: Method,
    /// The device's MTU, in bytes, 576 to 65535.
    pub mtu: Option<u32>,
    /// The MAC address that the device shall take.
    pub mac: Option<Mac>,
}

/// How a word names a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// The kernel's name, as `eth0`.
    Name(String),
    /// Its MAC address: udev's name `enx525400123456` says so. Stage 1 has no udev that gives such names.
    Mac(Mac),
}

/// How a device gets its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// `none` or `off` without an address: not at all.
    Off,
    /// One of these, or both at once.
    Automatic {
        /// IPv4 by DHCP: `dhcp`, `single-dhcp`, `on`, `any`, `either6`.
        dhcp: bool,
        /// IPv6 by router advertisement: `auto6`, `on`, `any`, `either6`.
        router: bool,
    },
    /// As the word says.
    Static(Network),
}

/// An address, and the way out of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// A unicast address.
    pub address: IpAddr,
    /// 0 to 32, or 0 to 128. Where the word has no netmask: the one of the address's class, as the kernel takes it, and
    /// 64 for IPv6.
    pub prefix_len: u8,
    /// Of the same family as `address`; it may lie outside of the network, and is on the link then.
    pub gateway: Option<IpAddr>,
}

impl Settings {
    /// Reads the words, which are whole (`ip=dhcp`). A word of another name is a problem too.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut settings = Self::default();
        let mut from_ip = Vec::new();
        for word in words {
            if let Err(reason) = settings.word(word, &mut from_ip) {
                settings.problems.push(Problem {
                    word: word.into(),
                    reason,
                });
            }
        }
        for server in from_ip {
            settings.add_name_server(server);
        }
        settings
    }

    /// The configuration of a device: the one that names it or its MAC address, else the one without a device, if the
    /// device is the card that the firmware booted from or `BOOTIF=` does not say which that is.
    pub fn configuration(&self, name: &str, mac: Option<Mac>) -> Option<&Configuration> {
        let named = self
            .configurations
            .iter()
            .find(|configuration| match &configuration.device {
                Some(Device::Name(device)) => device == name,
                Some(Device::Mac(device)) => Some(*device) == mac,
                None => false,
            });
        named.or_else(|| {
            let boots = self.boot_mac.is_none() || self.boot_mac == mac;
            self.configurations
                .iter()
                .find(|configuration| configuration.device.is_none() && boots)
        })
    }

    fn word(&mut self, word: &str, from_ip: &mut Vec<IpAddr>) -> Result<(), Reason> {
        let (name, value) = word.split_once('=').ok_or(Reason::Empty)?;
        if value.is_empty() {
            return Err(Reason::Empty);
        }
        match name {
            "ip" => {
                let found = ip::parse(value)?;
                from_ip.extend(found.name_servers);
                let device = &found.configuration.device;
                // The last one for a device counts.
                self.configurations.retain(|other| other.device != *device);
                self.configurations.push(found.configuration);
            }
            "nameserver" => self.add_name_server(ip::server(value)?),
            "vlan" => {
                let vlan: Vlan = vlan::parse(value)?;
                self.vlans.retain(|other| other.name != vlan.name);
                self.vlans.push(vlan);
            }
            "BOOTIF" => self.boot_mac = Some(bootif::parse(value)?),
            _ => return Err(Reason::UnknownWord),
        }
        Ok(())
    }

    fn add_name_server(&mut self, server: IpAddr) {
        if !self.name_servers.contains(&server) {
            self.name_servers.push(server);
        }
    }
}
