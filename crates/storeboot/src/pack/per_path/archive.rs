//! The archive of one store path: packed, or found in the cache.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use storeboot_cache::{Cache, Entry, Key, KeyHasher};
use storeboot_closure::PathInfo;
use tempfile::SpooledTempFile;

use super::super::archive::{self, ArchiveSink};
use super::super::extent::Extent;
use super::super::large_files::LargeFiles;
use super::super::nar_check;
use super::{ArchiveOptions, path_options};
use crate::compress::{LARGE_CONTENT, SegmentOptions, SegmentWriter, version};
use crate::error::OUTPUT;
use crate::store::read_ahead;
use crate::store::walk::walk;
use crate::{Error, Store};

/// Archives up to this size wait in memory.
const SPOOL: usize = 512 << 10;
/// Names the form of a cache entry: three numbers of 8 bytes, little-endian (the extent's entries, pages and largest
/// part), and the archive. Another form, or another way to make the archive, needs another context.
const CONTEXT: &str = "storeboot 2026-11 compressed archive of a store path, large files in parts";
const EXTENT_LEN: usize = 24;

/// An archive, compressed.
pub(super) struct PathArchive {
    pub(super) extent: Extent,
    pub(super) size: u64,
    pub(super) content: ArchiveBytes,
}

/// Where an archive waits.
pub(super) enum ArchiveBytes {
    Memory(Cursor<Vec<u8>>),
    Spool(SpooledTempFile, PathBuf),
    Cached(Entry),
}

impl Read for ArchiveBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(content) => content.read(buffer),
            Self::Spool(content, _) => content.read(buffer),
            Self::Cached(content) => content.read(buffer),
        }
    }
}

impl ArchiveBytes {
    /// Says what could not be read.
    pub(super) fn failed(&self, error: io::Error) -> Error {
        match self {
            Self::Spool(_, path) => Error::read(path)(error),
            Self::Memory(_) | Self::Cached(_) => Error::read("the cache")(error),
        }
    }
}

/// Makes archives, on any number of threads.
pub(super) struct ArchiveMaker<'a> {
    store: &'a Store,
    options: &'a ArchiveOptions<'a>,
    cache: Option<(&'a Cache, u64)>,
    /// Held while a path is packed on all threads.
    large: Mutex<()>,
}

impl<'a> ArchiveMaker<'a> {
    pub(super) fn new(store: &'a Store, options: &'a ArchiveOptions<'a>) -> Result<Self, Error> {
        let cache = match options.context.the_cache().map(Arc::as_ref) {
            Some(cache) => {
                let version = version(options.compression).map_err(Error::write(OUTPUT))?;
                Some((cache, version))
            }
            None => None,
        };
        Ok(Self {
            store,
            options,
            cache,
            large: Mutex::default(),
        })
    }

    /// The directories that the store paths are in.
    pub(super) fn directories(&self) -> Result<PathArchive, Error> {
        self.pack(path_options(self.options.compression, 0), |sink| {
            sink.directories(self.options.folder.as_bytes())
        })
    }

    /// The registration, where the store has one.
    pub(super) fn registration(&self) -> Result<Option<PathArchive>, Error> {
        if !self.store.is_registered() {
            return Ok(None);
        }
        let (size, registration) = self.store.registration()?;
        let write = |sink: &mut ArchiveSink<_>| {
            sink.enter_unwritten(self.options.folder.as_bytes());
            sink.registration(size, registration)
        };
        self.pack(path_options(self.options.compression, size), write)
            .map(Some)
    }

