use std::io;
use std::path::PathBuf;

/// Why a folder cannot be used as a cache, or an entry not be kept in one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder of the cache cannot be read.
    #[error("cannot read {} in the cache: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder of the cache cannot be written.
    #[error("cannot write {} in the cache: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
