use std::io;

/// Why an image could not be written.
///
/// Names are those inside the image, relative to its root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The image could not be written to where it was to go.
    #[error("cannot write the image: {0}")]
    Write(#[source] io::Error),
    /// A file's content could not be read.
    #[error("cannot read {name}: {source}")]
    Read {
        /// The file inside the image.
        name: String,
        /// What the reader said.
        source: io::Error,
    },
    /// A file had more or fewer bytes than was said of it.
    #[error("{name} changed while it was read: {expected} bytes were expected, {found} found")]
    SizeChanged {
        /// The file inside the image.
        name: String,
        /// Bytes it was said to have.
        expected: u64,
        /// Bytes read; one more than expected stands for "more".
        found: u64,
    },
    /// A file is not what it was said to be, see [`crate::ImageWriter::known_file`].
    #[error("{name} is not what it was when it was packed before: was it changed since?")]
    Changed {
        /// The file inside the image.
        name: String,
    },
    /// What is said of a file cannot be, see [`crate::ImageWriter::known_file`].
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
    #[error("cannot compress with {compression}: {source}")]
    Compress {
        /// The compression asked for.
        compression: crate::Compression,
        /// What the library said.
        source: io::Error,
    },
    /// The threads could not be started.
    #[error("cannot start the compressing threads: {0}")]
    Threads(String),
    /// A directory was left that was not entered, or entered and not left.
    #[error("directories were not entered and left in pairs")]
    Nesting,
}
