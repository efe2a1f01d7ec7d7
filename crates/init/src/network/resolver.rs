//! From names to addresses.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::time::Duration;

use storeboot_netconf::dns::{
    Error as NoAddress, Lookup, Name, Question, ResolvConf, Step, Wanted,
};
use storeboot_netconf::router::Advertised;
use storeboot_netconf::words::Settings;

use super::AT_ONCE;
use super::links;
use super::rtnetlink::Options;
use crate::console::Console;
use crate::netlink::Netlink;
use crate::paths::read_file;
use crate::sys::{self, Address, Errno, Fd, Poll, Protocol};

/// The port of name servers.
const PORT: u16 = 53;

/// How often servers are asked for one name: each of a few twice or more. Whoever wants to know may ask again.
const TRIES: usize = 6;

/// More name servers than that are of no use.
const MAX_SERVERS: usize = 16;

/// The files that name the servers in an initrd with another stage 1: the first that has any. systemd-resolved's own
/// server, which `/etc/resolv.conf` names, may be gone in an initrd.
const FILES: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];

/// Asks name servers.
#[derive(Debug)]
pub(crate) struct Resolver {
    servers: Vec<SocketAddr>,
    search: Vec<Name>,
    /// Routers may name servers at any time.
    options: Option<Options>,
}

impl Resolver {
    /// One that knows no servers but those of routers.
    pub(super) fn new(options: Option<Options>) -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            options,
        }
    }

    /// One that asks the servers that the command line names, and then those that another stage 1 has found.
    pub(crate) fn of_another_stage1(words: &[String]) -> Self {
        let mut resolver = Self::new(None);
        for server in Settings::parse(words.iter().map(String::as_str)).name_servers {
            resolver.add_server(server, 0);
        }
        let named = resolver.servers.len();
        for file in FILES {
            let Ok(text) = read_file(file, 1 << 16) else {
                continue;
            };
            let found = ResolvConf::parse(&text);
            for server in found.servers {
                let link = server.scope.map_or(0, |scope| link_index(&scope));
                resolver.add_server(server.address, link);
            }
            resolver.search = found.search;
            if resolver.servers.len() > named {
                break;
            }
        }
        resolver
    }

    /// Adds a server, which is asked after those before. `link` counts for link-local addresses only.
    pub(super) fn add_server(&mut self, address: IpAddr, link: u32) {
        let server = match address {
            IpAddr::V4(_) => SocketAddr::new(address, PORT),
            IpAddr::V6(address) => {
                let scope = if is_link_local(address) { link } else { 0 };
                SocketAddr::V6(SocketAddrV6::new(address, PORT, 0, scope))
            }
        };
        if !self.servers.contains(&server) && self.servers.len() < MAX_SERVERS {
            self.servers.push(server);
        }
    }

    /// Adds a domain in which names without a dot are looked up.
    pub(super) fn add_domain(&mut self, domain: &str) {
        self.search.extend(Name::parse(domain));
    }

    /// The addresses of the servers.
    pub(super) fn servers(&self) -> impl Iterator<Item = IpAddr> {
        self.servers.iter().map(SocketAddr::ip)
    }

    /// Takes the name servers that routers have named since the last time.
    pub(super) fn hear_routers(&mut self) {
        let Some(mut options) = self.options.take() else {
            return;
        };
        options.receive(|message| {
            if let Ok(advertised) = Advertised::read(message) {
                for server in advertised.name_servers {
                    self.add_server(server.into(), advertised.device);
                }
            }
        });
        self.options = Some(options);
    }

    /// The addresses of a host, or the one that the text is. It takes a few seconds at most if nobody answers.
    pub(crate) fn resolve(
        &mut self,
        host: &str,
        console: &Console,
    ) -> Result<Vec<IpAddr>, NoAddress> {
        self.hear_routers();
        let mut lookup = Lookup::new(&Question {
            name: host,
            wanted: wanted(),
            servers: &self.servers,
            search: &self.search,
            tries: TRIES,
        });
        let mut sockets = Sockets::default();
        loop {
            match lookup.poll(sys::boot_time(), &mut sys::random) {
                Step::Send { to, message } => match sockets.send(to, &message) {
                    Ok(()) => console.step(format_args!("asked {} for {host}", to.ip())),
                    // As if no answer came: the next server is asked after a while.
                    Err(errno) => console.step(format_args!(
                        "name server {} cannot be asked: {errno}",
                        to.ip()
                    )),
                },
                Step::Wait(until) => sockets.wait(until, |from, datagram| {
                    if let Err(ignored) = lookup.receive(from, datagram) {
                        console.step(format_args!(
                            "a packet from {} does not count: {ignored}",
                            from.ip()
                        ));
                    }
                }),
                Step::Done(addresses) => return Ok(addresses),
                Step::Failed(error) => return Err(error),
            }
        }
    }
}

/// A socket for each server that was asked. Each gets its own port, and hears that server only.
#[derive(Debug, Default)]
struct Sockets(Vec<(SocketAddr, Fd)>);

