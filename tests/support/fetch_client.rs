//! The machine that stage 1's download runs on, made of the standard library's sockets.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use sha2::{Digest, Sha256};
use storeboot_fetch::{CHUNK_SIZE, Event, Machine, Wait, Waiting};

/// Sockets, the clock, and a list of what went wrong.
#[derive(Debug)]
pub struct FetchClient {
    start: Instant,
    /// What went wrong, a sentence each.
    pub troubles: Vec<String>,
}

impl Default for FetchClient {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            troubles: Vec::new(),
        }
    }
}

/// The SHA-256 of each chunk of an image.
#[must_use]
pub fn chunk_hashes(image: &[u8]) -> Vec<[u8; 32]> {
    let size = usize::try_from(CHUNK_SIZE).expect("a chunk fits into memory");
    let chunks = image.chunks(size);
    chunks.map(|chunk| Sha256::digest(chunk).into()).collect()
}

impl Machine for FetchClient {
    type Connection = TcpStream;
    type Error = io::Error;

    fn now(&mut self) -> Duration {
        self.start.elapsed()
    }

    fn random(&mut self) -> u32 {
        // Each state has keys of its own.
        RandomState::new().hash_one(0_u8) as u32
    }

    fn resolve(&mut self, host: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = (host, 0).to_socket_addrs()?;
        Ok(addresses.map(|address| address.ip()).collect())
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<TcpStream> {
        let family = match to {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        match connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn connected(&mut self, connection: &mut TcpStream) -> io::Result<()> {
        connection.take_error()?.map_or(Ok(()), Err)
    }

    fn send(&mut self, connection: &mut TcpStream, bytes: &[u8]) -> io::Result<Option<usize>> {
        unless_blocked(connection.write(bytes))
    }

    fn receive(
        &mut self,
        connection: &mut TcpStream,
        buffer: &mut [u8],
    ) -> io::Result<Option<usize>> {
        unless_blocked(connection.read(buffer))
    }

    fn wait(&mut self, connections: &mut [Waiting<'_, TcpStream>], timeout: Duration) {
        let mut polled: Vec<PollFd<'_>> = connections
            .iter()
            .map(|waiting| {
                let flags = match waiting.wait {
                    Wait::Receive => PollFlags::IN,
                    Wait::Send => PollFlags::OUT,
                };
                PollFd::new(&*waiting.connection, flags)
            })
            .collect();
        let timeout = Timespec::try_from(timeout).expect("a few seconds");
        // After a signal nothing is ready, and the download asks again.
        let _ = poll(&mut polled, Some(&timeout));
        let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        for (waiting, ready) in connections.iter_mut().zip(ready) {
            waiting.ready = ready;
        }
    }

    fn report(&mut self, event: Event<'_>) {
        if let Event::Trouble(trouble) = event {
            self.troubles.push(trouble.to_string());
        }
    }
}

fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
