//! A simulated network: virtual time, and servers that misbehave as told.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::net::{IpAddr, SocketAddr};
use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;

use super::super::{Event, Machine, Next, Wait, Waiting};

/// What a server does with one request, or with all.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    None,
    /// Answers this status with these headers and no body.
    Status(u16, String),
    /// Takes the request and sends nothing.
    Silent,
    /// Sends a byte each second.
    Trickle,
    /// Ignores `Range`.
    NoRange,
    /// The same, and closes the connection behind the file, whose size it does not tell.
    Http10,
    /// Changes the byte at this place of the file.
    Flip(u64),
    /// Has only this many bytes of the file.
    Truncated(usize),
    /// Closes the connection after this many bytes of the answer.
    CutAfter(usize),
    /// Answers with these bytes and closes the connection.
    Garbage(Vec<u8>),
    /// Closes the connection after the whole answer, without having said so.
    ClosesAfter,
    /// Sends more bytes than the head says.
    TooMuch,
}

pub struct Server {
    pub files: BTreeMap<String, Vec<u8>>,
    /// What it does with its requests, one after the other; then `rest` goes on.
    pub faults: Vec<Fault>,
    pub rest: Fault,
    /// When it does not take connections.
    pub down: Vec<(u64, u64)>,
    pub requests: usize,
    /// Bytes a second on each connection.
    pub rate: u64,
    /// Bytes of answers that machines took.
    pub sent: usize,
}

impl Server {
    pub fn new(path: &str, file: &[u8]) -> Self {
        Self {
            files: [(path.to_string(), file.to_vec())].into(),
            faults: Vec::new(),
            rest: Fault::None,
            down: Vec::new(),
            requests: 0,
            rate: 50 << 20,
            sent: 0,
        }
    }

    pub fn always(mut self, fault: Fault) -> Self {
        self.rest = fault;
        self
    }

    fn is_up(&self, now: Duration) -> bool {
        let second = now.as_secs();
        !self
            .down
            .iter()
            .any(|&(from, to)| (from..to).contains(&second))
    }

    /// The answer, its rate, and whether the connection ends behind it.
    fn answer(&mut self, request: &str) -> (Vec<u8>, u64, bool) {
        let fault = match self.faults.get(self.requests) {
            Some(fault) => fault.clone(),
            None => self.rest.clone(),
        };
        self.requests += 1;
        let path = request.split(' ').nth(1).expect("a path");
        let range = request
            .lines()
            .find_map(|line| line.strip_prefix("Range: bytes="))
            .and_then(|range| range.split_once('-'))
            .map(|(first, last)| {
                (
                    first.parse::<usize>().expect("a number"),
                    last.parse::<usize>().expect("a number"),
                )
            })
            .expect("a range");
        let Some(mut file) = self.files.get(path).cloned() else {
            return (
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
                self.rate,
                false,
            );
        };
        match &fault {
            Fault::Flip(at) => file[*at as usize] ^= 1,
            Fault::Truncated(length) => file.truncate(*length),
            _ => {}
        }
        let whole = |version: &str, length: &str| {
            [
                format!("HTTP/{version} 200 OK\r\n{length}\r\n").into_bytes(),
                file.clone(),
            ]
            .concat()
        };
        let part = || {
            let (first, last) = range;
            if first >= file.len() {
                return format!(
                    "HTTP/1.1 416 x\r\nContent-Range: bytes */{}\r\n\r\n",
                    file.len()
                )
                .into_bytes();
            }
            let last = last.min(file.len() - 1);
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{}\r\nContent-Length: {}\r\n\r\n",
                file.len(),
                last - first + 1
            );
            [head.as_bytes(), &file[first..=last]].concat()
        };
        let rate = self.rate;
        match fault {
            Fault::None | Fault::Flip(_) | Fault::Truncated(_) => (part(), rate, false),
            Fault::ClosesAfter => (part(), rate, true),
            Fault::TooMuch => ([&part()[..], b"more"].concat(), rate, false),
            Fault::Status(status, headers) => (
                format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: 0\r\n\r\n").into_bytes(),
                rate,
                false,
            ),
            Fault::Silent => (Vec::new(), rate, false),
            Fault::Trickle => (part(), 1, false),
            Fault::NoRange => (
                whole("1.1", &format!("Content-Length: {}\r\n", file.len())),
                rate,
                false,
            ),
            Fault::Http10 => (whole("1.0", ""), rate, true),
            Fault::CutAfter(count) => (part().into_iter().take(count).collect(), rate, true),
            Fault::Garbage(bytes) => (bytes, rate, true),
        }
    }
}

pub struct Network {
    pub now: Duration,
    pub servers: BTreeMap<SocketAddr, Server>,
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// How long it takes to look up a name.
    pub lookup: Duration,
    pub troubles: Vec<String>,
    pub reports: usize,
    pub asked: Vec<String>,
    /// What is asked for next, at a time from the begin on.
    pub next: Box<dyn Fn(Duration) -> Next>,
    random: u32,
    /// Each second try to receive finds nothing, as where a connection was read empty.
    stutters: bool,
}

pub struct Connection {
    to: SocketAddr,
    request: Vec<u8>,
    answer: Vec<u8>,
    since: Duration,
    rate: u64,
    taken: usize,
    ends: bool,
}

