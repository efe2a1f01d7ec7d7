//! The folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};

use crate::entry::{Flaw, read_into};
use crate::stats::{Counters, count};
use crate::{Entry, EntryWriter, Error, Key, Stats};

/// The form of the entries.
const VERSION: &str = "v1";
/// How old the time of an entry's last use may be before it is set anew.
const USE_KNOWN_TO: Duration = Duration::from_secs(60);

/// A folder of entries. Share one among threads; other processes may open the same folder.
///
/// Nothing that goes wrong with an entry is an error for whoever asked: there is [`stats`](Self::stats) and
/// [`first_failure`](Self::first_failure) to tell of it.
#[derive(Debug)]
pub struct Cache {
    pub(crate) folder: PathBuf,
    pub(crate) limit: u64,
    pub(crate) counters: Counters,
    /// Numbers the files that are being written.
    next: AtomicU64,
}

impl Cache {
    /// Opens the cache in `folder`, which is created where it is not there. Entries of more than `limit` bytes altogether are
    /// too many: [`evict`](Self::evict) removes those used longest ago.
    ///
    /// # Errors
    /// Where the folder is not there and cannot be created. One that cannot be written is no error, as its entries are of
    /// use all the same.
    pub fn open(folder: impl AsRef<Path>, limit: u64) -> Result<Self, Error> {
        let folder = folder.as_ref().join(VERSION);
        let new = folder.join("new");
        fs::create_dir_all(&new).map_err(|source| Error::Write { path: new, source })?;
        Ok(Self {
            folder,
            limit,
            counters: Counters::default(),
            next: AtomicU64::new(0),
        })
    }

    /// The entry of this key, whole and checked, as a stream.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Entry> {
        self.look_up(key, |file| Entry::new(file, key).map(Some))
    }

    /// Reads the entry of this key into `content`, in place of what is in there. `false`: there is none, or one longer than
    /// `max` bytes, and `content` is empty.
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

    /// Begins an entry that is written as a stream and kept by [`EntryWriter::keep`].
    #[must_use]
    pub fn writer(&self, key: &Key) -> EntryWriter<'_> {
        EntryWriter::new(self, key)
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// Why the first entry that could not be read or kept was not.
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
            Err(Flaw::Failed(source)) => self.counters.failed(Error::Read { path, source }),
            Err(Flaw::Damaged) => {
                count(&self.counters.damaged);
                self.remove(path);
            }
        }
        count(&self.counters.misses);
        None
    }

    /// Removes a file, which somebody else may have removed.
    pub(crate) fn remove(&self, path: PathBuf) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                self.counters.failed(Error::Write { path, source });
            }
            _ => {}
        }
    }

    pub(crate) fn path(&self, key: &Key) -> PathBuf {
        let digits = key.to_string();
        let (shard, name) = digits.split_at(2);
        self.folder.join(shard).join(name)
    }

    /// A name for a file that is being written, no other's in any process.
    pub(crate) fn new_path(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Processes in other containers may have the same number, and other caches of this process the same count.
        let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let name = format!("{}-{}-{number}", std::process::id(), time.as_nanos());
        self.folder.join("new").join(name)
    }
}

/// Notes that an entry was used, if that was not noted a moment ago. Where it may not be noted, in a cache of somebody else, it
/// is of use all the same.
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
    let _ = futimens(file, &times);
    Ok(())
}
