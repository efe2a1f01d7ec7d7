//! A DNS client (RFC 1035) that turns one name into addresses.
//!
//! ```
//! use core::time::Duration;
//! use storeboot_netconf::dns::{Lookup, Question, Step, Wanted};
//!
//! let question = Question {
//!     name: "store.example.org",
//!     wanted: Wanted::Both,
//!     servers: &["192.0.2.53:53".parse()?],
//!     search: &[],
//!     tries: 6,
//! };
//! let mut random = || 4; // the machine's random numbers
//! let mut lookup = Lookup::new(&question);
//! match lookup.poll(Duration::ZERO, &mut random) {
//!     Step::Send { to, message } => assert_eq!(to.port(), 53), // by UDP, and ask again
//!     Step::Wait(until) => {} // for a datagram, which goes to `lookup.receive` with the address it came from
//!     Step::Done(addresses) => println!("{addresses:?}"),
//!     Step::Failed(error) => println!("{error}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod message;
mod name;
mod resolv_conf;

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use smoltcp::wire::{DnsQueryType, DnsRcode};

pub use error::{Error, Ignored, Refusal};
pub use name::{Name, NameError};
pub use resolv_conf::{NameServer, ResolvConf};

/// How long the servers are waited for in the first round, and in every later one.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// A name has no more addresses that matter.
const MAX_ADDRESSES: usize = 16;

/// What is asked, of whom.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// A host name, or an address as text, which is the answer then.
    pub name: &'a str,
    /// Which addresses the machine has a use for.
    pub wanted: Wanted,
    /// The servers, in the order in which they are asked. Their port is 53, and a link-local address has its scope.
    pub servers: &'a [SocketAddr],
    /// Domains that are put after a name of one label, if the name itself does not exist.
    pub search: &'a [Name],
    /// How many times a server is asked at most for one name, over all servers.
    pub tries: usize,
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// IPv4 (A).
    Ipv4,
    /// IPv6 (AAAA).
    Ipv6,
    /// Both. One of them is enough.
    Both,
}

/// What the caller does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this datagram, and ask again.
    Send {
        /// The server.
        to: SocketAddr,
        /// The UDP payload.
        message: Vec<u8>,
    },
    /// Ask again after the next datagram that arrives, or at this time.
    Wait(Duration),
    /// The addresses, at least one, as the server ordered them, IPv6 first. Every further question gets this answer.
    Done(Vec<IpAddr>),
    /// There are none. Every further question gets this answer.
    Failed(Error),
}

/// A question on its way.
#[derive(Debug)]
pub struct Lookup {
    /// The name as it was asked for, then with each domain. The first one is being asked for.
    names: VecDeque<Name>,
    wanted: Wanted,
    servers: Vec<SocketAddr>,
    tries: usize,
    /// How many times a server was asked for the first name.
    tried: usize,
    state: State,
    /// What the last server that settled nothing said about the first name.
    refusal: Option<Refusal>,
}

#[derive(Debug)]
enum State {
    /// The next server is due.
    Next,
    Asking(Try),
    Done(Vec<IpAddr>),
    Failed(Error),
}

/// The questions to one server.
#[derive(Debug)]
struct Try {
    server: SocketAddr,
    wait: Duration,
    /// `None` until the first question is on its way.
    until: Option<Duration>,
    queries: Vec<Query>,
}

#[derive(Debug)]
struct Query {
    kind: DnsQueryType,
    /// The number of the message. `None` until it is on its way.
    id: Option<u16>,
    answer: Option<Outcome>,
}

#[derive(Debug)]
enum Outcome {
    /// None, if the name has no address of this kind.
    Addresses(Vec<IpAddr>),
    NoSuchName,
    Refused(Refusal),
}

impl Lookup {
    /// Begins. A name that is no host name, and a want of servers, show in the first [`Step`].
    pub fn new(question: &Question) -> Self {
        let text = question.name;
        let mut names = VecDeque::new();
        let state = match (address(text), Name::parse(text)) {
            (Some(address), _) => State::Done(vec![address]),
            (None, Ok(name)) if question.servers.is_empty() => {
                State::Failed(Error::NoServers { name })
            }
            (None, Ok(name)) => {
                // With a dot at its end, the name is whole.
                let whole = text.ends_with('.') || !name.has_one_label();
                names.push_back(name.clone());
                if !whole {
                    let longer = |domain| name.in_domain(domain).ok();
                    names.extend(question.search.iter().filter_map(longer));
                }
                State::Next
            }
            (None, Err(reason)) => State::Failed(Error::Name {
                name: text.into(),
                reason,
            }),
        };
        Self {
            names,
            wanted: question.wanted,
            servers: question.servers.to_vec(),
            tries: question.tries,
            tried: 0,
            state,
            refusal: None,
        }
    }

    /// What to do at `now`. `random` gives random numbers of 32 bits.
    pub fn poll(&mut self, now: Duration, random: &mut dyn FnMut() -> u32) -> Step {
        loop {
            self.state = match &mut self.state {
                State::Done(addresses) => return Step::Done(addresses.clone()),
                State::Failed(error) => return Step::Failed(error.clone()),
                State::Next => self.next_try(),
                State::Asking(asking) => {
                    if let (Some(name), Some((id, kind))) =
                        (self.names.front(), asking.next_question(random))
                    {
                        asking.until.get_or_insert(now.saturating_add(asking.wait));
                        return Step::Send {
                            to: asking.server,
                            message: message::write(id, name, kind),
                        };
                    }
                    match asking.until {
                        Some(until) if now < until && !asking.is_answered() => {
                            return Step::Wait(until);
                        }
                        _ => self.settle(),
                    }
                }
            }
        }
    }

