//! A DHCPv4 client (RFC 2131) that takes one lease and keeps it: a boot is over before a lease is.
//!
//! The client makes whole IPv4 packets and reads whole IPv4 packets, as an `AF_PACKET` socket of type `SOCK_DGRAM`
//! sends and receives them: a card without an address cannot use UDP sockets.
//!
//! ```
//! use core::time::Duration;
//! use storeboot_netconf::Mac;
//! use storeboot_netconf::dhcp::{Client, Step};
//!
//! let mac = Mac([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);
//! let mut random = || 4; // the machine's random numbers
//! let now = Duration::ZERO;
//! let mut client = Client::new(mac, now, Duration::from_secs(120));
//! match client.poll(now, &mut random) {
//!     Step::Send(packet) => assert_eq!(packet[0], 0x45), // to the link's broadcast address
//!     Step::Wait(until) => {}                            // for a packet, which goes to `client.receive`
//!     Step::Done(lease) => println!("{}/{}", lease.address, lease.prefix_len),
//!     Step::Failed(error) => println!("{error}"),
//! }
//! assert!(matches!(client.poll(now, &mut random), Step::Wait(_)));
//! ```

mod error;
mod lease;
mod options;
mod packet;

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use smoltcp::wire::DhcpMessageType;

pub use error::{Error, Ignored};
pub use lease::{Lease, Route};
pub use packet::UdpChecksum;

use crate::Mac;
use packet::Question;

/// The waits after each packet, to which up to half a second is added or from which it is taken. The last one repeats.
const WAITS: [u64; 5] = [1, 2, 4, 8, 16];
/// How often an offer is asked for before the client looks for another one.
const REQUESTS: usize = 4;

/// A client on one link.
#[derive(Debug)]
pub struct Client {
    mac: Mac,
    begun: Duration,
    deadline: Duration,
    state: State,
    transaction: u32,
    /// `secs` of the packets of this transaction, which a request must repeat.
    seconds: u16,
    /// When the next packet is due.
    due: Duration,
    /// How many packets went out since the state was entered.
    sent: usize,
    seen: Seen,
}

#[derive(Clone, Debug)]
enum State {
    Discovering,
    Requesting(Offer),
    Bound(Lease),
    Failed(Error),
}

#[derive(Clone, Copy, Debug)]
struct Offer {
    address: Ipv4Addr,
    server: Ipv4Addr,
}

/// What came of the tries so far, for the error.
#[derive(Clone, Debug, Default)]
struct Seen {
    offer: Option<Offer>,
    refused_by: Option<Ipv4Addr>,
    ignored: Option<Ignored>,
}

/// What the caller does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this IPv4 packet to the link's broadcast address, and ask again.
    Send(Vec<u8>),
    /// Ask again after the next packet that arrives, or at this time.
    Wait(Duration),
    /// There is an address. Every further question gets this answer.
    Done(Lease),
    /// There is no address within the limit. Every further question gets this answer.
    Failed(Error),
}

impl Client {
    /// Begins. The client gives up `limit` after `now`.
    pub fn new(mac: Mac, now: Duration, limit: Duration) -> Self {
        Self {
            mac,
            begun: now,
            deadline: now.saturating_add(limit),
            state: State::Discovering,
            transaction: 0,
            seconds: 0,
            due: now,
            sent: 0,
            seen: Seen::default(),
        }
    }