impl Connection {
    /// When the next byte, or the end, arrives.
    fn next_byte(&self) -> Duration {
        match self.taken < self.answer.len() {
            true => {
                let micros = (self.taken as u64 + 1) * 1_000_000 / self.rate + 1;
                self.since + Duration::from_micros(micros)
            }
            false if self.ends => self.since,
            false => Duration::MAX,
        }
    }
}

impl Network {
    pub fn new() -> Self {
        Self {
            now: Duration::from_secs(5),
            servers: BTreeMap::new(),
            names: BTreeMap::new(),
            lookup: Duration::from_millis(100),
            troubles: Vec::new(),
            reports: 0,
            asked: Vec::new(),
            next: Box::new(|_| Next::default()),
            random: 1,
            stutters: false,
        }
    }

    pub fn with(mut self, address: &str, server: Server) -> Self {
        self.servers
            .insert(address.parse().expect("an address"), server);
        self
    }

    pub fn server(&self, address: &str) -> &Server {
        &self.servers[&address.parse().expect("an address")]
    }

    /// Bytes that can be read now, and whether the end can.
    fn readable(&self, connection: &Connection) -> (usize, bool) {
        let up = self
            .servers
            .get(&connection.to)
            .is_some_and(|server| server.is_up(self.now));
        if !up {
            return (0, true);
        }
        let micros = (self.now - connection.since).as_micros();
        let arrived = (micros * u128::from(connection.rate) / 1_000_000)
            .min(connection.answer.len() as u128) as usize;
        (
            arrived - connection.taken.min(arrived),
            connection.ends && arrived == connection.answer.len(),
        )
    }
}

impl Machine for Network {
    type Connection = Connection;
    type Error = String;

    fn now(&mut self) -> Duration {
        self.now
    }

    fn next(&mut self) -> Next {
        (self.next)(self.now)
    }

    fn random(&mut self) -> u32 {
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.random
    }

    fn resolve(&mut self, host: &str) -> Result<Vec<IpAddr>, String> {
        self.now += self.lookup;
        self.names
            .get(host)
            .cloned()
            .ok_or_else(|| "no such name".into())
    }

    fn connect(&mut self, to: SocketAddr) -> Result<Connection, String> {
        Ok(Connection {
            to,
            request: Vec::new(),
            answer: Vec::new(),
            since: self.now,
            rate: 1,
            taken: 0,
            ends: false,
        })
    }

    fn connected(&mut self, connection: &mut Connection) -> Result<(), String> {
        match self.servers.get(&connection.to) {
            Some(server) if server.is_up(self.now) => Ok(()),
            _ => Err("connection refused".into()),
        }
    }

    fn send(&mut self, connection: &mut Connection, bytes: &[u8]) -> Result<Option<usize>, String> {
        let server = self.servers.get_mut(&connection.to).expect("connected");
        if !server.is_up(self.now) || connection.ends {
            return Err("connection reset".into());
        }
        // Never all at once, so that the rest has to be sent too.
        let count = bytes.len().div_ceil(2);
        connection.request.extend_from_slice(&bytes[..count]);
        if connection.request.ends_with(b"\r\n\r\n") {
            let request =
                String::from_utf8(core::mem::take(&mut connection.request)).expect("text");
            (connection.answer, connection.rate, connection.ends) = server.answer(&request);
            connection.taken = 0;
            connection.since = self.now + Duration::from_millis(1);
        }
        Ok(Some(count))
    }

    fn receive(
        &mut self,
        connection: &mut Connection,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, String> {
        self.stutters = !self.stutters;
        if self.now < connection.since || self.stutters {
            return Ok(None);
        }
        let (count, ends) = self.readable(connection);
        let count = count.min(buffer.len());
        buffer[..count]
            .copy_from_slice(&connection.answer[connection.taken..connection.taken + count]);
        connection.taken += count;
        if let Some(server) = self.servers.get_mut(&connection.to) {
            server.sent += count;
        }
        match count {
            0 if ends => Ok(Some(0)),
            0 => Ok(None),
            count => Ok(Some(count)),
        }
    }

    fn wait(&mut self, connections: &mut [Waiting<'_, Connection>], timeout: Duration) {
        let step = Duration::from_millis(1);
        let end = self.now + timeout.max(step);
        while self.now < end {
            // Nothing happens between two bytes; servers go down and come back at whole seconds.
            let second = Duration::from_secs(self.now.as_secs() + 1);
            let next = connections.iter().map(|waiting| match waiting.wait {
                Wait::Send => self.now,
                Wait::Receive => waiting.connection.next_byte(),
            });
            let next = next.chain([second, end]).min().unwrap_or(end);
            self.now = next.max(self.now + step);
            let mut any = false;
            for waiting in connections.iter_mut() {
                waiting.ready = match waiting.wait {
                    Wait::Send => true,
                    Wait::Receive if self.now < waiting.connection.since => false,
                    Wait::Receive => {
                        matches!(self.readable(waiting.connection), (1.., _) | (_, true))
                    }
                };
                any |= waiting.ready;
            }
            if any {
                return;
            }
        }
    }

    fn report(&mut self, event: Event<'_>) {
        match event {
            Event::Trouble(trouble) => self.troubles.push(trouble.to_string()),
            Event::Progress(_) => self.reports += 1,
            Event::Request { url, offset, bytes } => {
                self.asked.push(format!("{url} {offset} {bytes}"))
            }
        }
    }
}
