//! The folder.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};

use crate::entry::{Flaw, read_into};
use crate::names::{self, Machine};
use crate::stats::{Counters, count};
use crate::trust::{self, Users};
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
    pub(crate) users: Users,
    pub(crate) limit: u64,
    pub(crate) counters: Counters,
    pub(crate) machine: Machine,
}

impl Cache {
    /// Opens the cache in `folder`. Makes the folder where it does not exist, and makes an empty folder a cache by a
    /// `CACHEDIR.TAG`. [`evict`](Self::evict) keeps the entries within `limit` bytes.
    ///
    /// # Errors
    /// [`Error::NotACache`] where the folder holds something and has no tag of this cache's: nothing in it is changed.
    /// [`Error::NotTrusted`] where another user than this one or root can write to it. Other errors where the folder
    /// cannot be made or its tag cannot be read. A cache that can only be read is no error, so others can use root's.
    pub fn open(folder: impl AsRef<Path>, limit: u64) -> Result<Self, Error> {
        Self::open_for(Users::One, folder.as_ref(), limit)
    }

    /// Opens a cache that the group of `folder` shares, or makes one, as [`open`](Self::open) does. Its files and
    /// folders can be written by the group.
    ///
    /// Whoever can write to a cache decides what is found in it: open it only where every member of the group is
    /// trusted.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::NotTrusted`] where every user can write to the folder, or where it is a
    /// cache that was made for one user.
    ///
    /// ```
    /// use storeboot_cache::{Cache, Distrust, Error, Key};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let folder = folder.path().join("of-a-group");
    /// let cache = Cache::open_shared(&folder, 10 << 30)?;
    /// cache.put(&Key::derive("example 1: a text", &[]), b"text");
    /// let error = Cache::open(&folder, 10 << 30).expect_err("it is shared");
    /// assert!(matches!(error, Error::NotTrusted { why: Distrust::Shared, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_shared(folder: impl AsRef<Path>, limit: u64) -> Result<Self, Error> {
        Self::open_for(Users::Group, folder.as_ref(), limit)
    }

    /// Checks that nobody but this user and root can write to a folder that exists, whatever it is used for.
    ///
    /// # Errors
    /// [`Error::NotTrusted`] where another user can, and [`Error::Read`] where that cannot be found out.
    ///
    /// ```
    /// let folder = tempfile::tempdir()?;
    /// storeboot_cache::Cache::check_owner(folder.path())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_owner(folder: impl AsRef<Path>) -> Result<(), Error> {
        Users::One.check(folder.as_ref())
    }

    fn open_for(users: Users, folder: &Path, limit: u64) -> Result<Self, Error> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder);
        made.map_err(|source| Error::write(folder, source))?;
        tag::ensure(folder, users)?;
        let cache = Self {
            folder: folder.join(VERSION),
            users,
            limit,
            counters: Counters::default(),
            machine: Machine::this(),
        };
        if let Err(error) = cache.make_folders() {
            if !is_read_only(&error) {
                return Err(error);
            }
            cache.counters.failed(error);
        }
        Ok(cache)
    }

    /// Makes the folders that are not there, and checks those that are.
    fn make_folders(&self) -> Result<(), Error> {
        let make = |path: &Path| {
            let made = self.users.make_folder(path);
            made.map_err(|source| Error::write(path, source))
        };
        let new = self.folder.join(names::NEW);
        for folder in [&self.folder, &new] {
            make(folder)?;
            self.users.check(folder)?;
        }
        if self.users == Users::Group {
            // All at once: one that another member has just made cannot be written to for a moment.
            for shard in names::shards() {
                make(&self.folder.join(shard))?;
            }
        }
        Ok(())
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
        let found = trust::open(&path).map_err(Flaw::from).and_then(|file| {
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(io::Error::other("it is not a regular file").into());
            }
            if !self.users.trust(&metadata) {
                return Err(Flaw::Damaged);
            }
            touch(&file, &metadata)?;
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
        // Of the whole process: two caches of it may be opened in the same nanosecond.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
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
fn touch(file: &File, metadata: &Metadata) -> io::Result<()> {
    let noted = metadata.modified()?;
    if noted.elapsed().is_ok_and(|age| age < USE_KNOWN_TO) {
        return Ok(());
    }
    // Both times: to set one alone, a member of a group would have to own the file.
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    // A cache that can only be read, or that belongs to another user, is of use all the same.
    let _ = futimens(file, &times);
    Ok(())
}
