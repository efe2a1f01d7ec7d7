//! Writes an entry to a file of its own and renames the file when it is complete.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

use crate::entry::{HEADER_LEN, hasher, header};
use crate::stats::count;
use crate::{Cache, Error, Key};

/// An entry that is being written.
///
/// Writing to it never fails: where the cache is full or cannot be written, [`keep`](Self::keep) returns `false`.
/// Dropping the writer without `keep` removes what was written.
#[derive(Debug)]
pub struct EntryWriter<'a> {
    cache: &'a Cache,
    key: Key,
    hasher: blake3::Hasher,
    length: u64,
    /// `None`: it could not be written. That is counted already.
    unfinished: Option<Unfinished<'a>>,
}

/// A file that is removed on drop unless it became an entry. Its lock shows other processes that it is in use.
#[derive(Debug)]
struct Unfinished<'a> {
    cache: &'a Cache,
    path: PathBuf,
    file: File,
    named: bool,
}

impl<'a> EntryWriter<'a> {
    pub(crate) fn new(cache: &'a Cache, key: &Key) -> Self {
        let mut writer = Self {
            cache,
            key: *key,
            hasher: hasher(key),
            length: 0,
            unfinished: Unfinished::create(cache),
        };
        writer.try_to(|file| file.seek(SeekFrom::Start(HEADER_LEN as u64)).map(drop));
        writer
    }

    pub(crate) fn put(cache: &'a Cache, key: &Key, content: &[u8]) {
        let mut hasher = hasher(key);
        hasher.update(content);
        let length = content.len() as u64;
        let header = header(length, &hasher.finalize());
        let mut writer = Self {
            cache,
            key: *key,
            hasher,
            length,
            unfinished: Unfinished::create(cache),
        };
        writer.try_to(|file| {
            file.write_all(&header)?;
            file.write_all(content)
        });
        writer.name();
    }

    /// Keeps what was written as the entry. Returns `false` where that fails; see [`Cache::first_failure`].
    pub fn keep(mut self) -> bool {
        let header = header(self.length, &self.hasher.finalize());
        // The header is written last: a file without it is no entry.
        self.try_to(|file| {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)
        });
        self.name()
    }

    fn name(&mut self) -> bool {
        let Some(unfinished) = self.unfinished.take() else {
            return false;
        };
        let kept = unfinished.name(self.cache.path(&self.key));
        if kept {
            count(&self.cache.counters.kept);
        }
        kept
    }

    /// Does something with the file, and gives the file up where that fails.
    fn try_to(&mut self, act: impl FnOnce(&mut File) -> io::Result<()>) {
        if let Some(unfinished) = &mut self.unfinished
            && let Err(source) = act(&mut unfinished.file)
        {
            let path = unfinished.path.clone();
            self.cache.counters.failed(Error::write(path, source));
            self.unfinished = None;
        }
    }
}

impl Write for EntryWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unfinished.is_some() {
            self.hasher.update(bytes);
            self.length += bytes.len() as u64;
            self.try_to(|file| file.write_all(bytes));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> Unfinished<'a> {
    fn create(cache: &'a Cache) -> Option<Self> {
        let path = cache.new_path();
        match cache.users.open(&path, File::options().create_new(true)) {
            Ok(file) => {
                // Where the file system has no locks, eviction goes by the age alone.
                let _ = file.try_lock();
                Some(Self {
                    cache,
                    path,
                    file,
                    named: false,
                })
            }
            Err(source) => {
                cache.counters.failed(Error::write(path, source));
                None
            }
        }
    }

    fn name(mut self, path: PathBuf) -> bool {
        let rename = || match fs::rename(&self.path, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(shard) = path.parent() {
                    self.cache.users.make_folder(shard)?;
                }
                fs::rename(&self.path, &path)
            }
            other => other,
        };
        match rename() {
            Ok(()) => self.named = true,
            Err(source) => self.cache.counters.failed(Error::write(path, source)),
        }
        self.named
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.named {
            // Where this fails, writing failed before, and eviction tries again.
            let _ = fs::remove_file(&self.path);
        }
    }
}