    /// A store path.
    pub(super) fn path(&self, info: &PathInfo) -> Result<PathArchive, Error> {
        let name = info.path.to_basename();
        // `Store::new` made the closure complete.
        let nar_size = info.nar_size.unwrap_or_default();
        let options = path_options(self.options.compression, nar_size);
        let cached = self
            .cache
            .zip(info.nar_hash)
            .map(|((cache, version), hash)| {
                let mut key = KeyHasher::new(CONTEXT);
                key.part(self.options.compression.to_string().as_bytes())
                    .number(version)
                    .part(self.options.folder.as_bytes())
                    .part(name.as_bytes())
                    .part(hash.as_bytes())
                    .number(nar_size);
                (cache, key.finish())
            });
        if let Some((cache, key)) = cached
            && let Some(archive) = find(cache, &key)
            // An archive with a file in parts is not for those who refuse such files: packing it anew names the file.
            && (archive.extent.part == 0 || self.options.large_files != LargeFiles::Refused)
        {
            return Ok(archive);
        }
        self.options.context.token().check()?;
        let path = self.store.locate(info);
        let mut archive = if nar_size < LARGE_CONTENT {
            self.pack(options, |sink| {
                sink.enter_unwritten(self.options.folder.as_bytes());
                walk(&path, name.as_bytes(), sink)
            })?
        } else {
            // Large paths are packed one at a time on all threads: else the last one might keep one thread busy and the
            // others idle.
            let _all = self.large.lock().unwrap_or_else(PoisonError::into_inner);
            self.pack(options.threads(self.options.context.threads()), |sink| {
                sink.enter_unwritten(self.options.folder.as_bytes());
                read_ahead::feed(
                    self.store,
                    &[info],
                    self.options.context.token(),
                    sink,
                    |_, _| Ok(()),
                )
            })?
        };
        if cached.is_some() || self.options.context.checks_nar_hashes() {
            // The files are in the page cache by now, and the other threads go on meanwhile.
            nar_check::check(self.store, info, self.options.context.token())?;
        }
        if let Some((cache, key)) = cached {
            keep(cache, &key, &mut archive)?;
        }
        Ok(archive)
    }

    fn pack(
        &self,
        options: SegmentOptions,
        write: impl FnOnce(&mut ArchiveSink<SegmentWriter<SpooledTempFile>>) -> Result<(), Error>,
    ) -> Result<PathArchive, Error> {
        let scratch = self.options.scratch;
        let failed = || Error::write(scratch);
        let out = SpooledTempFile::new_in(SPOOL, scratch);
        let out = SegmentWriter::new(out, options).map_err(failed())?;
        let mut sink = ArchiveSink::new(storeboot_cpio::Writer::new(out), self.options.large_files);
        write(&mut sink).map_err(|error| error.of_scratch(scratch))?;
        let (writer, extent) = sink.finish();
        let out = writer
            .finish()
            .map_err(|error| archive::error(error).of_scratch(scratch))?;
        let mut spool = out.finish().map_err(failed())?;
        let size = spool
            .stream_position()
            .and_then(|size| spool.seek(SeekFrom::Start(0)).map(|_| size))
            .map_err(Error::read(scratch))?;
        Ok(PathArchive {
            extent,
            size,
            content: ArchiveBytes::Spool(spool, scratch.into()),
        })
    }
}

fn find(cache: &Cache, key: &Key) -> Option<PathArchive> {
    let mut entry = cache.get(key)?;
    let mut extent = [0; EXTENT_LEN];
    // The cache checked the entry, so it is as long as it was.
    entry.read_exact(&mut extent).ok()?;
    let [entries, pages, part] = [&extent[..8], &extent[8..16], &extent[16..]].map(|bytes| {
        let mut number = [0; 8];
        number.copy_from_slice(bytes);
        u64::from_le_bytes(number)
    });
    let size = entry.len().checked_sub(EXTENT_LEN as u64)?;
    let content = if size <= SPOOL as u64 {
        let mut content = Vec::new();
        entry.read_to_end(&mut content).ok()?;
        ArchiveBytes::Memory(Cursor::new(content))
    } else {
        ArchiveBytes::Cached(entry)
    };
    Some(PathArchive {
        extent: Extent {
            entries,
            pages,
            part,
        },
        size,
        content,
    })
}

