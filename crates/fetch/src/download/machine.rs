//! What a download asks of the program that runs it.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::Trouble;

/// Connections, the clock and the console.
pub trait Machine {
    /// A TCP connection, or one that is being opened. It is closed when it is dropped, and never blocks.
    type Connection;
    /// Why something failed, for a message such as `the connection was refused`.
    type Error: fmt::Display;

    /// The time since some moment before the download. It never goes back.
    fn now(&mut self) -> Duration;
    /// A random number.
    fn random(&mut self) -> u32;
    /// The addresses of a host. This may take some seconds.
    fn resolve(&mut self, host: &str) -> Result<Vec<IpAddr>, Self::Error>;
    /// Begins to open a connection.
    fn connect(&mut self, to: SocketAddr) -> Result<Self::Connection, Self::Error>;
    /// Whether a connection that can be written to for the first time is open.
    fn connected(&mut self, connection: &mut Self::Connection) -> Result<(), Self::Error>;
    /// Sends bytes; returns how many went, or `None` if none can go now.
    fn send(
        &mut self,
        connection: &mut Self::Connection,
        bytes: &[u8],
    ) -> Result<Option<usize>, Self::Error>;
    /// Receives bytes; returns how many came, 0 at the end of the connection, or `None` if none are there now.
    fn receive(
        &mut self,
        connection: &mut Self::Connection,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Self::Error>;
    /// Waits until one of the connections is ready or the time is over, and marks those that are ready.
    fn wait(&mut self, connections: &mut [Waiting<'_, Self::Connection>], timeout: Duration);
    /// What is to be asked for next. It is asked after each [`wait`](Self::wait), and so before each chunk's first request.
    fn next(&mut self) -> Next {
        Next::default()
    }
    /// Tells what happens.
    fn report(&mut self, event: Event<'_>);
}

/// A connection that the download waits for.
#[derive(Debug)]
pub struct Waiting<'a, C> {
    /// The connection.
    pub connection: &'a mut C,
    /// What it is to be ready for.
    pub wait: Wait,
    /// Set by [`Machine::wait`]: whether it is, or has failed.
    pub ready: bool,
}

/// What a connection is to be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Bytes can be received.
    Receive,
    /// Bytes can be sent; or a connection is open, or has failed to open.
    Send,
}

/// What is to be asked for next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// The image and the byte that somebody waits for: the chunk that holds it comes before all others.
    pub wanted: Option<(usize, u64)>,
    /// Whether nothing else is asked for. A download that is not asked for anything does not lose its
    /// [patience](super::Limits::patience).
    pub only: bool,
    /// Whether the download ends now, with [`Error::Stopped`](super::Error::Stopped). What is under way is lost.
    pub stop: bool,
}

/// Where right chunks go.
pub trait Sink {
    /// Why a chunk cannot be kept.
    type Error;

    /// Keeps one chunk of an image of the plan. Each chunk comes once, in any order.
    fn keep(&mut self, image: usize, offset: u64, chunk: &[u8]) -> Result<(), Self::Error>;
}

/// What happens during a download.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A request goes out: the URL, the first byte and the number of bytes.
    Request {
        /// The file.
        url: &'a crate::Url,
        /// The first byte.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Something failed, and the download goes on.
    Trouble(&'a Trouble),
    /// How far the download is; about every [`Limits::progress`](super::Limits::progress).
    Progress(Progress),
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the chunks that are there, those that were there before included.
    pub done: u64,
    /// Bytes of all chunks that are to be there in the end.
    pub total: u64,
    /// Bytes a second since the last report.
    pub rate: u64,
}