    /// Takes a datagram that came from `from`. Then ask [`poll`](Self::poll).
    ///
    /// # Errors
    /// The datagram is no answer to a question that is on its way. That is no reason to stop.
    pub fn receive(&mut self, from: SocketAddr, datagram: &[u8]) -> Result<(), Ignored> {
        let (State::Asking(asking), Some(name)) = (&mut self.state, self.names.front()) else {
            return Err(Ignored::OtherServer);
        };
        let server = asking.server;
        // The scope of a link-local address need not come back as it was given.
        if (from.ip(), from.port()) != (server.ip(), server.port()) {
            return Err(Ignored::OtherServer);
        }
        let id = message::id(datagram)?;
        let query = asking
            .queries
            .iter_mut()
            .find(|query| query.id == Some(id) && query.answer.is_none())
            .ok_or(Ignored::OtherMessage)?;
        let answer = message::read(datagram, name, query.kind)?;
        let cut = answer.truncated && answer.addresses.is_empty();
        query.answer = Some(match answer.code {
            DnsRcode::NoError if !cut => Outcome::Addresses(answer.addresses),
            DnsRcode::NXDomain => Outcome::NoSuchName,
            code => Outcome::Refused(Refusal {
                server,
                code: code.into(),
            }),
        });
        Ok(())
    }

    /// Asks the next server, and in the end the first one again.
    fn next_try(&mut self) -> State {
        let Some(name) = self.names.front() else {
            // Only a lookup that is over has no name.
            return State::Done(Vec::new());
        };
        let round = self.tried / self.servers.len().max(1);
        let server = self.servers.get(self.tried - round * self.servers.len());
        let Some(server) = server.filter(|_| self.tried < self.tries) else {
            let error = Error::NoAnswer {
                name: name.clone(),
                refusal: self.refusal.take(),
            };
            // Some servers refuse a name of one label. Servers that are silent stay silent.
            let refused = matches!(&error, Error::NoAnswer { refusal, .. } if refusal.is_some());
            return if refused {
                self.next_name(error)
            } else {
                State::Failed(error)
            };
        };
        self.tried += 1;
        let kinds: &[DnsQueryType] = match self.wanted {
            Wanted::Ipv4 => &[DnsQueryType::A],
            Wanted::Ipv6 => &[DnsQueryType::Aaaa],
            Wanted::Both => &[DnsQueryType::Aaaa, DnsQueryType::A],
        };
        let query = |kind: &DnsQueryType| Query {
            kind: *kind,
            id: None,
            answer: None,
        };
        State::Asking(Try {
            server: *server,
            wait: if round == 0 { WAITS[0] } else { WAITS[1] },
            until: None,
            queries: kinds.iter().map(query).collect(),
        })
    }

    /// What the answers of one server, as far as they are there, mean for the name.
    fn settle(&mut self) -> State {
        let State::Asking(asking) = core::mem::replace(&mut self.state, State::Next) else {
            return State::Next;
        };
        let server = asking.server;
        let mut found = Vec::new();
        let (mut exists, mut all_empty) = (true, true);
        for query in asking.queries {
            match query.answer {
                Some(Outcome::Addresses(addresses)) => found.extend(addresses),
                Some(Outcome::NoSuchName) => exists = false,
                Some(Outcome::Refused(refusal)) => {
                    all_empty = false;
                    self.refusal = Some(refusal);
                }
                None => all_empty = false,
            }
        }
        let Some(name) = self.names.front().cloned() else {
            return State::Next;
        };
        if !found.is_empty() {
            State::Done(found)
        } else if !exists {
            self.next_name(Error::NoSuchName { name, server })
        } else if all_empty {
            self.next_name(Error::NoAddress { name, server })
        } else {
            State::Next
        }
    }

    /// Goes on with the name in the next domain. Without one, the error is the result.
    fn next_name(&mut self, error: Error) -> State {
        self.names.pop_front();
        self.tried = 0;
        self.refusal = None;
        if self.names.is_empty() {
            State::Failed(error)
        } else {
            State::Next
        }
    }
}

impl Try {
    /// A number for the next question that is not on its way yet.
    fn next_question(&mut self, random: &mut dyn FnMut() -> u32) -> Option<(u16, DnsQueryType)> {
        let at = self.queries.iter().position(|query| query.id.is_none())?;
        let [low, high, ..] = random().to_le_bytes();
        let mut id = u16::from_le_bytes([low, high]);
        while self.queries.iter().any(|query| query.id == Some(id)) {
            id = id.wrapping_add(1);
        }
        let query = self.queries.get_mut(at)?;
        query.id = Some(id);
        Some((id, query.kind))
    }

    fn is_answered(&self) -> bool {
        self.queries.iter().all(|query| query.answer.is_some())
    }
}

/// An address as text. A URL has IPv6 addresses in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}