/// Puts an archive into the cache. A cache that cannot be written is no error; a spool file that cannot be read again
/// is one.
fn keep(cache: &Cache, key: &Key, archive: &mut PathArchive) -> Result<(), Error> {
    let ArchiveBytes::Spool(spool, path) = &mut archive.content else {
        return Ok(());
    };
    let mut writer = cache.writer(key);
    let copied = writer
        .write_all(&archive.extent.entries.to_le_bytes())
        .and_then(|()| writer.write_all(&archive.extent.pages.to_le_bytes()))
        .and_then(|()| writer.write_all(&archive.extent.part.to_le_bytes()))
        .and_then(|()| io::copy(spool, &mut writer))
        .and_then(|_| spool.seek(SeekFrom::Start(0)));
    copied.map_err(Error::read(path.clone()))?;
    writer.keep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use storeboot_closure::{NarHash, StoreDir, StoreRoot, nar, read_path_info};

    use super::*;
    use crate::Context;

    const NAME: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-path";

    /// A store with one path, and the file in it.
    fn store(scratch: &Path) -> (Store, PathBuf, NarHash) {
        let path = scratch.join("nix/store").join(NAME);
        fs::create_dir_all(&path).expect("a folder");
        let file = path.join("file");
        fs::write(&file, "what it was").expect("a file");
        let (hash, size) = nar::hash(&path).expect("readable");
        let list = format!(
            r#"[{{ "path": "/nix/store/{NAME}", "narHash": "{hash}", "narSize": {size}, "references": [] }}]"#
        );
        let closure = read_path_info(list.as_bytes(), &StoreDir::default()).expect("a closure");
        let store =
            Store::new(closure, StoreRoot::under(scratch), &Context::new()).expect("a store");
        (store, file, hash)
    }

    fn packed(
        store: &Store,
        compression: &str,
        cache: Option<&Arc<Cache>>,
        scratch: &Path,
    ) -> Result<Vec<u8>, Error> {
        let mut context = Context::new();
        if let Some(cache) = cache {
            context = context.cache(Arc::clone(cache));
        }
        let options = ArchiveOptions {
            folder: "nix/store",
            large_files: LargeFiles::Refused,
            compression: compression.parse().expect("a compression"),
            scratch,
            context: &context,
        };
        let mut out = Vec::new();
        super::super::write(store, &options, &mut out)?;
        Ok(out)
    }

    #[test]
    fn a_path_that_was_changed_by_hand_is_an_error_and_not_kept() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (store, file, hash) = store(scratch.path());
        let packed = |cache| packed(&store, "zstd:1", cache, scratch.path());
        let expected = packed(None).expect("packed");

        let cache = Arc::new(Cache::open(scratch.path().join("cache"), u64::MAX).expect("a cache"));
        fs::write(&file, "what it is!").expect("a file");
        let error = packed(Some(&cache)).expect_err("it was changed");
        let error = error.to_string();
        assert!(
            error.contains(NAME) && error.contains(&hash.to_string()),
            "{error}"
        );

        // A build with the right files gets the right archive.
        fs::write(&file, "what it was").expect("a file");
        for _ in 0..2 {
            let again = packed(Some(&cache)).expect("packed");
            assert!(again == expected);
        }
        assert_eq!(cache.stats().hits, 1);
    }

    #[test]
    fn what_any_compressor_packs_is_kept() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (store, _, _) = store(scratch.path());
        let cache = Arc::new(Cache::open(scratch.path().join("cache"), u64::MAX).expect("a cache"));
        let forms = [
            "zstd:1", "zstd:2", "lz4:1", "gzip:1", "gzip:9", "xz:0", "none",
        ];
        for form in forms {
            let packed = |cache| packed(&store, form, cache, scratch.path()).expect("packed");
            let expected = packed(None);
            let (before, missed) = (cache.stats().hits, cache.stats().misses);
            assert!(packed(Some(&cache)) == expected, "{form}");
            assert_eq!(cache.stats().misses, missed + 1, "{form}");
            assert!(packed(Some(&cache)) == expected, "{form}");
            assert_eq!(cache.stats().hits, before + 1, "{form}");
        }
    }
}
