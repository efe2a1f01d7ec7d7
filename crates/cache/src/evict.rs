//! Keeping the folder within its limit.

use std::fs::{self, DirEntry, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::names::{self, Machine};
use crate::{Cache, Error, trust};

/// An unfinished file of this machine that no process holds is removed when it is older: its lock is taken a moment
/// after it is made.
const UNLOCKED: Duration = Duration::from_secs(600);
/// An unfinished file of another machine is removed when it was not written to for longer: whether it is locked there
/// is not seen here on every file system.
const ELSEWHERE: Duration = Duration::from_secs(24 * 3600);
/// The space that a file takes on a disk is a multiple of this.
const DISK_BLOCK: u64 = 4096;

struct Found {
    used: SystemTime,
    path: PathBuf,
    size: u64,
}

impl Cache {
    /// Removes the entries used longest ago until the rest is within the limit, and the unfinished files of processes
    /// that were killed. Leaves alone whatever else is in the folder.
    ///
    /// Call it at the end of a build: the limit holds from one call to the next, and not while entries are added. It
    /// does nothing while another process evicts.
    pub fn evict(&self) {
        let path = self.folder.join(names::LOCK);
        let mut options = File::options();
        let options = options.create(true).truncate(false);
        let lock = self.users.open(&path, options);
        let locked = lock.and_then(|lock| match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        });
        match locked {
            // The lock is released when the file is closed.
            Ok(Some(_lock)) => {
                self.remove_abandoned();
                self.remove_oldest();
            }
            Ok(None) => {}
            Err(source) => self.counters.failed(Error::write(path, source)),
        }
    }

    fn remove_oldest(&self) {
        let mut found = Vec::new();
        for shard in self.list(&self.folder) {
            let is_shard = names::is_shard(&shard.file_name())
                && shard.file_type().is_ok_and(|kind| kind.is_dir());
            if is_shard {
                let entries = self.list(&shard.path()).into_iter();
                let entries = entries.filter(|entry| names::is_entry(&entry.file_name()));
                found.extend(entries.filter_map(|entry| self.look_at(&entry)));
            }
        }
        let mut total: u64 = found.iter().map(|entry| entry.size).sum();
        found.sort_unstable_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        for entry in found {
            if total <= self.limit {
                break;
            }
            // Another build may have begun to use it: to look at all entries takes a while.
            if is_used_since(&entry) {
                continue;
            }
            self.remove(entry.path);
            total -= entry.size;
        }
    }

    fn remove_abandoned(&self) {
        for unfinished in self.list(&self.folder.join(names::NEW)) {
            if let Some(machine) = Machine::of_unfinished(&unfinished.file_name())
                && let Some(found) = self.look_at(&unfinished)
                && let Ok(age) = found.used.elapsed()
                && is_abandoned(&found.path, age, self.machine.is_same(&machine))
            {
                self.remove(found.path);
            }
        }
    }

    fn list(&self, folder: &Path) -> Vec<DirEntry> {
        let read = || fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>();
        read().unwrap_or_else(|source| {
            self.counters.failed(Error::read(folder, source));
            Vec::new()
        })
    }

    /// The time of a regular file's last use and the space it takes. `None`: it is gone, or something else.
    fn look_at(&self, entry: &DirEntry) -> Option<Found> {
        let path = entry.path();
        let look = || -> io::Result<_> {
            // Does not follow a symbolic link.
            let metadata = entry.metadata()?;
            Ok((metadata.is_file(), metadata.modified()?, metadata.len()))
        };
        match look() {
            Ok((true, used, length)) => Some(Found {
                used,
                path,
                size: length.next_multiple_of(DISK_BLOCK),
            }),
            Ok((false, ..)) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                self.counters.failed(Error::read(path, source));
                None
            }
        }
    }
}

/// Whether an entry was used after its time was read.
fn is_used_since(entry: &Found) -> bool {
    let used = fs::symlink_metadata(&entry.path).and_then(|metadata| metadata.modified());
    used.is_ok_and(|used| used > entry.used)
}

/// Whether no process will finish this file.
fn is_abandoned(path: &Path, age: Duration, of_this_machine: bool) -> bool {
    let Ok(file) = trust::open(path) else {
        return false;
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => false,
        Ok(()) if of_this_machine => age > UNLOCKED,
        // Another machine's locks, or a file system without locks.
        _ => age > ELSEWHERE,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_was_used_after_it_was_looked_at_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("entry");
        let file = File::create(&path).unwrap();
        let used = file.metadata().unwrap().modified().unwrap();
        let entry = Found {
            used,
            path,
            size: 0,
        };
        assert!(!is_used_since(&entry));
        file.set_modified(used + Duration::from_secs(1)).unwrap();
        assert!(is_used_since(&entry));
        fs::remove_file(&entry.path).unwrap();
        assert!(!is_used_since(&entry));
    }
}
