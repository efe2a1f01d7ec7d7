//! Waiting for the first link that gets an address.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use storeboot_netconf::words::{Configuration, Method, Network, Settings};

use super::candidate::{Candidate, Found, Source, Waiting};
use super::changes::Changes;
use super::conversation::Progress;
use super::error::Error;
use super::links::{self, Link};
use super::rtnetlink::Held;
use super::{Modules, plan};
use crate::console::Console;
use crate::sys::{self, Poll};

/// How often links and carriers are looked at: nothing is lost by that, since a cable takes seconds to be ready.
const LOOK: Duration = Duration::from_millis(200);

/// How often drivers are looked for, for cards that show up late, as those on USB do.
const LOOK_FOR_DRIVERS: Duration = Duration::from_secs(2);

/// How long a card may take to show up.
const CARD: Duration = Duration::from_secs(20);

/// How long the others are waited for, where one of several links can be used with the address of the command line.
/// The choice is the same at every boot, then.
const FIRST_OF_SEVERAL: Duration = Duration::from_secs(2);

/// How long DHCP is waited for once there is an address of IPv6.
const DHCP_AFTER_ROUTER: Duration = Duration::from_secs(5);

/// How long a router that leads out is waited for once there is an address of IPv6.
const WAY_OUT: Duration = Duration::from_secs(5);

/// When the console says for the first time what is waited for, and how often from then on.
const FIRST_REPORT: Duration = Duration::from_secs(5);
const NEXT_REPORT: Duration = Duration::from_secs(20);

/// The search.
pub(super) struct Search<'a> {
    pub settings: &'a Settings,
    pub console: &'a Console,
    pub changes: &'a mut Changes,
    pub modules: &'a mut dyn Modules,
    begun: Duration,
    limit: Duration,
    looked_for_drivers: Duration,
    next_report: Duration,
    links: Vec<Link>,
    candidates: Vec<Candidate>,
    /// The links that cannot be set up.
    broken: Vec<u32>,
    trouble: Option<Error>,
}

impl<'a> Search<'a> {
    /// A search that ends after `limit`.
    pub(super) fn new(
        settings: &'a Settings,
        console: &'a Console,
        changes: &'a mut Changes,
        modules: &'a mut dyn Modules,
        limit: Duration,
    ) -> Self {
        let begun = sys::boot_time();
        Self {
            settings,
            console,
            changes,
            modules,
            begun,
            limit,
            looked_for_drivers: begun,
            next_report: begun + FIRST_REPORT,
            links: Vec::new(),
            candidates: Vec::new(),
            broken: Vec::new(),
            trouble: None,
        }
    }

    /// Sets up the links that may be used and waits until one has an address. The others are down again then.
    pub(super) fn run(mut self) -> Result<Found, Error> {
        loop {
            let now = sys::boot_time();
            if now - self.looked_for_drivers >= LOOK_FOR_DRIVERS {
                self.looked_for_drivers = now;
                self.modules.load_drivers();
            }
            self.look_at_links(now)?;
            let mut next = now + LOOK;
            if let Some(found) = self.ask(now, &mut next)? {
                self.drop_others(&found.link);
                return Ok(found);
            }
            self.check_patience(now)?;
            if now >= self.next_report {
                self.next_report = now + NEXT_REPORT;
                // Shown at any log level: nothing else explains why the machine stands still.
                self.console.warning(&Waiting(&self.candidates));
            }
            let mut sockets: Vec<Poll<'_>> = self
                .candidates
                .iter()
                .filter_map(|candidate| candidate.conversation.as_ref())
                .map(|conversation| Poll::to_read(conversation.socket()))
                .collect();
            // Whatever is wrong, the next round sees it.
            let _ = sys::poll(&mut sockets, Some(next - now));
        }
    }

