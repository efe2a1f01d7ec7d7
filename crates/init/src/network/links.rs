//! The links of this machine, as sysfs shows them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use storeboot_netconf::Mac;

use crate::paths::{c_path, read_file};
use crate::sys::{self, Errno, Open};

/// Where sysfs shows them.
const FOLDER: &str = "/sys/class/net";

/// The hardware type of Ethernet: `ARPHRD_ETHER`.
const ETHERNET: u32 = 1;

/// A link: a card's port, or a VLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub index: u32,
    pub name: String,
    pub mac: Mac,
    /// Whether a wire leads to it: it is Ethernet, belongs to a device, and has no antenna.
    pub is_wired: bool,
}

/// All links but the loopback, in the kernel's order.
pub(super) fn list() -> Result<Vec<Link>, Errno> {
    let folder = sys::open(&c_path(FOLDER)?, Open::Directory)?;
    let mut names = Vec::new();
    sys::for_each_entry(&folder, |name| {
        names.push(name.to_string_lossy().into_owned());
        Ok(())
    })?;
    // A link may go away at any time.
    let mut links: Vec<Link> = names.into_iter().filter_map(Link::read).collect();
    links.sort_by_key(|link| link.index);
    Ok(links)
}

impl Link {
    fn read(name: String) -> Option<Self> {
        let kind: u32 = fact(&name, "type")?.parse().ok()?;
        let is_there = |entry: &str| {
            c_path(&format!("{FOLDER}/{name}/{entry}"))
                .and_then(|path| sys::stat(&path))
                .is_ok()
        };
        Some(Self {
            index: fact(&name, "ifindex")?.parse().ok()?,
            mac: parse_mac(&fact(&name, "address")?)?,
            is_wired: kind == ETHERNET
                && is_there("device")
                && !is_there("wireless")
                && !is_there("phy80211"),
            name,
        })
        .filter(|link| link.name != "lo")
    }

    /// Whether there is another machine at the other end. Not known, and so no, of a link that is down.
    pub(super) fn has_carrier(&self) -> bool {
        fact(&self.name, "carrier").as_deref() == Some("1")
    }

    /// What it may carry in one packet.
    pub(super) fn mtu(&self) -> Option<u32> {
        fact(&self.name, "mtu")?.parse().ok()
    }

    /// Its driver and its speed, as far as they are known.
    pub(super) fn hardware(&self) -> Hardware {
        let driver = c_path(&format!("{FOLDER}/{}/device/driver", self.name))
            .and_then(|path| sys::read_link(&path))
            .ok()
            .and_then(|target| {
                let name = target.rsplit(|byte| *byte == b'/').next()?;
                Some(String::from_utf8_lossy(name).into_owned())
            });
        // A driver that does not know says -1, or nothing.
        let speed = fact(&self.name, "speed").and_then(|text| text.parse().ok());
        Hardware {
            driver,
            speed: speed.filter(|speed| *speed > 0),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.mac)
    }
}

/// What drives a link, and how fast it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hardware {
    driver: Option<String>,
    /// In Mbit/s.
    speed: Option<u32>,
}

/// What is known, each with a comma before it.
impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(driver) = &self.driver {
            write!(f, ", driver {driver}")?;
        }
        match self.speed {
            Some(speed) => write!(f, ", {speed} Mbit/s"),
            None => Ok(()),
        }
    }
}

/// Several links in a sentence.
pub(super) struct List<'a>(pub &'a [Link]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, link) in self.0.iter().enumerate() {
            let between = if number > 0 { ", " } else { "" };
            write!(f, "{between}{link}")?;
        }
        Ok(())
    }
}

/// One of the facts that sysfs has of a link.
fn fact(link: &str, name: &str) -> Option<String> {
    let text = read_file(&format!("{FOLDER}/{link}/{name}"), 4096).ok()?;
    Some(str::from_utf8(&text).ok()?.trim().to_string())
}

/// Reads six bytes in hexadecimal, with colons.
fn parse_mac(text: &str) -> Option<Mac> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(Mac(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        let mac = Mac([0x52, 0x54, 0, 0x12, 0xab, 0xff]);
        assert_eq!(parse_mac("52:54:00:12:ab:ff"), Some(mac));
        for bad in [
            "",
            "52:54:00:12:ab",
            "52:54:00:12:ab:ff:00",
            "52:54:00:12:ab:100",
        ] {
            assert_eq!(parse_mac(bad), None, "{bad}");
        }
    }

    #[test]
    fn sentences() {
        let link = |index, name: &str| Link {
            index,
            name: name.into(),
            mac: Mac([0, 1, 2, 3, 4, index as u8]),
            is_wired: true,
        };
        assert_eq!(
            List(&[link(2, "eth0"), link(3, "eth1")]).to_string(),
            "eth0 (00:01:02:03:04:02), eth1 (00:01:02:03:04:03)"
        );
        let hardware = |driver: Option<&str>, speed| {
            let driver = driver.map(String::from);
            Hardware { driver, speed }.to_string()
        };
        assert_eq!(
            hardware(Some("e1000"), Some(1000)),
            ", driver e1000, 1000 Mbit/s"
        );
        assert_eq!(hardware(Some("virtio_net"), None), ", driver virtio_net");
        assert_eq!(hardware(None, None), "");
    }

    #[test]
    fn the_loopback_is_no_link() {
        assert!(list().unwrap().iter().all(|link| link.name != "lo"));
    }
}
