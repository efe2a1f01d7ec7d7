//! Downloads store images by HTTP/1.1 from one or more places, and checks each chunk before it is used.
//!
//! [`download`] asks several servers for the chunks that are missing, on several connections at once. It hashes each
//! chunk as it arrives, and hands only right chunks to a [`Sink`]. It goes on where it was when a server dies and comes
//! back, asks the next place for a chunk that came wrong, follows redirects, and keeps to what a server says about when
//! to come back. Time, memory and the number of tries have bounds.
//!
//! The crate does no I/O of its own: connections, the clock and the console are a [`Machine`]'s. So the same code runs
//! in stage 1 on bare system calls, in a test on a simulated network, and in a program on the standard library.
#![no_std]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod download;
pub mod http;
mod url;

pub use download::{
    CHUNK_SIZE, Cause, Error, Event, Image, Limits, Machine, Next, Plan, Progress, Sink, Summary,
    Trouble, Wait, Waiting, download,
};
pub use url::{MAX_URL, Url, UrlError};
