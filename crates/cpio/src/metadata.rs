/// The permissions, owner and time of a member.
///
/// The defaults are those of files in a Nix store: owned by root, last changed at second 1.
///
/// ```
/// use storeboot_cpio::Metadata;
///
/// assert_eq!(Metadata::executable(), Metadata { mode: 0o555, uid: 0, gid: 0, mtime: 1 });
/// assert_eq!(Metadata { mtime: 0, ..Metadata::file() }.mode, 0o444);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits (`0o7777` at most); the file's kind follows from the method called.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change, in seconds since 1970.
    pub mtime: u32,
}

impl Metadata {
    /// These permission bits, and owner and time as in a Nix store.
    #[must_use]
    pub const fn mode(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime: 1,
        }
    }

    /// A plain file in a Nix store (`0444`).
    #[must_use]
    pub const fn file() -> Self {
        Self::mode(0o444)
    }

    /// An executable file in a Nix store (`0555`).
    #[must_use]
    pub const fn executable() -> Self {
        Self::mode(0o555)
    }

    /// A directory that root may write to (`0755`), as `/dev` is; those in a Nix store have `0555`.
    #[must_use]
    pub const fn directory() -> Self {
        Self::mode(0o755)
    }

    /// A symbolic link (`0777`).
    #[must_use]
    pub const fn symlink() -> Self {
        Self::mode(0o777)
    }
}

/// The kind of a file: the upper bits of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; the member's data is its target.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl FileType {
    const MASK: u32 = 0o170_000;

    pub(crate) const fn bits(self) -> u32 {
        match self {
            Self::File => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Symlink => 0o120_000,
            Self::CharDevice => 0o020_000,
            Self::BlockDevice => 0o060_000,
            Self::Fifo => 0o010_000,
            Self::Socket => 0o140_000,
        }
    }

    /// The kind that a mode with its upper bits names, if it names one.
    #[must_use]
    pub const fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & Self::MASK {
            0o100_000 => Self::File,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            0o020_000 => Self::CharDevice,
            0o060_000 => Self::BlockDevice,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            _ => return None,
        })
    }
}
