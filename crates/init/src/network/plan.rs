//! Which link gets its addresses how, by the words of the command line.

use alloc::string::{String, ToString};

use storeboot_netconf::words::{Configuration, Device, Method, Settings, Vlan};

use super::links::Link;

/// How a link that no word speaks of gets its addresses.
const AUTOMATIC: Configuration = Configuration {
    device: None,
    method: Method::Automatic {
        dhcp: true,
        router: true,
    },
    mtu: None,
    mac: None,
};

/// What to do with a link; `None` where it stays as it is.
///
/// A link that `ip=` names gets what that says. Every other wired link gets what the `ip=` without a device says, or
/// what it can get where there is no `ip=`, unless `BOOTIF=` names another one. What carries a VLAN is used by itself
/// only where `ip=` names it: whoever asks for a VLAN means that one.
pub(super) fn for_link(settings: &Settings, link: &Link) -> Option<Configuration> {
    let mac = Some(link.mac);
    let is_named = settings.configurations.iter().any(|configuration| {
        configuration
            .device
            .as_ref()
            .is_some_and(|device| is_meant(device, link))
    });
    let carries_vlan = settings
        .vlans
        .iter()
        .any(|vlan| carries(settings, link, vlan));
    if !is_named && (carries_vlan || !(link.is_wired || is_vlan(settings, link))) {
        return None;
    }
    let configuration = if settings.configurations.is_empty() {
        let boots = settings.boot_mac.is_none() || settings.boot_mac == mac;
        boots.then_some(AUTOMATIC)
    } else {
        settings.configuration(&link.name, mac).cloned()
    };
    configuration.filter(|configuration| configuration.method != Method::Off)
}

/// Whether a word names this link.
pub(super) fn is_meant(device: &Device, link: &Link) -> bool {
    match device {
        Device::Name(name) => *name == link.name,
        Device::Mac(mac) => *mac == link.mac,
    }
}

fn is_vlan(settings: &Settings, link: &Link) -> bool {
    settings.vlans.iter().any(|vlan| vlan.name == link.name)
}

/// Whether a link carries a VLAN of the words. A VLAN has the MAC of what carries it, and so is not meant by that.
pub(super) fn carries(settings: &Settings, link: &Link, vlan: &Vlan) -> bool {
    let may_be_meant = match &vlan.physical {
        Device::Name(_) => vlan.name != link.name,
        Device::Mac(_) => !is_vlan(settings, link),
    };
    may_be_meant && is_meant(&vlan.physical, link)
}

