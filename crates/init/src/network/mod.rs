//! The network, for layout `fetch`.
//!
//! [`Network::start`] reads the words of the command line ([`plan`]), sets up the links that they allow, and waits for
//! the first that gets an address ([`search`]): from the command line, from a DHCP server ([`conversation`]), or from an
//! IPv6 router, whose advertisements the kernel itself takes. All is done by [`rtnetlink`] and packet sockets; no other
//! program is needed. [`Network::leave`] takes everything back ([`changes`]) before the booted system sets up its own
//! network. [`resolver`] asks name servers; it works with another stage 1's network, too.

mod candidate;
mod changes;
mod conversation;
mod error;
mod links;
mod plan;
mod resolver;
mod rtnetlink;
mod search;

pub(crate) use error::Error;
pub(crate) use resolver::Resolver;

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use storeboot_netconf::dhcp::Lease;
use storeboot_netconf::words::{Network as Fixed, Settings};

use crate::cmdline::Cmdline;
use crate::console::Console;
use crate::netlink::Netlink;
use crate::sys::Protocol;
use candidate::{Found, Source};
use changes::Changes;
use links::Link;
use rtnetlink::{Options, Route};
use search::Search;

/// The longest that the network may take: spanning tree keeps a port of a switch shut for 30 to 50 seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// How many packets are taken in one go, more than come in a burst: a flood must not keep stage 1 where nobody looks at the
/// time.
const AT_ONCE: usize = 64;

/// What the network needs of the kernel's modules.
pub(crate) trait Modules {
    /// Loads a protocol: `af_packet`, `ipv6`, `8021q`. One that the initrd lacks may be part of the kernel.
    fn load_protocol(&mut self, name: &str);

    /// Loads drivers for devices that have shown up since the last time.
    fn load_drivers(&mut self);
}

/// A network that works.
#[derive(Debug)]
pub(crate) struct Network {
    changes: Changes,
    /// Asks the name servers of this network.
    pub resolver: Resolver,
}

impl Network {
    /// Sets up the network as the command line says, and waits until a link has an address.
    pub(crate) fn start(
        cmdline: &Cmdline,
        console: &Console,
        modules: &mut dyn Modules,
    ) -> Result<Self, Error> {
        let settings = Settings::parse(cmdline.network.iter().map(|word| word.as_str()));
        for problem in &settings.problems {
            console.warning(problem);
        }
        // Before any link is up, so that no advertisement is missed.
        modules.load_protocol("af_packet");
        modules.load_protocol("ipv6");
        let netlink = Netlink::open(Protocol::Route).map_err(Error::NoNetlink)?;
        let options = Options::listen()
            .inspect_err(|errno| {
                console.step(format_args!(
                    "name servers of routers are not heard: {errno}"
                ));
            })
            .ok();
        let mut changes = Changes::new(netlink);
        let limit = LIMIT.min(cmdline.patience());
        let found = Search::new(&settings, console, &mut changes, modules, limit).run()?;
        let mut network = Self {
            changes,
            resolver: Resolver::new(options),
        };
        for server in &settings.name_servers {
            network.resolver.add_server(*server, found.link.index);
        }
        network.take(&found, console)?;
        Ok(network)
    }

    /// Takes what was found for the link: address, routes, MTU, name servers.
    fn take(&mut self, found: &Found, console: &Console) -> Result<(), Error> {
        let link = &found.link;
        let leased = match &found.source {
            Source::Lease(lease) => lease.mtu,
            _ => None,
        };
        if let Some(mtu) = found.mtu.or(leased) {
            self.changes.set_mtu(link, mtu, console);
        }
        match &found.source {
            Source::Words(fixed) => self.take_words(link, fixed, console)?,
            Source::Lease(lease) => self.take_lease(link, lease, console)?,
            Source::Router(held) => console.info(&format_args!(
                "network: {link} has the address {}/{} by a router's advertisement",
                held.address, held.prefix
            )),
        }
        self.resolver.hear_routers();
        console.info(&format_args!("network: {}", NameServers(&self.resolver)));
        Ok(())
    }

    fn take_words(&mut self, link: &Link, fixed: &Fixed, console: &Console) -> Result<(), Error> {
        self.changes
            .add_address(link, fixed.address, fixed.prefix_len)?;
        if let Some(gateway) = fixed.gateway {
            self.changes.add_gateway(link, gateway)?;
        }
        console.info(&format_args!(
            "network: {link} has the address {}/{} by the command line, {}",
            fixed.address,
            fixed.prefix_len,
            Gateway(fixed.gateway)
        ));
        Ok(())
    }

    fn take_lease(&mut self, link: &Link, lease: &Lease, console: &Console) -> Result<(), Error> {
        self.changes
            .add_address(link, lease.address.into(), lease.prefix_len)?;
        // Those on the link first: another may lead over one of them.
        let mut routes = lease.routes.clone();
        routes.sort_by_key(|route| route.gateway.is_some());
        let mut gateway = None;
        for route in &routes {
            if route.prefix_len == 0 {
                gateway = route.gateway;
            }
            let added = self.changes.netlink.add_route(&Route {
                link: link.index,
                to: (route.destination.into(), route.prefix_len),
                gateway: route.gateway.map(IpAddr::from),
            });
            // A server may well name a network that has nothing to do with the store.
            if let Err(errno) = added {
                console.warning(&format_args!(
                    "the way to {}/{} that DHCP server {} names cannot be set: {errno}",
                    route.destination, route.prefix_len, lease.server
                ));
            }
        }
        for server in &lease.name_servers {
            self.resolver.add_server((*server).into(), link.index);
        }
        if let Some(domain) = &lease.domain {
            self.resolver.add_domain(domain);
        }
        console.info(&format_args!(
            "network: {link} has the address {}/{} by DHCP server {}, {}",
            lease.address,
            lease.prefix_len,
            lease.server,
            Gateway(gateway.map(IpAddr::from))
        ));
        Ok(())
    }

    /// Takes everything back, so that the booted system finds the network as after a boot from disk: no addresses, no
    /// routes, no VLANs, and links that are down.
    pub(crate) fn leave(mut self, console: &Console) {
        self.changes.take_back(console);
        console.step(format_args!("the network is as it was before"));
    }
}

/// The way out, as a part of a sentence.
struct Gateway(Option<IpAddr>);

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(gateway) => write!(f, "gateway {gateway}"),
            None => f.write_str("no gateway"),
        }
    }
}

/// The name servers, as a part of a sentence.
struct NameServers<'a>(&'a Resolver);

impl fmt::Display for NameServers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut none = true;
        for server in self.0.servers() {
            let before = if none { "name servers " } else { ", " };
            none = false;
            write!(f, "{before}{server}")?;
        }
        if none {
            f.write_str("no name servers")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
