use std::io;

/// Why an image, or a part of it, could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file that holds the image could not be read.
    #[error("cannot read the image at byte {offset}: {source}")]
    Io {
        /// Where in the image.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The first bytes are not a squashfs 4.0 superblock.
    #[error("there is no squashfs 4.0 image here")]
    NotSquashfs,
    /// The image is longer than what is there of it.
    #[error(
        "the image is cut off: by its superblock it has {expected} bytes, but only {found} are there"
    )]
    CutOff {
        /// Bytes that there should be.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// The image is packed with something that is not read here.
    #[error("the image is compressed with {name}; gzip, xz, lz4 and zstd are known here")]
    Compressor {
        /// The compressor.
        name: String,
    },
    /// The image says something that cannot be.
    #[error("the image is damaged at byte {offset}: {reason}")]
    Damaged {
        /// Where in the image: the byte itself, or the start of the compressed block it is in.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
}

impl ReadError {
    pub(super) fn damaged(offset: u64, reason: impl Into<String>) -> Self {
        Self::Damaged {
            offset,
            reason: reason.into(),
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
