//! The download: which chunk is asked for where, and when.

mod engine;
mod error;
mod machine;
mod place;
mod slot;
#[cfg(test)]
mod tests;
mod trouble;
mod work;

use alloc::vec::Vec;
use core::time::Duration;

pub use error::Error;
pub use machine::{Event, Machine, Next, Progress, Sink, Wait, Waiting};
pub use trouble::{Cause, Trouble};

use crate::Url;

/// The size of a chunk in bytes. The last chunk of an image may be shorter.
pub const CHUNK_SIZE: u64 = 1 << 20;

/// What is to be downloaded, and from where.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// The images.
    pub images: Vec<Image<'a>>,
    /// The places that have the images, each at its URL with the image's path added. Those in front are not preferred.
    pub places: Vec<Url>,
    /// Bounds.
    pub limits: Limits,
}

/// One image.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    /// Its path below a place's URL.
    pub path: &'a str,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of each chunk: one for each [`CHUNK_SIZE`] bytes, the last for the rest.
    pub chunks: &'a [[u8; 32]],
    /// For each chunk, whether it is there already. Chunks behind the end of the list are missing.
    pub present: Vec<bool>,
    /// For each chunk, whether it is left to another download. Such a chunk is not fetched, and its bytes are in no sum.
    /// Chunks behind the end of the list are fetched.
    pub later: Vec<bool>,
}

/// Bounds of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections are open at once.
    pub connections: usize,
    /// How many chunks one request asks for at most.
    pub chunks_per_request: usize,
    /// How long no right chunk may arrive before the download gives up.
    pub patience: Duration,
    /// How long a connection may take to open.
    pub connect: Duration,
    /// How long a server may send nothing.
    pub silence: Duration,
    /// A connection that brings less than this many bytes in [`Self::slow_time`] is given up.
    pub slow_bytes: u64,
    /// See [`Self::slow_bytes`].
    pub slow_time: Duration,
    /// How many redirects lead to a file at most.
    pub redirects: u32,
    /// How often each place may send a chunk wrong.
    pub wrong: u32,
    /// The wait after a first failure; it doubles with each further one, up to [`Self::longest_wait`].
    pub first_wait: Duration,
    /// The longest wait after failures.
    pub longest_wait: Duration,
    /// The longest wait that a server may ask for.
    pub longest_retry_after: Duration,
    /// The time between two reports of progress.
    pub progress: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4,
            chunks_per_request: 16,
            patience: Duration::from_secs(600),
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(20),
            slow_bytes: 120 << 10,
            slow_time: Duration::from_secs(30),
            redirects: 5,
            wrong: 3,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            longest_retry_after: Duration::from_secs(120),
            progress: Duration::from_secs(2),
        }
    }
}

/// What a finished download did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of the chunks that were fetched.
    pub bytes: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Chunks that came wrong.
    pub wrong: u64,
    /// How long it took.
    pub time: Duration,
}

/// Fetches the chunks that are missing, and hands each to the sink once its hash is right.
///
/// # Errors
/// Where no place has an image, where every place sends a chunk wrong, where nothing arrives for as long as
/// [`Limits::patience`], where the sink fails, and where the plan does not fit together.
pub fn download<M: Machine, S: Sink>(
    plan: &Plan<'_>,
    machine: &mut M,
    sink: &mut S,
) -> Result<Summary, Error<S::Error>> {
    engine::Engine::new(plan, machine)?.run(machine, sink)
}
