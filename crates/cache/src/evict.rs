//! Keeping the folder within its limit.

use std::fs::{self, DirEntry, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::{Cache, Error};

/// How long a file that nobody holds may wait for its content. Its lock comes a moment after the file.
const LEFT_BEHIND: Duration = Duration::from_secs(600);
/// What a file takes of a disk is a multiple of this.
const DISK_BLOCK: u64 = 4096;

struct Found {
    used: SystemTime,
    path: PathBuf,
    size: u64,
}

impl Cache {
    /// Removes what processes that were killed left behind, and the entries used longest ago until the rest is within the limit.
    ///
    /// Call it when a build is through: the limit holds from one call to the next, and not while entries are added. Where
    /// another process is at it, there is nothing to do.
    pub fn evict(&self) {
        let path = self.folder.join("lock");
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let locked = lock.and_then(|lock| match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        });
        match locked {
            // The lock goes with the file.
            Ok(Some(_lock)) => {
                if let Err(error) = self.evict_locked() {
                    self.counters.failed(error);
                }
            }
            Ok(None) => {}
            Err(source) => self.counters.failed(Error::Write { path, source }),
        }
    }

    fn evict_locked(&self) -> Result<(), Error> {
        let mut found = Vec::new();
        let mut total = 0;
        for shard in list(&self.folder)? {
            let folder = shard.path();
            // `lock` is a file, and everything else is ours.
            if !shard.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let unfinished = shard.file_name() == "new";
            for entry in list(&folder)? {
                let path = entry.path();
                let Some((used, size)) = used(&entry, &path)? else {
                    continue;
                };
                if !unfinished {
                    total += size;
                    found.push(Found { used, path, size });
                } else if used.elapsed().is_ok_and(|age| age > LEFT_BEHIND) && !is_held(&path) {
                    self.remove(path);
                }
            }
        }
        found.sort_unstable_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        for entry in found {
            if total <= self.limit {
                break;
            }
            self.remove(entry.path);
            total -= entry.size;
        }
        Ok(())
    }
}

fn list(folder: &Path) -> Result<Vec<DirEntry>, Error> {
    let read = || fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>();
    read().map_err(|source| Error::Read {
        path: folder.into(),
        source,
    })
}

/// When a file was used last, and its size on a disk; `None` where it is gone.
fn used(entry: &DirEntry, path: &Path) -> Result<Option<(SystemTime, u64)>, Error> {
    let look = || -> io::Result<_> {
        let metadata = entry.metadata()?;
        let size = metadata.len().next_multiple_of(DISK_BLOCK);
        Ok((metadata.modified()?, size))
    };
    match look() {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read {
            path: path.into(),
            source,
        }),
    }
}

/// Whether somebody writes to a file still.
fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}