/// A link that the words name and that is none of these.
pub(super) fn missing(settings: &Settings, links: &[Link]) -> Option<String> {
    let is_there = |device: &Device| links.iter().any(|link| is_meant(device, link));
    let show = |device: &Device| match device {
        Device::Name(name) => name.clone(),
        Device::Mac(mac) => mac.to_string(),
    };
    let is_made = |device: &Device| {
        let mut vlans = settings.vlans.iter();
        vlans.any(|vlan| *device == Device::Name(vlan.name.clone()))
    };
    let physical = settings.vlans.iter().map(|vlan| &vlan.physical);
    let named = settings
        .configurations
        .iter()
        .filter(|configuration| configuration.method != Method::Off)
        .filter_map(|configuration| configuration.device.as_ref());
    let mut devices = physical.chain(named.filter(|device| !is_made(device)));
    if let Some(device) = devices.find(|device| !is_there(device)) {
        return Some(show(device));
    }
    let names_none = settings
        .configurations
        .iter()
        .all(|configuration| configuration.device.is_none());
    let mac = settings.boot_mac.filter(|_| names_none)?;
    (!is_there(&Device::Mac(mac))).then(|| mac.to_string())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use storeboot_netconf::Mac;

    use super::*;

    fn link(name: &str, last: u8, is_wired: bool) -> Link {
        Link {
            index: last.into(),
            name: name.into(),
            mac: Mac([0x52, 0x54, 0, 0, 0, last]),
            is_wired,
        }
    }

    fn links() -> [Link; 3] {
        [
            link("eth0", 1, true),
            link("eth1", 2, true),
            link("wlan0", 3, false),
        ]
    }

    /// The names of the links that get an address, and how.
    fn used(words: &str, links: &[Link]) -> Vec<String> {
        let settings = Settings::parse(words.split_ascii_whitespace());
        assert!(settings.problems.is_empty(), "{:?}", settings.problems);
        let how = |method| match method {
            Method::Off => "off",
            Method::Static(_) => "static",
            Method::Automatic { dhcp, router } => match (dhcp, router) {
                (true, true) => "any",
                (true, false) => "dhcp",
                (false, _) => "router",
            },
        };
        let used = links.iter().filter_map(|link| {
            let configuration = for_link(&settings, link)?;
            Some([&link.name, "=", how(configuration.method)].concat())
        });
        used.collect()
    }

    #[test]
    fn without_words_every_wired_link_asks() {
        assert_eq!(used("", &links()), ["eth0=any", "eth1=any"]);
        assert_eq!(used("ip=dhcp", &links()), ["eth0=dhcp", "eth1=dhcp"]);
        assert_eq!(used("ip=auto6", &links()), ["eth0=router", "eth1=router"]);
    }

    #[test]
    fn words_choose_a_link() {
        let bootif = "BOOTIF=01-52-54-00-00-00-02";
        let address = "ip=10.0.0.2::10.0.0.1:255.255.255.0";
        assert_eq!(used(bootif, &links()), ["eth1=any"]);
        assert_eq!(
            used(&std::format!("{address}:::none {bootif}"), &links()),
            ["eth1=static"]
        );
        assert_eq!(
            used(&std::format!("{address}::eth0:none {bootif}"), &links()),
            ["eth0=static"]
        );
        assert_eq!(used("ip=wlan0:dhcp", &links()), ["wlan0=dhcp"]);
        assert_eq!(used("ip=eth0:off ip=dhcp", &links()), ["eth1=dhcp"]);
        assert_eq!(used("ip=enx525400000001:dhcp", &links()), ["eth0=dhcp"]);
    }

    #[test]
    fn a_vlan_is_used_instead_of_what_carries_it() {
        let mut with_vlan = links().to_vec();
        with_vlan.push(link("vlan5", 1, false));
        assert_eq!(
            used("vlan=vlan5:eth0", &with_vlan),
            ["eth1=any", "vlan5=any"]
        );
        assert_eq!(
            used("vlan=vlan5:eth0 ip=vlan5:dhcp", &with_vlan),
            ["vlan5=dhcp"]
        );
        assert_eq!(
            used("vlan=vlan5:eth0 ip=eth0:dhcp", &with_vlan),
            ["eth0=dhcp"]
        );
        assert_eq!(
            used("vlan=vlan5:eth0 BOOTIF=01-52-54-00-00-00-01", &with_vlan),
            ["vlan5=any"]
        );
        with_vlan.push(link("vlan6", 1, false));
        for physical in ["eth0", "enx525400000001"] {
            let words = std::format!("vlan=vlan5:{physical} vlan=vlan6:{physical}");
            assert_eq!(
                used(&words, &with_vlan),
                ["eth1=any", "vlan5=any", "vlan6=any"]
            );
        }
        with_vlan.push(link("vlan7", 1, false));
        assert_eq!(
            used("vlan=vlan5:eth0 vlan=vlan7:vlan5", &with_vlan),
            ["eth1=any", "vlan7=any"],
            "one carries another"
        );
    }

    #[test]
    fn links_that_are_named_and_missing() {
        let missing = |words: &str| {
            let settings = Settings::parse(words.split_ascii_whitespace());
            missing(&settings, &links())
        };
        assert_eq!(missing(""), None);
        assert_eq!(missing("ip=eth1:dhcp"), None);
        assert_eq!(missing("ip=eth7:dhcp").as_deref(), Some("eth7"));
        assert_eq!(missing("ip=eth7:off ip=dhcp"), None);
        assert_eq!(missing("vlan=vlan5:eth0 ip=vlan5:dhcp"), None);
        assert_eq!(
            missing("vlan=vlan5:eth7 ip=vlan5:dhcp").as_deref(),
            Some("eth7")
        );
        assert_eq!(missing("BOOTIF=01-52-54-00-00-00-02"), None);
        assert_eq!(
            missing("BOOTIF=01-52-54-00-00-00-09").as_deref(),
            Some("52:54:00:00:00:09")
        );
        assert_eq!(missing("BOOTIF=01-52-54-00-00-00-09 ip=eth0:dhcp"), None);
    }
}