    /// Sets up new links, forgets those that went away, and looks for carriers.
    fn look_at_links(&mut self, now: Duration) -> Result<(), Error> {
        let mut links = links::list().map_err(Error::NoNetlink)?;
        for vlan in &self.settings.vlans {
            if links.iter().any(|link| link.name == vlan.name) {
                continue;
            }
            let mut physical = links.iter();
            let Some(parent) = physical
                .find(|link| plan::carries(self.settings, link, vlan))
                .cloned()
            else {
                continue;
            };
            if !self.changes.has_set_up(&parent) {
                self.changes.set_up(&parent)?;
            }
            self.modules.load_protocol("8021q");
            let link = self.changes.make_vlan(&vlan.name, &parent, vlan.id)?;
            self.console.info(&format_args!(
                "network: VLAN {} on {parent} is {link}",
                vlan.id
            ));
            links.push(link);
        }
        self.candidates
            .retain(|candidate| links.iter().any(|link| link.index == candidate.link.index));
        for link in &links {
            let is_known = self.broken.contains(&link.index)
                || self
                    .candidates
                    .iter()
                    .any(|candidate| candidate.link.index == link.index);
            if !is_known && let Some(configuration) = plan::for_link(self.settings, link) {
                self.set_up(link, configuration);
            }
        }
        for candidate in &mut self.candidates {
            match (candidate.link.has_carrier(), candidate.carrier_since) {
                (true, None) => {
                    candidate.carrier_since = Some(now);
                    let link = &candidate.link;
                    self.console.info(&format_args!(
                        "network: {link} has a carrier{}",
                        link.hardware()
                    ));
                }
                (false, Some(_)) => {
                    candidate.carrier_since = None;
                    candidate.conversation = None;
                    self.console.info(&format_args!(
                        "network: {} lost its carrier",
                        candidate.link
                    ));
                }
                _ => {}
            }
        }
        self.links = links;
        Ok(())
    }

    fn set_up(&mut self, link: &Link, configuration: Configuration) {
        let mut link = link.clone();
        if let Some(mac) = configuration.mac
            && mac != link.mac
        {
            match self.changes.netlink.set_mac(link.index, mac) {
                Ok(()) => link.mac = mac,
                Err(errno) => self.console.warning(&format_args!(
                    "{link} does not take the MAC address {mac}: {errno}"
                )),
            }
        }
        if let Err(error) = self.changes.set_up(&link) {
            self.console.warning(&error);
            self.broken.push(link.index);
            self.trouble = Some(error);
            return;
        }
        self.console
            .step(format_args!("{link} is up{}", link.hardware()));
        self.candidates.push(Candidate::new(link, configuration));
    }

    /// Goes on with all links. Whoever comes first counts. `next` becomes the time of the next packet if that is
    /// earlier.
    fn ask(&mut self, now: Duration, next: &mut Duration) -> Result<Option<Found>, Error> {
        if let Some(found) = self.by_words(now) {
            return Ok(Some(found));
        }
        let limit = (self.begun + self.limit).saturating_sub(now);
        for candidate in &mut self.candidates {
            if !candidate.wants_dhcp() {
                continue;
            }
            match candidate.talk(now, limit, self.console) {
                Ok(Progress::Wait(until)) => *next = until.min(*next),
                Ok(Progress::Done(lease)) => {
                    return Ok(Some(candidate.found(Source::Lease(lease))));
                }
                // It is told at the end, if no router helps.
                Err(error) => {
                    self.console.step(format_args!("{error}"));
                    self.trouble = Some(error);
                    candidate.is_refused = true;
                }
            }
        }
        self.look_for_routers(now)
    }

    /// The first link with a carrier for which the command line has an address.
    fn by_words(&self, now: Duration) -> Option<Found> {
        let fixed = || {
            let mut candidates = self.candidates.iter();
            core::iter::from_fn(move || {
                candidates.find_map(|candidate| match candidate.configuration.method {
                    Method::Static(network) => Some((candidate, network)),
                    _ => None,
                })
            })
        };
        let first_carrier = fixed()
            .filter_map(|(candidate, _)| candidate.carrier_since)
            .min()?;
        let is_ready = |(candidate, _): &(&Candidate, Network)| candidate.carrier_since.is_some();
        if now - first_carrier < FIRST_OF_SEVERAL && !fixed().all(|one| is_ready(&one)) {
            return None;
        }
        let (candidate, network) = fixed()
            .filter(is_ready)
            .min_by_key(|(candidate, _)| candidate.link.index)?;
        if candidate.configuration.device.is_none() && fixed().nth(1).is_some() {
            self.console.info(&format_args!(
                "network: `ip=` names no link, so its address is for {}, the first that has a carrier",
                candidate.link
            ));
        }
        Some(candidate.found(Source::Words(network)))
    }

