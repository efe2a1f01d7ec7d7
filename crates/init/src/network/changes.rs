//! What stage 1 changes of the machine's network, so that it can be taken back.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::error::Error;
use super::links::{self, Link};
use super::rtnetlink::Route;
use crate::console::Console;
use crate::netlink::Netlink;
use crate::sys::Errno;

/// Changes the network and remembers how to change it back.
#[derive(Debug)]
pub(super) struct Changes {
    pub netlink: Netlink,
    /// The links that were set up, with the MTU that each had.
    up: Vec<(Link, Option<u32>)>,
    /// The links that were made.
    made: Vec<Link>,
}

impl Changes {
    pub(super) fn new(netlink: Netlink) -> Self {
        Self {
            netlink,
            up: Vec::new(),
            made: Vec::new(),
        }
    }

    /// Whether this has set a link up.
    pub(super) fn has_set_up(&self, link: &Link) -> bool {
        self.up.iter().any(|(up, _)| up.index == link.index)
    }

    /// Sets a link up.
    pub(super) fn set_up(&mut self, link: &Link) -> Result<(), Error> {
        let setting_up = |errno| Error::SetUp {
            link: link.clone(),
            errno,
        };
        let mtu = link.mtu();
        self.netlink.set_up(link.index, true).map_err(setting_up)?;
        if !self.has_set_up(link) {
            self.up.push((link.clone(), mtu));
        }
        Ok(())
    }

    /// Makes the link of a VLAN.
    pub(super) fn make_vlan(&mut self, name: &str, parent: &Link, id: u16) -> Result<Link, Error> {
        let making = |errno| Error::Vlan {
            name: name.into(),
            parent: parent.name.clone(),
            errno,
        };
        match self.netlink.add_vlan(name, parent.index, id) {
            Ok(()) => {}
            // Whoever made it, it is the one that is meant.
            Err(Errno::EEXIST) => return find(name).map_err(making),
            Err(errno) => return Err(making(errno)),
        }
        let link = find(name).map_err(making)?;
        self.made.push(link.clone());
        Ok(link)
    }

    /// Gives a link an address.
    pub(super) fn add_address(
        &mut self,
        link: &Link,
        address: IpAddr,
        prefix: u8,
    ) -> Result<(), Error> {
        self.netlink
            .add_address(link.index, address, prefix)
            .map_err(|errno| Error::Address {
                link: link.clone(),
                address,
                prefix,
                errno,
            })
    }

    /// Sends what is for everywhere else to a gateway.
    pub(super) fn add_gateway(&mut self, link: &Link, gateway: IpAddr) -> Result<(), Error> {
        let everywhere = match gateway {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        self.netlink
            .add_route(&Route {
                link: link.index,
                to: (everywhere, 0),
                gateway: Some(gateway),
            })
            .map_err(|errno| Error::Gateway {
                link: link.clone(),
                gateway,
                errno,
            })
    }

    /// Sets what a link may carry in one packet. It works without, if not as well.
    pub(super) fn set_mtu(&mut self, link: &Link, mtu: u32, console: &Console) {
        if link.mtu() == Some(mtu) {
            return;
        }
        match self.netlink.set_mtu(link.index, mtu) {
            Ok(()) => console.step(format_args!("set the MTU of {link} to {mtu}")),
            Err(errno) => console.warning(&format_args!(
                "the MTU of {link} cannot be set to {mtu}: {errno}"
            )),
        }
    }

    /// Takes a link down that is not used after all, with its addresses.
    pub(super) fn drop_link(&mut self, link: &Link, console: &Console) {
        if let Some(at) = self.up.iter().position(|(up, _)| up.index == link.index) {
            let (link, mtu) = self.up.swap_remove(at);
            self.take_down(&link, mtu, console);
        }
    }

    /// Takes everything back: addresses and with them routes, MTUs, VLANs; and sets the links down.
    pub(super) fn take_back(&mut self, console: &Console) {
        // A VLAN before the link that it is on.
        while let Some((link, mtu)) = self.up.pop() {
            self.take_down(&link, mtu, console);
        }
        while let Some(link) = self.made.pop() {
            if let Err(errno) = self.netlink.delete_link(link.index) {
                console.warning(&format_args!("the VLAN {link} cannot be removed: {errno}"));
            }
        }
    }

    fn take_down(&mut self, link: &Link, mtu: Option<u32>, console: &Console) {
        let held = self.netlink.addresses().unwrap_or_default();
        for held in held.iter().filter(|held| held.link == link.index) {
            let (address, prefix) = (held.address, held.prefix);
            // One that the kernel gave up in between is gone as well.
            match self.netlink.delete_address(link.index, address, prefix) {
                Ok(()) | Err(Errno::EADDRNOTAVAIL) => {}
                Err(errno) => console.warning(&format_args!(
                    "the address {address} cannot be taken from {link}: {errno}"
                )),
            }
        }
        // Routes over a link that is down are gone.
        match self.netlink.set_up(link.index, false) {
            Ok(()) => {}
            // It was unplugged.
            Err(Errno::ENODEV) => return,
            Err(errno) => {
                console.warning(&format_args!("{link} cannot be set down: {errno}"));
            }
        }
        if let Some(mtu) = mtu {
            self.set_mtu(link, mtu, console);
        }
        console.step(format_args!("{link} is down"));
    }
}

/// The link with a name.
fn find(name: &str) -> Result<Link, Errno> {
    let mut links = links::list()?.into_iter();
    links.find(|link| link.name == name).ok_or(Errno::ENODEV)
}
