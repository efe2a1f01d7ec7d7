//! Writing an entry: to a file of its own, which gets its name when all is in it.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

use crate::entry::{HEADER_LEN, hasher, header};
use crate::stats::count;
use crate::{Cache, Error, Key};

/// An entry that is being written.
///
/// Writing to it never fails: a cache that is full or cannot be written only keeps nothing, and [`keep`](Self::keep) says so.
/// Dropped without that, it leaves nothing behind.
#[derive(Debug)]
pub struct EntryWriter<'a> {
    cache: &'a Cache,
    key: Key,
    hasher: blake3::Hasher,
    length: u64,
    /// `None`: it could not be written, which is counted already.
    unfinished: Option<Unfinished<'a>>,
}

/// A file that goes when it does not become an entry. Its lock shows others that somebody is at it.
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

    /// Keeps what was written as the entry. `false`: that was not possible, see [`Cache::first_failure`].
    pub fn keep(mut self) -> bool {
        let header = header(self.length, &self.hasher.finalize());
        // The header comes last: a file without it is none.
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

    /// Does something with the file; when that fails, there is none any more.
    fn try_to(&mut self, act: impl FnOnce(&mut File) -> io::Result<()>) {
        if let Some(unfinished) = &mut self.unfinished
            && let Err(source) = act(&mut unfinished.file)
        {
            let path = unfinished.path.clone();
            self.cache.counters.failed(Error::Write { path, source });
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
        match File::create_new(&path) {
            Ok(file) => {
                // Where there are no locks, a file that was not written to for long is nobody's.
                let _ = file.try_lock();
                Some(Self {
                    cache,
                    path,
                    file,
                    named: false,
                })
            }
            Err(source) => {
                cache.counters.failed(Error::Write { path, source });
                None
            }
        }
    }

    fn name(mut self, path: PathBuf) -> bool {
        let rename = || match fs::rename(&self.path, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(shard) = path.parent() {
                    fs::create_dir_all(shard)?;
                }
                fs::rename(&self.path, &path)
            }
            other => other,
        };
        match rename() {
            Ok(()) => self.named = true,
            Err(source) => self.cache.counters.failed(Error::Write { path, source }),
        }
        self.named
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.named {
            // Where this fails, writing did before, and eviction tries again.
            let _ = fs::remove_file(&self.path);
        }
    }
}
