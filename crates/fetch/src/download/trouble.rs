//! What went wrong at a place, in one sentence each.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::UrlError;
use crate::http::HeadError;

/// What went wrong with a request, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The URL that was asked.
    pub url: String,
    /// What went wrong.
    pub cause: Cause,
    /// When this place is asked again; `None`: never for this image.
    pub wait: Option<Duration>,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The host's name has no address.
    Resolve(String),
    /// No connection to the server, or it broke.
    Connection(String),
    /// The server closed the connection before all bytes were there.
    Closed {
        /// The byte that should have come next.
        offset: u64,
    },
    /// The connection did not open in time.
    NoConnection(Duration),
    /// The server sent nothing for this long.
    Silent {
        /// The byte that should have come next.
        offset: u64,
        /// How long.
        time: Duration,
    },
    /// The server sends too slowly.
    Slow {
        /// The byte that should come next.
        offset: u64,
        /// Bytes that came.
        bytes: u64,
        /// In this time.
        time: Duration,
    },
    /// The head of the answer is not understood.
    Head(HeadError),
    /// The server answers with this status.
    Status(u16),
    /// The answer is encoded in a way that was not asked for.
    Encoded(String),
    /// The answer holds other bytes than those that were asked for.
    OtherBytes {
        /// The first byte that was asked for.
        offset: u64,
    },
    /// The file has another size than the image.
    Size {
        /// The size at the server.
        found: u64,
        /// The size that the index says.
        expected: u64,
    },
    /// A chunk has another hash than the index says.
    Wrong {
        /// Where the chunk begins.
        offset: u64,
    },
    /// A redirect leads to something that cannot be fetched.
    Redirect(UrlError),
    /// A redirect says not where it leads.
    NoLocation(u16),
    /// There are more redirects than the limit.
    TooManyRedirects(u32),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.cause)?;
        match self.wait {
            // A wrong chunk is asked for elsewhere; its place goes on with others.
            _ if matches!(self.cause, Cause::Wrong { .. }) => f.write_str("; asking again"),
            None => f.write_str("; this place is not asked for it again"),
            Some(Duration::ZERO) => f.write_str("; asking again"),
            Some(wait) => write!(f, "; asking again in {} s", wait.as_millis().div_ceil(1000)),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => write!(f, "the name of the server is not found ({error})"),
            Self::Connection(error) => write!(f, "no connection to the server ({error})"),
            Self::Closed { offset } => {
                write!(f, "the server closed the connection before byte {offset}")
            }
            Self::NoConnection(time) => {
                write!(f, "no connection to the server within {} s", time.as_secs())
            }
            Self::Silent { offset, time } => write!(
                f,
                "the server sent nothing for {} s, at byte {offset}",
                time.as_secs()
            ),
            Self::Slow {
                offset,
                bytes,
                time,
            } => write!(
                f,
                "the server sent only {bytes} bytes in {} s, at byte {offset}",
                time.as_secs()
            ),
            Self::Head(error) => error.fmt(f),
            Self::Status(status) => {
                write!(f, "the server answers {status}")?;
                match status {
                    403 => f.write_str(" (it does not give the file away)"),
                    404 | 410 => f.write_str(" (it does not have the file)"),
                    429 | 503 => f.write_str(" (it is busy)"),
                    500..=599 => f.write_str(" (it has an error)"),
                    _ => Ok(()),
                }
            }
            Self::Encoded(encoding) => write!(
                f,
                "the server sends the file encoded as {encoding:?}, and was asked for its plain bytes with their number"
            ),
            Self::OtherBytes { offset } => write!(
                f,
                "the server sends other bytes than those from byte {offset} on that it was asked for"
            ),
            Self::Size { found, expected } => write!(
                f,
                "the file has {found} bytes there and the store image {expected}: it is cut off or from another build"
            ),
            Self::Wrong { offset } => write!(
                f,
                "the chunk at byte {offset} has not the SHA-256 that the initrd says"
            ),
            Self::Redirect(error) => write!(
                f,
                "the server redirects to a place that cannot be asked: {error}"
            ),
            Self::NoLocation(status) => {
                write!(f, "the server answers {status}, a redirect without a place")
            }
            Self::TooManyRedirects(limit) => {
                write!(f, "the server redirects more than {limit} times")
            }
        }
    }
}
