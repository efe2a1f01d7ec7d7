//! The folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};

use crate::entry::{Flaw, read_into};
use crate::names::{self, Machine};
use crate::stats::{Counters, count};
use crate::{Entry, EntryWriter, Error, Key, Stats, tag};

/// The format of the entries.
const VERSION: &str = "v1";
/// An entry's time of last use is set again when it is older than this.
const USE_KNOWN_TO: Duration = Duration::from_secs(60);

/// A folder of entries. Threads can share one, and other processes can open the same folder.
///
/// Looking up and keeping entries never returns an error: a build goes on without the cache.
/// [`stats`](Self::stats) counts what failed and [`first_failure`](Self::first_failure) says why.
#[derive(Debug)]
pub struct Cache {
    /// The folder of the entries, below the one with the tag.
    pub(crate) folder: PathBuf,
    pub(crate) limit: u64,
    pub(crate) counters: Counters,
    pub(crate) machine: Machine,
    /// Numbers the files that are being written.
    next: AtomicU64,
}

impl Cache {
    /// Opens the cache in `folder`. Makes the folder where it does not exist, and makes an empty folder a cache by a
    /// `CACHEDIR.TAG`. [`evict`](Self::evict) keeps the entries within `limit` bytes.
    ///
    /// # Errors
    /// [`Error::NotACache`] where the folder holds something and has no tag of this cache's: nothing in it is changed.
    /// Other errors where the folder cannot be made or its tag cannot be read. A cache that can only be read is no
    /// error.
    pub fn open(folder: impl AsRef<Path>, limit: u64) -> Result<Self, Error> {
        let folder = folder.as_ref();
        fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))?;
        tag::ensure(folder)?;
        let cache = Self {
            folder: folder.join(VERSION),
            limit,
            counters: Counters::default(),
            machine: Machine::this(),
            next: AtomicU64::new(0),
        };
        let new = cache.folder.join(names::NEW);
        if let Err(source) = fs::create_dir_all(&new) {
            let error = Error::write(new, source);
            if !is_read_only(&error) {
                return Err(error);
            }
            cache.counters.failed(error);
        }
        Ok(cache)
    }

    /// The entry of this key as a stream, after a check of its whole content.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Entry> {
        self.look_up(key, |file| Entry::new(file, key).map(Some))
    }

    /// Reads the entry of this key into `content` and replaces what `content` holds. Returns `false` with an empty
    /// `content` where there is no entry, or one longer than `max` bytes.
    #[must_use]
    pub fn get_into(&self, key: &Key, content: &mut Vec<u8>, max: usize) -> bool {
        content.clear();
        let found = self.look_up(key, |mut file| {
            read_into(&mut file, key, content, max).map(|fits| fits.then_some(()))
        });
        if found.is_none() {
            content.clear();
        }
        found.is_some()
    }

    /// Keeps an entry.
    pub fn put(&self, key: &Key, content: &[u8]) {
        EntryWriter::put(self, key, content);
    }

    /// Begins an entry that is written as a stream. [`EntryWriter::keep`] keeps it.
    #[must_use]
    pub fn writer(&self, key: &Key) -> EntryWriter<'_> {
        EntryWriter::new(self, key)
    }

    /// Counts of what happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// Why an entry could not be read or kept, the first time that this happened.
    #[must_use]
    pub fn first_failure(&self) -> Option<&Error> {
        self.counters.first_failure()
    }

    fn look_up<T>(
        &self,
        key: &Key,
        read: impl FnOnce(File) -> Result<Option<T>, Flaw>,
    ) -> Option<T> {
        let path = self.path(key);
        let found = File::open(&path).map_err(Flaw::from).and_then(|file| {
            touch(&file)?;
            read(file)
        });
        match found {
            Ok(Some(found)) => {
                count(&self.counters.hits);
                return Some(found);
            }
            Ok(None) => {}
            Err(Flaw::Failed(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(Flaw::Failed(source)) => self.counters.failed(Error::read(path, source)),
            Err(Flaw::Damaged) => {
                count(&self.counters.damaged);
                self.remove(path);
            }
        }
        count(&self.counters.misses);
        None
    }

    /// Removes a file. Another process may have removed it already.
    pub(crate) fn remove(&self, path: PathBuf) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                self.counters.failed(Error::write(path, source));
            }
            _ => {}
        }
    }

    pub(crate) fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(names::entry(key))
    }

    /// A new path for a file that is being written.
    pub(crate) fn new_path(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = self.machine.unfinished(number);
        self.folder.join(names::NEW).join(name)
    }
}

fn is_read_only(error: &Error) -> bool {
    let kind = error.io_error().map(io::Error::kind);
    matches!(
        kind,
        Some(io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
    )
}

/// Sets an entry's time of last use, unless that was done a moment ago.
fn touch(file: &File) -> io::Result<()> {
    let noted = file.metadata()?.modified()?;
    if noted.elapsed().is_ok_and(|age| age < USE_KNOWN_TO) {
        return Ok(());
    }
    let at = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times = Timestamps {
        last_access: at(UTIME_OMIT),
        last_modification: at(UTIME_NOW),
    };
    // A cache that can only be read, or that belongs to another user, is of use all the same.
    let _ = futimens(file, &times);
    Ok(())
}
