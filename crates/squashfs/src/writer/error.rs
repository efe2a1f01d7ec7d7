use std::io;
use std::path::{Path, PathBuf};

/// Why an image could not be written.
///
/// Its text is one sentence without the cause, which [`source`](std::error::Error::source) gives. Names are those
/// inside the image, relative to its root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The image could not be written to where it was to go.
    #[error("cannot write the image")]
    Write(#[source] io::Error),
    /// A temporary file, for tables that are too large for memory, could not be written or read.
    #[error("cannot use a temporary file in {}", folder.display())]
    Temporary {
        /// The folder for temporary files.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file's content could not be read.
    #[error("cannot read {name}")]
    Read {
        /// The file inside the image.
        name: String,
        /// What the reader said.
        source: io::Error,
    },
    /// A file had more or fewer bytes than announced.
    #[error("{name} changed while it was read: {expected} bytes were expected, {found} found")]
    SizeChanged {
        /// The file inside the image.
        name: String,
        /// Bytes announced.
        expected: u64,
        /// Bytes read; one more than expected if there were more.
        found: u64,
    },
    /// A file's content is not what its pieces say, see [`crate::ImageWriter::known_file`].
    #[error("{name} is not what it was when it was packed before: was it changed since?")]
    Changed {
        /// The file inside the image.
        name: String,
    },
    /// A file's pieces do not fit its size, see [`crate::ImageWriter::known_file`].
    #[error("what is known of {name} does not fit its size")]
    Pieces {
        /// The file inside the image.
        name: String,
    },
    /// A name is empty, too long, `.` or `..`, or holds `/` or NUL.
    #[error(
        "squashfs cannot hold the name {name:?}: a name has 1 to 256 bytes, no `/`, no NUL, and is not `.` or `..`"
    )]
    Name {
        /// The name as text.
        name: String,
    },
    /// Two entries of one directory have the same name.
    #[error("{name} was added twice")]
    Duplicate {
        /// The entry inside the image.
        name: String,
    },
    /// A symlink's target is empty or longer than the kernel reads.
    #[error(
        "the target of the symlink {name} has {length} bytes; squashfs in Linux reads 1 to 4095"
    )]
    SymlinkTarget {
        /// The symlink inside the image.
        name: String,
        /// Bytes of the target.
        length: usize,
    },
    /// Something is larger than its field.
    #[error("squashfs cannot hold {what}: {value} is over {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How much there is.
        value: u64,
        /// How much there may be.
        limit: u64,
    },
    /// The block size is not a power of two from 4 KiB to 1 MiB.
    #[error("{0} is not a block size: squashfs takes powers of two from 4096 to 1048576 bytes")]
    BlockSize(u32),
    /// A compressor failed.
    #[error("cannot compress with {compression}")]
    Compress {
        /// The compression asked for.
        compression: crate::Compression,
        /// What the library said.
        source: io::Error,
    },
    /// The compressor is not part of this program: its feature was left out.
    #[error("cannot compress with {compression}: this program was built without that codec")]
    CodecLeftOut {
        /// The compression asked for.
        compression: crate::Compression,
    },
    /// The threads could not be started, or did not finish.
    #[error("cannot compress on several threads")]
    Threads(#[source] io::Error),
    /// A directory was left that was not entered, or entered and not left.
    #[error("directories were not entered and left in pairs")]
    Nesting,
}

impl Error {
    /// The entry inside the image that the error is about.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Read { name, .. }
            | Self::SizeChanged { name, .. }
            | Self::Changed { name }
            | Self::Pieces { name }
            | Self::Name { name }
            | Self::Duplicate { name }
            | Self::SymlinkTarget { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The folder on this machine that the error is about.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Temporary { folder, .. } => Some(folder),
            _ => None,
        }
    }

    /// What the system or a library said, if that is the cause.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Write(source)
            | Self::Threads(source)
            | Self::Temporary { source, .. }
            | Self::Read { source, .. }
            | Self::Compress { source, .. } => Some(source),
            _ => None,
        }
    }
}
