//! A file that is held open, and served for as long as nobody writes to it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use storeboot::Folder;

use crate::{Error, regular};

/// A regular file that is held open.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    file: File,
    seen: Seen,
}

/// What changes when a file is written to, unless somebody means to hide it: docs/trust.md says how.
///
/// The time of the inode's change cannot be set back. It also changes when a link comes or goes, and so when a folder
/// that machines still load is replaced and removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
}

impl Seen {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

impl Held {
    /// A file that the operator names. Links are followed.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = regular::open(path).map_err(Error::read(path))?;
        Self::new(path.into(), file)
    }

    /// A file of a folder, from which no link leads out.
    pub(crate) fn open_inside(folder: &Folder, name: &str) -> Result<Self, Error> {
        let path = folder.path(name);
        let file = folder.file(name).map_err(Error::read(&path))?;
        Self::new(path, file)
    }

    fn new(path: PathBuf, file: File) -> Result<Self, Error> {
        let seen = Seen::of(&file).map_err(Error::read(&path))?;
        Ok(Self { path, file, seen })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn size(&self) -> u64 {
        self.seen.size
    }

    /// A word that is another when it is written to: for an entity tag.
    pub(crate) fn tag(&self) -> String {
        let (seconds, nanoseconds) = self.seen.modified;
        format!("{:x}-{seconds:x}-{nanoseconds:x}", self.seen.size)
    }

    /// Whether both are the same file, and nobody wrote to it in between.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.seen == other.seen
    }

    /// Its bytes from `offset` on, as many as the buffer holds or as there are. Fails where [`Self::check`] does.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        let count = self
            .file
            .read_at(buffer, offset)
            .map_err(Error::read(&self.path))?;
        self.check()?;
        Ok(count)
    }

    /// Fails where the file was written to since it was opened.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match Seen::of(&self.file).map_err(Error::read(&self.path))? == self.seen {
            true => Ok(()),
            false => Err(Error::Differs {
                path: self.path.clone(),
                reason: "it was changed while it was served".into(),
            }),
        }
    }
}
