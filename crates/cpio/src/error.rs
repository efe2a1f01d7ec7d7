use std::io;

use thiserror::Error;

use crate::PATH_MAX;

/// Why a member or an archive could not be written.
///
/// Its text is one sentence without the cause, which [`source`](std::error::Error::source) gives.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The archive's writer failed.
    #[error("cannot write the archive at byte {position}")]
    Write {
        /// Where in the output.
        position: u64,
        /// What the writer said.
        source: io::Error,
    },
    /// A file's data could not be read.
    #[error("cannot read the data of {name}")]
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
    #[error("a file needs at least one name")]
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
    /// An earlier member was written only in part, so nothing that follows could be read.
    #[error("the archive cannot go on after a member that was written only in part")]
    Broken,
}

impl WriteError {
    /// The member that the error is about.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Read { name, .. }
            | Self::DataTooShort { name, .. }
            | Self::DataTooLong { name, .. }
            | Self::FileTooLarge { name, .. }
            | Self::NulInName { name }
            | Self::NameTooLong { name, .. }
            | Self::BadTarget { name, .. }
            | Self::BadMode { name, .. }
            | Self::BadAlign { name, .. }
            | Self::CannotAlign { name, .. }
            | Self::TooManyMembers { name } => Some(name),
            Self::Write { .. }
            | Self::EmptyName
            | Self::ReservedName
            | Self::NoNames
            | Self::BadOffset { .. }
            | Self::Broken => None,
        }
    }

    /// What the reader or the writer said, if that is the cause.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Write { source, .. } | Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Why an archive could not be read.
///
/// Its text is one sentence without the cause, which [`source`](std::error::Error::source) gives.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The archive's reader failed.
    #[error("cannot read the archive at byte {position}")]
    Read {
        /// Where in the archive.
        position: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// Neither a member nor a trailer.
    #[error("no cpio member begins at byte {offset}, which has {found:?}")]
    NoMagic {
        /// Where it should begin.
        offset: u64,
        /// What is there.
        found: String,
    },
    /// A field of a header that is not a number.
    #[error("the cpio header at byte {offset} has {found:?} in the place of a number")]
    NotHex {
        /// Where the header begins.
        offset: u64,
        /// What is there.
        found: String,
    },
    /// The archive ends inside a header, a name or padding.
    #[error("the archive ends at byte {position}, inside the member that begins at byte {offset}")]
    Truncated {
        /// Where the member begins.
        offset: u64,
        /// Where the archive ends.
        position: u64,
    },
    /// The archive ends inside a member's data.
    #[error("the archive ends after {got} of the {size} bytes of {name}")]
    DataTruncated {
        /// The member.
        name: String,
        /// The length of its data.
        size: u64,
        /// How much of it is there.
        got: u64,
    },
    /// The archive ends after a member, without a trailer.
    #[error("the archive ends at byte {offset} without a trailer")]
    NoTrailer {
        /// Where it ends.
        offset: u64,
    },
    /// A name longer than [`PATH_MAX`], which the kernel would skip.
    #[error("the member at byte {offset} has a name of {namesize} bytes, more than {PATH_MAX}")]
    NameTooLong {
        /// Where the member begins.
        offset: u64,
        /// The length with the NUL.
        namesize: usize,
    },
    /// A name without the NUL that ends it.
    #[error("the name of the member at byte {offset} does not end with a NUL byte")]
    NameWithoutNul {
        /// Where the member begins.
        offset: u64,
    },
    /// A name with something else after its NUL: tools would disagree about it.
    #[error("the name {name} of the member at byte {offset} goes on after a NUL byte")]
    HiddenName {
        /// Where the member begins.
        offset: u64,
        /// The name up to its NUL.
        name: String,
    },
    /// A symbolic link with a target longer than [`PATH_MAX`], which the kernel would skip.
    #[error("the target of the symbolic link {name} has {size} bytes, more than {PATH_MAX}")]
    TargetTooLong {
        /// The member.
        name: String,
        /// The length of the target.
        size: u32,
    },
    /// Data whose sum differs from the one in its header.
    #[error("the data of {name} adds up to {found:#x}, its header says {stated:#x}")]
    WrongSum {
        /// The member.
        name: String,
        /// The sum in the header.
        stated: u32,
        /// The sum of the data.
        found: u32,
    },
    /// An earlier error left the reader inside a member, so it cannot go on.
    #[error("the archive cannot be read any further after an error")]
    Failed,
}

impl ReadError {
    /// The member that the error is about, as far as its name was read.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::DataTruncated { name, .. }
            | Self::HiddenName { name, .. }
            | Self::TargetTooLong { name, .. }
            | Self::WrongSum { name, .. } => Some(name),
            _ => None,
        }
    }

    /// What the reader said, if that is the cause.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}
