//! Links: up, down, MTU, VLANs.

use linux_raw_sys::net::net_device_flags;
use linux_raw_sys::netlink as l;

use storeboot_netconf::Mac;

use crate::netlink::{Netlink, Request};
use crate::sys::Errno;

impl Netlink {
    /// Sets a link up or down.
    pub(in crate::network) fn set_up(&mut self, link: u32, up: bool) -> Result<(), Errno> {
        let flag = net_device_flags::IFF_UP as u32;
        let flags = if up { flag } else { 0 };
        let body = link_message(link, flags, flag);
        self.change(Request::new(l::RTM_NEWLINK as u32, l::NLM_F_ACK, &body))
    }

    /// Sets how many bytes a packet of a link may have.
    pub(in crate::network) fn set_mtu(&mut self, link: u32, mtu: u32) -> Result<(), Errno> {
        let body = link_message(link, 0, 0);
        let request = Request::new(l::RTM_NEWLINK as u32, l::NLM_F_ACK, &body)
            .with(l::IFLA_MTU as u32, &mtu.to_ne_bytes());
        self.change(request)
    }

    /// Gives a link that is down another hardware address.
    pub(in crate::network) fn set_mac(&mut self, link: u32, mac: Mac) -> Result<(), Errno> {
        let body = link_message(link, 0, 0);
        let request = Request::new(l::RTM_NEWLINK as u32, l::NLM_F_ACK, &body)
            .with(l::IFLA_ADDRESS as u32, &mac.0);
        self.change(request)
    }

    /// Makes a link for one VLAN of another link.
    pub(in crate::network) fn add_vlan(
        &mut self,
        name: &str,
        parent: u32,
        id: u16,
    ) -> Result<(), Errno> {
        self.change(vlan(name, parent, id))
    }

    /// Removes a link.
    pub(in crate::network) fn delete_link(&mut self, link: u32) -> Result<(), Errno> {
        let body = link_message(link, 0, 0);
        self.change(Request::new(l::RTM_DELLINK as u32, l::NLM_F_ACK, &body))
    }
}

fn vlan(name: &str, parent: u32, id: u16) -> Request {
    let flags = l::NLM_F_ACK | l::NLM_F_CREATE | l::NLM_F_EXCL;
    Request::new(l::RTM_NEWLINK as u32, flags, &link_message(0, 0, 0))
        .with(l::IFLA_LINK as u32, &parent.to_ne_bytes())
        .with(l::IFLA_IFNAME as u32, &[name.as_bytes(), &[0]].concat())
        .with_inner(l::IFLA_LINKINFO as u32, |info| {
            info.with(l::IFLA_INFO_KIND as u32, b"vlan")
                .with_inner(l::IFLA_INFO_DATA as u32, |data| {
                    data.with(l::IFLA_VLAN_ID as u32, &id.to_ne_bytes())
                })
        })
}

/// The layout of `ifinfomsg`: family, padding, hardware type, index, flags, and which of these to change.
fn link_message(link: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&link.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..].copy_from_slice(&change.to_ne_bytes());
    body
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn a_vlan_as_iproute2_asks_for_it() {
        #[rustfmt::skip]
        assert_eq!(vlan("v5", 3, 5).finish(1), [
            72, 0, 0, 0,  16, 0, 5, 6,  1, 0, 0, 0,  0, 0, 0, 0,
            0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
            8, 0, 5, 0,  3, 0, 0, 0,
            7, 0, 3, 0,  b'v', b'5', 0, 0,
            24, 0, 18, 0x80,
            8, 0, 1, 0,  b'v', b'l', b'a', b'n',
            12, 0, 2, 0x80,
            6, 0, 1, 0,  5, 0, 0, 0,
        ][..]);
    }
}
