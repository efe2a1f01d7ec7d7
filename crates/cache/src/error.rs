use std::io;
use std::path::{Path, PathBuf};

use crate::Distrust;

/// Why a folder cannot be used as a cache, or why an entry cannot be kept in it.
///
/// Its text leaves out the cause, which is its [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder holds something that is not this cache's. Nothing in it is changed.
    #[error("{} is not a cache of storeboot and is left as it is: {reason}", path.display())]
    NotACache {
        /// The folder.
        path: PathBuf,
        /// What shows that it is not a cache.
        reason: String,
    },
    /// Somebody can write to the folder who is not trusted, and so decide what is found in it.
    #[error("{} is not used as a cache: {why}", path.display())]
    NotTrusted {
        /// The folder.
        path: PathBuf,
        /// Who that is.
        why: Distrust,
    },
    /// A file or folder of the cache cannot be read.
    #[error("cannot read {} in the cache", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file or folder of the cache cannot be written.
    #[error("cannot write {} in the cache", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Error {
    /// The file or folder that cannot be used.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::NotACache { path, .. }
            | Self::NotTrusted { path, .. }
            | Self::Read { path, .. }
            | Self::Write { path, .. } => path,
        }
    }

    /// The system's error, if there is one.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::NotACache { .. } | Self::NotTrusted { .. } => None,
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
        }
    }

    pub(crate) fn read(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        Self::Read { path, source }
    }

    pub(crate) fn write(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        Self::Write { path, source }
    }
}
