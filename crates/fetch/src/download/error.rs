//! Why a download ends without the images.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use super::Trouble;

/// Why a download ends without the images. `E` is the sink's error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// There is no place to ask, or no connection is allowed.
    NoPlaces,
    /// An image's list of chunks does not fit its size.
    Chunks(String),
    /// An image's path cannot be part of a URL.
    Path(crate::UrlError),
    /// No place has an image.
    Nowhere {
        /// The image's path.
        path: String,
        /// What went wrong last.
        last: Option<Box<Trouble>>,
    },
    /// Every place sends a chunk wrong, as often as the limit allows.
    Wrong {
        /// The image's path.
        path: String,
        /// Where the chunk begins.
        offset: u64,
        /// The place that sent it last.
        url: String,
    },
    /// No right chunk came for too long.
    Patience {
        /// How long.
        time: Duration,
        /// Bytes that were there by then.
        done: u64,
        /// Bytes of all chunks that were to be there.
        total: u64,
        /// What went wrong last.
        last: Option<Box<Trouble>>,
    },
    /// The machine wants it to [stop](super::Next::stop).
    Stopped,
    /// The sink cannot keep a chunk.
    Sink(E),
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = |f: &mut fmt::Formatter<'_>, last: &Option<Box<Trouble>>| match last {
            Some(trouble) => write!(f, ": {}: {}", trouble.url, trouble.cause),
            None => Ok(()),
        };
        match self {
            Self::NoPlaces => f.write_str("there is no place to fetch the store from"),
            Self::Chunks(path) => {
                write!(f, "the chunks of {path} do not fit its size")
            }
            Self::Path(error) => error.fmt(f),
            Self::Nowhere {
                path,
                last: trouble,
            } => {
                write!(f, "no place has the store image {path}")?;
                last(f, trouble)
            }
            Self::Wrong { path, offset, url } => write!(
                f,
                "every place sends the chunk at byte {offset} of {path} with another SHA-256 than the initrd says, last \
                 {url}: take the images and the initrd from one build"
            ),
            Self::Patience {
                time,
                done,
                total,
                last: trouble,
            } => {
                write!(
                    f,
                    "no part of the store came for {} s, with {done} of {total} bytes there",
                    time.as_secs()
                )?;
                last(f, trouble)
            }
            Self::Stopped => f.write_str("the download was stopped"),
            Self::Sink(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Error<E> {}