impl Sockets {
    fn send(&mut self, to: SocketAddr, message: &[u8]) -> Result<(), Errno> {
        if !self.0.iter().any(|(server, _)| *server == to) {
            let protocol = match to {
                SocketAddr::V4(_) => Protocol::Udp4,
                SocketAddr::V6(_) => Protocol::Udp6,
            };
            let socket = sys::socket(protocol)?;
            sys::connect(&socket, &Address::Ip(to))?;
            self.0.push((to, socket));
        }
        let mut sockets = self.0.iter();
        let (_, socket) = sockets
            .find(|(server, _)| *server == to)
            .ok_or(Errno::ENOTCONN)?;
        sys::send(socket, message).map(drop)
    }

    /// Waits for a datagram, or until then, and calls `each` with the datagrams that are there and their senders.
    fn wait(&self, until: Duration, mut each: impl FnMut(SocketAddr, &[u8])) {
        let mut wanted: Vec<Poll<'_>> = self
            .0
            .iter()
            .map(|(_, socket)| Poll::to_read(socket))
            .collect();
        let time = until.saturating_sub(sys::boot_time());
        // Whatever is wrong, the next question sees it.
        let _ = sys::poll(&mut wanted, Some(time));
        let mut buffer = [0; 2048];
        for (server, socket) in &self.0 {
            for _ in 0..AT_ONCE {
                // An error is told once: that nobody is at that port.
                let Ok(len) = sys::receive(socket, &mut buffer) else {
                    break;
                };
                each(*server, buffer.get(..len).unwrap_or_default());
            }
        }
    }
}

/// The kinds of addresses that this machine has a use for: those that it has itself.
fn wanted() -> Wanted {
    let held = Netlink::open(Protocol::Route)
        .and_then(|mut netlink| netlink.addresses())
        .unwrap_or_default();
    let has = |is_it: fn(&IpAddr) -> bool| {
        let mut usable = held.iter().filter(|held| held.is_global);
        usable.any(|held| is_it(&held.address))
    };
    match (has(IpAddr::is_ipv4), has(IpAddr::is_ipv6)) {
        (true, false) => Wanted::Ipv4,
        (false, true) => Wanted::Ipv6,
        _ => Wanted::Both,
    }
}

/// The index of a link, by its name or as a number; 0 if there is no such link.
fn link_index(scope: &str) -> u32 {
    let links = links::list().unwrap_or_default();
    let mut named = links.iter().filter(|link| link.name == scope);
    named
        .next()
        .map(|link| link.index)
        .or_else(|| scope.parse().ok())
        .unwrap_or(0)
}

fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn servers_are_asked_once_each() {
        let mut resolver = Resolver::new(None);
        for _ in 0..2 {
            resolver.add_server("10.0.2.3".parse().unwrap(), 7);
            resolver.add_server("fe80::3".parse().unwrap(), 7);
            resolver.add_server("2001:db8::3".parse().unwrap(), 7);
        }
        let servers = ["10.0.2.3:53", "[fe80::3%7]:53", "[2001:db8::3]:53"];
        let servers: Vec<SocketAddr> = servers.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(resolver.servers, servers);
    }

    #[test]
    fn addresses_need_no_server() {
        let mut resolver = Resolver::new(None);
        let console = Console::plain();
        let mut resolve = |text: &str| resolver.resolve(text, &console);
        assert_eq!(
            resolve("10.0.2.2").unwrap(),
            ["10.0.2.2".parse::<IpAddr>().unwrap()]
        );
        assert!(matches!(resolve("store"), Err(NoAddress::NoServers { .. })));
    }

    #[test]
    fn a_flood_is_left_for_a_look_at_the_time() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let mut sockets = Sockets::default();
        sockets.send(address, b"question").unwrap();
        let (_, asker) = server.recv_from(&mut [0; 512]).unwrap();
        for _ in 0..100 {
            server.send_to(b"no answer", asker).unwrap();
        }
        // What is left in the queue comes next. A busy machine may not have all in the queue yet.
        let mut left = 100;
        for _ in 0..100 {
            let mut heard = 0;
            let until = sys::boot_time() + Duration::from_secs(2);
            sockets.wait(until, |_, _| heard += 1);
            assert!(heard <= AT_ONCE, "{heard} without a look at the time");
            left -= heard;
            if left == 0 {
                return;
            }
        }
        panic!("{left} never came");
    }

    #[test]
    fn a_server_is_asked_and_answers() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut resolver = Resolver::new(None);
        resolver.servers.push(server.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let mut buffer = [0; 512];
            // As many questions as there are kinds of addresses.
            while let Ok((len, from)) = server.recv_from(&mut buffer) {
                let question = &buffer[..len];
                let is_ipv4 = question[len - 3] == 1;
                let mut answer = question.to_vec();
                answer[2] |= 0x80;
                answer[7] = u8::from(is_ipv4);
                if is_ipv4 {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
                }
                server.send_to(&answer, from).unwrap();
                if is_ipv4 {
                    return;
                }
            }
        });
        let found = resolver.resolve("store.example.org", &Console::plain());
        assert_eq!(found.unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        asked.join().unwrap();
    }
}