    /// A link that has an address of IPv6, and gets none by DHCP. One that has a way out, too, comes first: without one it
    /// reaches only its own network. That may be enough, but where DHCP may help, DHCP gets all the time there is.
    fn look_for_routers(&mut self, now: Duration) -> Result<Option<Found>, Error> {
        let wants =
            |candidate: &Candidate| candidate.carrier_since.is_some() && candidate.wants_router();
        if !self.candidates.iter().any(wants) {
            return Ok(None);
        }
        let held = self.changes.netlink.addresses().map_err(Error::NoNetlink)?;
        for candidate in self
            .candidates
            .iter_mut()
            .filter(|candidate| wants(candidate))
        {
            let link = candidate.link.index;
            let mut duplicates = held.iter().filter(|held| held.is_duplicate);
            if !candidate.is_duplicate
                && let Some(duplicate) = duplicates.find(|held| held.link == link)
            {
                candidate.is_duplicate = true;
                self.console.warning(&format_args!(
                    "{} cannot have the address {}: another machine has it",
                    candidate.link, duplicate.address
                ));
            }
            let address = held
                .iter()
                .find(|held| held.link == link && is_usable(held));
            let Some(address) = address else {
                candidate.router_since = None;
                continue;
            };
            let (since, _) = *candidate.router_since.get_or_insert_with(|| {
                self.console.step(format_args!(
                    "{} has the address {} of IPv6",
                    candidate.link, address.address
                ));
                (now, *address)
            });
            // A kernel without IPv6 has no routes of it.
            let leads_out = self.changes.netlink.has_default_route6(link);
            let is_over = now - self.begun >= self.limit;
            let is_enough = match (leads_out.unwrap_or(false), candidate.wants_dhcp()) {
                (true, false) => true,
                (true, true) => now - since >= DHCP_AFTER_ROUTER,
                (false, false) => is_over || now - since >= WAY_OUT,
                (false, true) => is_over,
            };
            if is_enough {
                return Ok(Some(candidate.found(Source::Router(*address))));
            }
        }
        Ok(None)
    }

    /// Ends the search if it took too long.
    fn check_patience(&mut self, now: Duration) -> Result<(), Error> {
        let waited = now - self.begun;
        if self.candidates.is_empty() && waited >= CARD.min(self.limit) {
            return Err(self.trouble.take().unwrap_or_else(|| self.nothing_there()));
        }
        let mut candidates = self.candidates.iter();
        let is_hopeless = candidates.all(|one| one.is_refused && !one.wants_router());
        if waited < self.limit && (self.candidates.is_empty() || !is_hopeless) {
            return Ok(());
        }
        let (asked, without_carrier): (Vec<_>, Vec<_>) = self
            .candidates
            .iter()
            .partition(|candidate| candidate.carrier_since.is_some());
        let links = |list: &[&Candidate]| list.iter().map(|one| one.link.clone()).collect();
        let seconds = self.limit.as_secs();
        Err(match self.trouble.take() {
            Some(trouble) if waited < self.limit || trouble.is_of_one_server() => trouble,
            _ if asked.is_empty() => Error::NoCarrier {
                links: links(&without_carrier),
                seconds,
            },
            _ => Error::NoAnswer {
                nobody: if asked.iter().any(|one| one.wants_router()) {
                    "neither a DHCP server nor an IPv6 router"
                } else {
                    "no DHCP server"
                },
                asked: links(&asked),
                without_carrier: links(&without_carrier),
                seconds,
            },
        })
    }

    fn nothing_there(&self) -> Error {
        match plan::missing(self.settings, &self.links) {
            Some(wanted) => Error::LinkMissing {
                wanted,
                there: self.links.clone(),
            },
            None => Error::NoLinks,
        }
    }

    /// Sets down the links that came too late, but for what carries a VLAN.
    fn drop_others(&mut self, used: &Link) {
        let carries = |link: &Link| {
            let mut vlans = self.settings.vlans.iter();
            vlans.any(|vlan| vlan.name == used.name && plan::carries(self.settings, link, vlan))
        };
        for candidate in &self.candidates {
            let link = &candidate.link;
            if link.index != used.index && !carries(link) {
                self.changes.drop_link(link, self.console);
            }
        }
    }
}

fn is_usable(held: &Held) -> bool {
    matches!(held.address, IpAddr::V6(_))
        && held.is_global
        && !held.is_tentative
        && !held.is_duplicate
}
