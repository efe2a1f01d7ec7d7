//! An output that is not complete: a file or a folder beside its place. It is removed when it is dropped, or, if the
//! process dies, by the next build into the same folder.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::name::{Origin, RANDOM, UNFINISHED};
use super::stale;

/// How often another process may remove a new one as stale before it is locked.
const ATTEMPTS: usize = 100;

/// A file or a folder that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    /// Holds the lock.
    file: File,
}

impl Scratch {
    /// Makes an empty file in a folder.
    pub(super) fn file(parent: &Path) -> io::Result<Self> {
        Self::new(parent, |path| {
            File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
        })
    }

    /// Makes an empty folder in a folder.
    pub(super) fn folder(parent: &Path) -> io::Result<Self> {
        Self::new(parent, |path| {
            DirBuilder::new().mode(0o700).create(path)?;
            File::open(path)
        })
    }

    fn new(parent: &Path, make: impl Fn(&Path) -> io::Result<File>) -> io::Result<Self> {
        let prefix = Origin::here().prefix();
        for _ in 0..ATTEMPTS {
            let (file, path) = tempfile::Builder::new()
                .prefix(&prefix)
                .suffix(UNFINISHED)
                .rand_bytes(RANDOM)
                .make_in(parent, &make)?
                .into_parts();
            let path = path.keep().map_err(|error| error.error)?;
            let scratch = Self { path, file };
            // Where files cannot be locked, no other process gets a lock either, and so none removes this.
            let _ = scratch.file.lock();
            if stale::is(&scratch.path, &scratch.file)? {
                let metadata = scratch.file.metadata()?;
                stale::clear(parent, metadata.uid(), metadata.ctime());
                return Ok(scratch);
            }
        }
        Err(io::Error::other(
            "other processes remove every temporary file at once",
        ))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, or the folder as it was opened.
    pub(super) fn as_file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts it into its place by `rename`. What has its name afterwards is removed.
    pub(super) fn settle<E>(self, rename: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
        rename(&self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If this fails, the next build removes it.
        let _ = stale::remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).expect("a folder").count()
    }

    #[test]
    fn what_is_dropped_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Scratch::file(folder.path()).expect("a file");
        let inner = Scratch::folder(folder.path()).expect("a folder");
        fs::write(inner.path().join("content"), "text").expect("a file");
        assert_eq!(count(folder.path()), 2);
        drop(file);
        drop(inner);
        assert_eq!(count(folder.path()), 0);
    }

    #[test]
    fn what_is_put_into_its_place_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("target");
        let scratch = Scratch::folder(folder.path()).expect("a folder");
        let name = scratch.path().to_owned();
        scratch
            .settle(|path| fs::rename(path, &target))
            .expect("renamed");
        assert!(target.is_dir() && !name.exists());
    }

    #[test]
    fn living_builds_keep_theirs_and_what_dead_ones_left_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let living = Scratch::folder(folder.path()).expect("a folder");
        // The lock of a process that dies is gone, and its file is not.
        let dead = Scratch::file(folder.path()).expect("a file");
        let left = dead.path().to_owned();
        dead.file.unlock().expect("unlocked");
        let next = Scratch::file(folder.path()).expect("a file");
        assert!(living.path().exists() && next.path().exists());
        assert!(!left.exists());
    }
}