    /// What to do at `now`. `random` gives random numbers of 32 bits.
    pub fn poll(&mut self, now: Duration, random: &mut dyn FnMut() -> u32) -> Step {
        match &self.state {
            State::Bound(lease) => return Step::Done(lease.clone()),
            State::Failed(error) => return Step::Failed(error.clone()),
            State::Discovering | State::Requesting(_) => {}
        }
        if now >= self.deadline {
            let error = self.seen.error(self.deadline.saturating_sub(self.begun));
            self.state = State::Failed(error.clone());
            return Step::Failed(error);
        }
        if now < self.due {
            return Step::Wait(self.due.min(self.deadline));
        }
        let offer = match &self.state {
            State::Requesting(offer) if self.sent < REQUESTS => Some(*offer),
            State::Requesting(_) => {
                self.enter(State::Discovering, now);
                None
            }
            _ => None,
        };
        if offer.is_none() {
            if self.sent == 0 {
                // The same number until an offer comes: some servers take three seconds to see whether an address is
                // free, and their offer is an answer to an earlier packet.
                self.transaction = random();
            }
            let seconds = now.saturating_sub(self.begun).as_secs();
            self.seconds = seconds.try_into().unwrap_or(u16::MAX);
        }
        self.due = now.saturating_add(wait(self.sent, random()));
        self.sent += 1;
        Step::Send(packet::write(&Question {
            mac: self.mac,
            transaction: self.transaction,
            seconds: self.seconds,
            offer: offer.map(|offer| (offer.address, offer.server)),
        }))
    }

    /// Takes an IPv4 packet that arrived at `now`. Then ask [`poll`](Self::poll).
    ///
    /// # Errors
    /// The packet is not for this client, or says nothing that a machine can use. That is no reason to stop: a link
    /// carries other machines' packets.
    pub fn receive(
        &mut self,
        packet: &[u8],
        checksum: UdpChecksum,
        now: Duration,
    ) -> Result<(), Ignored> {
        let taken = self.take(packet, checksum, now);
        if let Err(ignored) = &taken
            && ignored.is_for_this_client()
        {
            self.seen.ignored = Some(ignored.clone());
        }
        taken
    }

    fn take(&mut self, packet: &[u8], checksum: UdpChecksum, now: Duration) -> Result<(), Ignored> {
        if self.sent == 0 {
            return Err(Ignored::NotAsked);
        }
        let answer = packet::read(packet, checksum)?;
        if answer.mac != self.mac {
            return Err(Ignored::OtherMac);
        }
        if answer.transaction != self.transaction {
            return Err(Ignored::OtherTransaction);
        }
        match (&self.state, answer.kind) {
            (State::Discovering, DhcpMessageType::Offer) => {
                // An offer that no lease can come of is not asked for.
                let lease = lease::read(&answer)?;
                let offer = Offer {
                    address: lease.address,
                    server: lease.server,
                };
                self.seen.offer = Some(offer);
                self.enter(State::Requesting(offer), now);
                Ok(())
            }
            (State::Requesting(offer), DhcpMessageType::Ack) => {
                if lease::server(&answer)? != offer.server {
                    return Err(Ignored::OtherServer);
                }
                let lease = lease::read(&answer)?;
                if lease.address != offer.address {
                    return Err(Ignored::OtherAddress);
                }
                self.enter(State::Bound(lease), now);
                Ok(())
            }
            (State::Requesting(offer), DhcpMessageType::Nak) => {
                if lease::server(&answer)? != offer.server {
                    return Err(Ignored::OtherServer);
                }
                self.seen.refused_by = Some(offer.server);
                self.enter(State::Discovering, now);
                // A server that refuses everything does not make the client spin.
                self.due = now.saturating_add(Duration::from_secs(WAITS[0]));
                Ok(())
            }
            _ => Err(Ignored::NotAsked),
        }
    }

    fn enter(&mut self, state: State, now: Duration) {
        self.state = state;
        self.due = now;
        self.sent = 0;
    }
}

impl Seen {
    fn error(&self, limit: Duration) -> Error {
        match (self.refused_by, self.offer) {
            (Some(server), _) => Error::Refused { server, limit },
            (None, Some(offer)) => Error::NotConfirmed {
                server: offer.server,
                address: offer.address,
                limit,
            },
            (None, None) => Error::NoOffer {
                ignored: self.ignored.clone(),
                limit,
            },
        }
    }
}

/// RFC 2131, 4.1: doubled waits, with up to half a second more or less so that a rack that is switched on at once does
/// not ask at once.
fn wait(sent: usize, random: u32) -> Duration {
    let seconds = WAITS[sent.min(WAITS.len() - 1)];
    Duration::from_millis(seconds * 1000 - 500 + u64::from(random % 1001))
}
