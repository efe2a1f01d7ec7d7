//! A link that may get an address, and how far it is.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use storeboot_netconf::dhcp::Lease;
use storeboot_netconf::words::{Configuration, Method, Network};

use super::conversation::{Conversation, Progress};
use super::error::Error;
use super::links::{Link, List};
use super::rtnetlink::Held;
use crate::console::Console;

/// A link that may get an address.
#[derive(Debug)]
pub(super) struct Candidate {
    pub link: Link,
    pub configuration: Configuration,
    pub carrier_since: Option<Duration>,
    pub conversation: Option<Conversation>,
    /// Whether DHCP gives it nothing.
    pub is_refused: bool,
    /// Whether the console knows that another machine has its address.
    pub is_duplicate: bool,
    /// Since when it has an address of IPv6.
    pub router_since: Option<(Duration, Held)>,
}

impl Candidate {
    /// A link that has just been set up.
    pub(super) fn new(link: Link, configuration: Configuration) -> Self {
        Self {
            link,
            configuration,
            carrier_since: None,
            conversation: None,
            is_refused: false,
            is_duplicate: false,
            router_since: None,
        }
    }

    /// Whether it has a carrier and may get an address by DHCP.
    pub(super) fn wants_dhcp(&self) -> bool {
        self.carrier_since.is_some()
            && !self.is_refused
            && matches!(
                self.configuration.method,
                Method::Automatic { dhcp: true, .. }
            )
    }

    /// Whether it may get an address by a router's advertisement.
    pub(super) fn wants_router(&self) -> bool {
        matches!(
            self.configuration.method,
            Method::Automatic { router: true, .. }
        )
    }

    /// Begins to ask by DHCP, or goes on.
    pub(super) fn talk(
        &mut self,
        now: Duration,
        limit: Duration,
        console: &Console,
    ) -> Result<Progress, Error> {
        let conversation = match &mut self.conversation {
            Some(conversation) => conversation,
            none => none.insert(Conversation::begin(&self.link, now, limit)?),
        };
        conversation.go_on(&self.link, now, console)
    }

    /// The end of the search.
    pub(super) fn found(&self, source: Source) -> Found {
        Found {
            link: self.link.clone(),
            mtu: self.configuration.mtu,
            source,
        }
    }
}

/// The first link that got an address.
#[derive(Debug)]
pub(super) struct Found {
    pub link: Link,
    /// The MTU that the command line has for it.
    pub mtu: Option<u32>,
    pub source: Source,
}

/// Where an address came from.
#[derive(Debug)]
pub(super) enum Source {
    /// The command line.
    Words(Network),
    /// A DHCP server.
    Lease(Lease),
    /// A router's advertisements: the kernel has taken them already.
    Router(Held),
}

/// What is waited for, in a sentence.
pub(super) struct Waiting<'a>(pub &'a [Candidate]);

impl fmt::Display for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |carrier: bool| -> Vec<Link> {
            let candidates = self.0.iter();
            candidates
                .filter(|candidate| candidate.carrier_since.is_some() == carrier)
                .map(|candidate| candidate.link.clone())
                .collect()
        };
        let (asked, without) = (with(true), with(false));
        match (asked.is_empty(), without.is_empty()) {
            (true, true) => f.write_str("network: waiting for a card to show up"),
            (true, false) => write!(f, "network: waiting for a carrier on {}", List(&without)),
            (false, true) => write!(f, "network: waiting for an address on {}", List(&asked)),
            (false, false) => write!(
                f,
                "network: waiting for an address on {}; there is no carrier on {}",
                List(&asked),
                List(&without)
            ),
        }
    }
}
