use std::io;

use thiserror::Error;

use crate::PATH_MAX;

/// Why a member or an archive could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The archive's writer failed.
    #[error("cannot write the archive at byte {position}: {source}")]
    Write {
        /// Where in the output.
        position: u64,
        /// What the writer said.
        source: io::Error,
    },
    /// A file's data could not be read.
    #[error("cannot read the data of {name}: {source}")]
    Read {
        /// The member.
        name: String,
        /// What the reader said.
        source: io::Error,
    },
    /// The data ended before the promised size.
    #[error("the data of {name} ends after {got} bytes instead of {size}")]
    DataTooShort {
        /// The member.
        name: String,
        /// The promised size.
        size: u64,
        /// How many bytes there were.
        got: u64,
    },
    /// There is more data than the promised size.
    #[error("the data of {name} goes on after its {size} bytes")]
    DataTooLong {
        /// The member.
        name: String,
        /// The promised size.
        size: u64,
    },
    /// A size that 32 bits do not hold.
    #[error("{name} has {size} bytes, and a cpio member holds at most 4294967295 (4 GiB - 1)")]
    FileTooLarge {
        /// The member.
        name: String,
        /// Its size.
        size: u64,
    },
    /// A member without a name.
    #[error("a cpio member needs a name, and this one is empty")]
    EmptyName,
    /// A name with a NUL byte in it.
    #[error("the name {name} has a NUL byte in it")]
    NulInName {
        /// The name.
        name: String,
    },
    /// A name longer than [`PATH_MAX`] with its NUL.
    #[error("the name {name} has {length} bytes, and the kernel takes at most {}", PATH_MAX - 1)]
    NameTooLong {
        /// The name, or its beginning.
        name: String,
        /// Its length in bytes without the NUL.
        length: usize,
    },
    /// The name that ends an archive.
    #[error("a file cannot be named TRAILER!!! in a cpio archive: this name ends the archive")]
    ReservedName,
    /// A symbolic link's target that is empty, longer than [`PATH_MAX`] or has a NUL byte in it.
    #[error(
        "the symbolic link {name} has a target that is empty, has a NUL byte in it, or is longer \
         than {PATH_MAX} bytes (it has {length})"
    )]
    BadTarget {
        /// The member.
        name: String,
        /// The target's length in bytes.
        length: usize,
    },
    /// A mode with more than permission bits.
    #[error("the mode {mode:#o} of {name} has more than permission bits")]
    BadMode {
        /// The member.
        name: String,
        /// The mode.
        mode: u32,
    },
    /// An alignment that is no power of two between 4 and 4096.
    #[error("{align} is no power of two between 4 and 4096, so {name} cannot be aligned to it")]
    BadAlign {
        /// The member.
        name: String,
        /// The alignment asked for.
        align: u64,
    },
    /// The names are too long to be padded up to the alignment.
    #[error(
        "the data of {name} cannot begin at a multiple of {align}: {missing} bytes of padding do \
         not fit in its name, and there is no directory before it whose name could take the rest"
    )]
    CannotAlign {
        /// The member.
        name: String,
        /// The alignment asked for.
        align: u64,
        /// How many bytes of padding it takes.
        missing: u64,
    },
    /// A set of hard links with no name in it.
    #[error("a file with no name at all was to be written")]
    NoNames,
    /// More members than inode numbers.
    #[error("{name} is one member more than the 4294967295 that a cpio archive can number")]
    TooManyMembers {
        /// The member.
        name: String,
    },
    /// An archive that does not begin on a 4-byte boundary, which the kernel would not unpack.
    #[error("a cpio archive cannot begin at byte {offset}: the kernel wants a multiple of 4")]
    BadOffset {
        /// Where it was to begin.
        offset: u64,
    },
    /// An earlier member failed half way, so nothing that follows can be read.
    #[error("the archive cannot go on after a member that failed half way")]
    Broken,
}
