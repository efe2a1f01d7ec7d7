//! Who may have written a file or a folder of the cache.
//!
//! The key of an entry is no secret: whoever can write to the folder can put anything under any key. So the cache takes
//! only what nobody but the user of this process, or root, can have written. Where a group shares it, every member is
//! trusted, and only they.

use std::fmt;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::Error;

const ROOT: u32 = 0;
const WRITABLE_BY_GROUP: u32 = 0o020;
const WRITABLE_BY_ALL: u32 = 0o002;

/// Who uses a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    /// One user, whoever that is. Others may read root's cache.
    One,
    /// The group that the folder belongs to.
    Group,
}

/// Why a folder is not trusted as a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distrust {
    /// It belongs to another user, who is not root.
    Owner {
        /// The folder's owner.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// Its group can write to it.
    Group {
        /// Its permissions.
        mode: u32,
    },
    /// Every user can write to it.
    Everybody {
        /// Its permissions.
        mode: u32,
    },
    /// It was made to be shared by a group: open it with [`Cache::open_shared`](crate::Cache::open_shared).
    Shared,
    /// It was made for one user.
    NotShared,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner { owner, user } => write!(
                f,
                "it belongs to user {owner}, and this is user {user}; who can write to a cache decides what is in the outputs"
            ),
            Self::Group { mode } => write!(f, "its group can write to it (mode {mode:04o})"),
            Self::Everybody { mode } => write!(f, "every user can write to it (mode {mode:04o})"),
            Self::Shared => f.write_str("it was made to be shared by a group"),
            Self::NotShared => {
                f.write_str("it was made for one user, and only a new one can be shared")
            }
        }
    }
}

impl Users {
    /// Whether a file or folder with these owner and permissions can hold what somebody wrote who is not trusted.
    fn distrust(self, metadata: &Metadata) -> Option<Distrust> {
        let (owner, user) = (metadata.uid(), geteuid().as_raw());
        let mode = metadata.mode() & 0o7777;
        // The permissions of a link say nothing.
        let can = |bit| mode & bit != 0 && !metadata.is_symlink();
        if can(WRITABLE_BY_ALL) {
            return Some(Distrust::Everybody { mode });
        }
        if self == Self::Group {
            return None;
        }
        if owner != user && owner != ROOT {
            return Some(Distrust::Owner { owner, user });
        }
        can(WRITABLE_BY_GROUP).then_some(Distrust::Group { mode })
    }

    pub(crate) fn trust(self, metadata: &Metadata) -> bool {
        self.distrust(metadata).is_none()
    }

    pub(crate) fn check(self, folder: &Path) -> Result<(), Error> {
        let metadata = fs::metadata(folder).map_err(|source| Error::read(folder, source))?;
        match self.distrust(&metadata) {
            None => Ok(()),
            Some(why) => Err(Error::NotTrusted {
                path: folder.into(),
                why,
            }),
        }
    }

    /// Makes a folder of the cache where there is none. Others cannot write to it, whatever the umask is, unless they
    /// share it.
    pub(crate) fn make_folder(self, path: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o755).create(path) {
            Err(_) if path.is_dir() => {}
            other => other?,
        }
        self.share_folder(path)
    }

    /// Lets the group write to a folder of this user, if the group shares the cache. What is made in it belongs to the
    /// same group.
    pub(crate) fn share_folder(self, path: &Path) -> io::Result<()> {
        if self == Self::Group {
            let metadata = fs::metadata(path)?;
            return set_mode(&metadata, 0o2775, |mode| fs::set_permissions(path, mode));
        }
        Ok(())
    }

    /// Opens a file to write to it, with options that may make it.
    pub(crate) fn open(self, path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
        let file = options
            .write(true)
            .mode(0o644)
            .custom_flags(flags())
            .open(path)?;
        if self == Self::Group {
            set_mode(&file.metadata()?, 0o664, |mode| file.set_permissions(mode))?;
        }
        Ok(file)
    }
}

/// Opens a file to read it. It is a regular file or a folder, and no link.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(flags()).open(path)
}

/// Neither follows a link nor waits for another process, if somebody put a link or a pipe there.
fn flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// Sets the permissions of what belongs to this user: others' cannot be set.
fn set_mode(
    metadata: &Metadata,
    mode: u32,
    set: impl FnOnce(Permissions) -> io::Result<()>,
) -> io::Result<()> {
    if metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o7777 != mode {
        return set(Permissions::from_mode(mode));
    }
    Ok(())
}
