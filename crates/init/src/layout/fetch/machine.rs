//! What a download asks of stage 1: the kernel's TCP connections, the clock and the console.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use storeboot_fetch::{Event, Next, Wait, Waiting};
use storeboot_netconf::dns;

use super::progress::Done;
use crate::console::Console;
use crate::network::Resolver;
use crate::sys::{self, Address, Errno, Fd, Poll, Protocol};

/// How often to look what is asked for next while the booted system runs.
const LOOK: Duration = Duration::from_millis(20);

/// The kernel's connections.
pub(super) struct Machine<'a> {
    pub console: &'a Console,
    pub resolver: &'a mut Resolver,
    /// What is asked for next.
    pub next: &'a dyn Fn() -> Next,
    /// Whether the booted system runs. Its console is not for progress.
    pub runs: bool,
}

/// Why the kernel or a name server does not help.
pub(super) enum Failure {
    Kernel(Errno),
    Name(dns::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(errno) => errno.fmt(f),
            Self::Name(error) => error.fmt(f),
        }
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Kernel(errno)
    }
}

impl storeboot_fetch::Machine for Machine<'_> {
    type Connection = Fd;
    type Error = Failure;

    fn now(&mut self) -> Duration {
        sys::boot_time()
    }

    fn random(&mut self) -> u32 {
        sys::random()
    }

    fn resolve(&mut self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        self.resolver
            .resolve(host, self.console)
            .map_err(Failure::Name)
    }

    fn connect(&mut self, to: SocketAddr) -> Result<Fd, Failure> {
        let socket = sys::socket(match to {
            SocketAddr::V4(_) => Protocol::Tcp4,
            SocketAddr::V6(_) => Protocol::Tcp6,
        })?;
        sys::no_delay(&socket)?;
        match sys::connect(&socket, &Address::Ip(to)) {
            Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
            Err(errno) => Err(errno.into()),
        }
    }

    fn connected(&mut self, connection: &mut Fd) -> Result<(), Failure> {
        Ok(sys::take_error(connection)?)
    }

    fn send(&mut self, connection: &mut Fd, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        now_or_later(sys::send(connection, bytes))
    }

    fn receive(
        &mut self,
        connection: &mut Fd,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Failure> {
        now_or_later(sys::receive(connection, buffer))
    }

    fn wait(&mut self, connections: &mut [Waiting<'_, Fd>], timeout: Duration) {
        let mut wanted: Vec<Poll<'_>> = connections
            .iter()
            .map(|waiting| match waiting.wait {
                Wait::Receive => Poll::to_read(waiting.connection),
                Wait::Send => Poll::to_write(waiting.connection),
            })
            .collect();
        // Nothing tells when a reader begins to wait for a chunk.
        let timeout = match self.runs {
            true => timeout.min(LOOK),
            false => timeout,
        };
        // Whatever is wrong, the next call on a connection sees it.
        let is_known = sys::poll(&mut wanted, Some(timeout)).is_ok();
        let ready: Vec<bool> = wanted.iter().map(|one| one.ready || !is_known).collect();
        for (waiting, ready) in connections.iter_mut().zip(ready) {
            waiting.ready = ready;
        }
    }

    fn next(&mut self) -> Next {
        (self.next)()
    }

    fn report(&mut self, event: Event<'_>) {
        match event {
            Event::Request { url, offset, bytes } => self.console.step(format_args!(
                "asking for {bytes} bytes from byte {offset} of {url}"
            )),
            Event::Trouble(trouble) if self.runs => self.console.log(trouble),
            Event::Trouble(trouble) => self.console.warning(trouble),
            Event::Progress(progress) if self.runs => {
                self.console.step(format_args!("{}", Done(progress)));
            }
            Event::Progress(progress) => self.console.info(&Done(progress)),
            _ => {}
        }
    }
}

/// What cannot be done at once is tried again later.
fn now_or_later(result: Result<usize, Errno>) -> Result<Option<usize>, Failure> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
