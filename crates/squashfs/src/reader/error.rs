use std::io;

/// Why an image, or a part of it, could not be read.
///
/// Its text is one sentence without the cause, which [`source`](std::error::Error::source) gives.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file that holds the image could not be read.
    #[error("cannot read the image at byte {offset}")]
    Io {
        /// Where in the image.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The first bytes are not a squashfs 4.0 superblock.
    #[error("there is no squashfs 4.0 image here")]
    NotSquashfs,
    /// The file ends before the image does.
    #[error(
        "the image is cut off: by its superblock it has {expected} bytes, but only {found} are there"
    )]
    CutOff {
        /// Bytes of the image, by its superblock.
        expected: u64,
        /// Bytes of the file, from the image's beginning.
        found: u64,
    },
    /// The image is packed with a compressor that this crate does not know.
    #[error("the image is compressed with {name}; gzip, xz, lz4 and zstd are known here")]
    Compressor {
        /// The compressor.
        name: String,
    },
    /// The image is packed with a codec whose feature was left out of this program.
    #[error("the image is compressed with {name}, and this program was built without that codec")]
    CodecLeftOut {
        /// The codec, and the feature of this crate.
        name: &'static str,
    },
    /// A block cannot be decompressed.
    #[error("the image is damaged at byte {offset}: a block does not unpack")]
    Unpack {
        /// Where the block begins in the image.
        offset: u64,
        /// What the codec said.
        source: io::Error,
    },
    /// The image holds something impossible.
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

    /// Where in the image the error is.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Io { offset, .. }
            | Self::Unpack { offset, .. }
            | Self::Damaged { offset, .. } => Some(*offset),
            _ => None,
        }
    }

    /// What the system or a codec said, if that is the cause.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Io { source, .. } | Self::Unpack { source, .. } => Some(source),
            _ => None,
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
