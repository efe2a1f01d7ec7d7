//! Recipes: how a store path was put into images, so that an unchanged path need not be read again.
//!
//! The cache keeps a recipe under the path's NAR hash. It lists the path's entries and, for each file, the hashes of
//! its pieces; the cache has the compressed blocks under hashes of these.

use std::ffi::OsStr;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storeboot_cache::{Cache, Entry, EntryWriter, Key};
use storeboot_closure::PathInfo;
use storeboot_squashfs::{BlockCache, Digest, Piece, Reread};

use super::follow_up::with_follow_up;
use super::nar_check;
use super::split::{Images, SplitSink};
use crate::store::read_ahead::{self, Entries, Found};
use crate::store::walk::{self, OpenFile, Sink};
use crate::{Cancel, Error, Store};

/// Changes whenever the form of recipes changes, or the way that files are cut.
const RECIPE: &str = "storeboot 2026-11: how a store path is put into images";
const BLOCK: &str = "storeboot 2026-11: a block of an image";
/// Bytes of a step at most: the pieces of a file of 7 TB, or of 32 GB in blocks of 4 KiB. A path with a longer one has no
/// recipe.
const STEP_MAX: u32 = if cfg!(test) { 64 << 10 } else { 256 << 20 };

/// The cache as images see it.
#[derive(Debug)]
pub(crate) struct Blocks(pub(crate) Arc<Cache>);

impl BlockCache for Blocks {
    fn get(&self, key: &Digest, bytes: &mut Vec<u8>) -> bool {
        let max = storeboot_squashfs::format::MAX_BLOCK_SIZE as usize + 1;
        self.0.get_into(&Key::derive(BLOCK, &[key]), bytes, max)
    }

    fn put(&self, key: &Digest, bytes: &[u8]) {
        self.0.put(&Key::derive(BLOCK, &[key]), bytes);
    }
}

/// One step of putting a store path into an image. The path's own name is empty.
#[derive(Serialize, Deserialize)]
enum Step {
    Enter(Vec<u8>),
    Leave,
    Symlink(Vec<u8>, Vec<u8>),
    File {
        name: Vec<u8>,
        executable: bool,
        size: u64,
        /// `None` is a piece of zeros.
        pieces: Vec<Option<(Digest, bool)>>,
    },
    /// Shows that the recipe is whole.
    End,
}

/// The recipes that a cache has of a store's paths.
pub(crate) struct Recipes<'a> {
    store: &'a Store,
    cache: &'a Cache,
    block_size: u32,
    cancel: &'a Cancel,
}

impl<'a> Recipes<'a> {
    pub(crate) fn new(
        store: &'a Store,
        cache: &'a Cache,
        block_size: u32,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            store,
            cache,
            block_size,
            cancel,
        }
    }

    /// Puts store paths into images, by their recipes where the cache has them, and calls `done` after each.
    pub(crate) fn pack<I: Images>(
        &self,
        paths: &[&'a PathInfo],
        sink: &mut SplitSink<'_, I>,
        mut done: impl FnMut(&SplitSink<'_, I>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // Hashing a path takes about as long as packing it at a quick level, so it is done on a second thread.
        with_follow_up(
            |recorded| self.keep(recorded),
            |keep_later| {
                read_ahead::for_each(
                    self.store,
                    paths,
                    self.cancel,
                    |info| self.find(info),
                    |info, found| {
                        sink.begin(info)?;
                        match found {
                            Found::Known(recipe) => recipe.follow(sink)?,
                            Found::Walked(entries) => {
                                if let Some(recorded) = self.record(info, entries, sink)? {
                                    keep_later(recorded)?;
                                }
                            }
                        }
                        done(sink)
                    },
                )
            },
        )
    }

    /// The recipe of a path, if the cache has it.
    fn find(&self, info: &PathInfo) -> Option<Recipe> {
        let entry = self.cache.get(&self.key(info)?)?;
        Some(Recipe {
            entry,
            path: self.store.locate(info),
            name: info.path.to_basename().into(),
        })
    }

    /// Puts a path into images, and writes its recipe for [`Self::keep`].
    fn record<K>(
        &self,
        info: &'a PathInfo,
        entries: Entries<'_, K>,
        sink: &mut SplitSink<'_, impl Images>,
    ) -> Result<Option<Recorded<'a>>, Error> {
        let Some(key) = self.key(info) else {
            entries.feed(sink)?;
            return Ok(None);
        };
        let mut recorder = Recorder {
            sink,
            recipe: BufWriter::new(self.cache.writer(&key)),
            is_short: true,
            depth: 0,
            pieces: Vec::new(),
        };
        entries.feed(&mut recorder)?;
        recorder.note(&Step::End)?;
        let is_short = recorder.is_short;
        let recipe = recorder.recipe.into_inner();
        let recipe = recipe.map_err(|error| inconsistent(error.error()))?;
        Ok(Some(Recorded {
            info,
            recipe: is_short.then_some(recipe),
        }))
    }

    /// Keeps a recipe, if the path is what its NAR hash says.
    fn keep(&self, recorded: Recorded<'_>) -> Result<(), Error> {
        let Recorded { info, recipe } = recorded;
        self.cancel.check()?;
        nar_check::check(self.store, info, self.cancel)?;
        if let Some(recipe) = recipe {
            recipe.keep();
        }
        Ok(())
    }

    fn key(&self, info: &PathInfo) -> Option<Key> {
        let hash = info.nar_hash.as_ref()?;
        let block_size = self.block_size.to_le_bytes();
        Some(Key::derive(RECIPE, &[hash.as_bytes(), &block_size]))
    }
}

/// A path that was just packed, and is not checked yet.
struct Recorded<'a> {
    info: &'a PathInfo,
    /// Its recipe, unless that is too long.
    recipe: Option<EntryWriter<'a>>,
}

/// Passes entries on to the images, and notes them in a recipe.
struct Recorder<'a, 'b, 'c, I: Images> {
    sink: &'a mut SplitSink<'b, I>,
    recipe: BufWriter<EntryWriter<'c>>,
    /// Whether no step so far is longer than what [`read_step`] takes.
    is_short: bool,
    depth: usize,
    pieces: Vec<Piece>,
}

impl<I: Images> Recorder<'_, '_, '_, I> {
    fn note(&mut self, step: &Step) -> Result<(), Error> {
        let bytes = postcard::to_stdvec(step).map_err(inconsistent)?;
        let length = u32::try_from(bytes.len()).ok();
        let Some(length) = length.filter(|&length| length <= STEP_MAX && self.is_short) else {
            self.is_short = false;
            return Ok(());
        };
        let mut write = |bytes: &[u8]| self.recipe.write_all(bytes).map_err(inconsistent);
        write(&length.to_le_bytes())?;
        write(&bytes)
    }

    /// The name as the recipe has it. The store path's own name is left out, so that the recipe serves any path of the
    /// same content.
    fn name(&self, name: &[u8]) -> Vec<u8> {
        if self.depth == 0 {
            Vec::new()
        } else {
            name.to_vec()
        }
    }
}

impl<I: Images> Sink for Recorder<'_, '_, '_, I> {
    fn enter(&mut self, name: &[u8]) -> Result<(), Error> {
        self.note(&Step::Enter(self.name(name)))?;
        self.depth += 1;
        self.sink.enter(name)
    }

    fn leave(&mut self) -> Result<(), Error> {
        self.depth -= 1;
        self.note(&Step::Leave)?;
        self.sink.leave()
    }

    fn file(&mut self, name: &[u8], file: OpenFile) -> Result<(), Error> {
        let (mode, executable, size) = (file.mode(), file.executable, file.size);
        let mut pieces = std::mem::take(&mut self.pieces);
        self.sink
            .content(name, mode, size, file.file, &mut pieces)?;
        let step = Step::File {
            name: self.name(name),
            executable,
            size,
            pieces: pieces
                .iter()
                .map(|piece| match *piece {
                    Piece::Zeros => None,
                    Piece::Data { digest, dense } => Some((digest, dense)),
                })
                .collect(),
        };
        self.pieces = pieces;
        self.note(&step)
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        self.note(&Step::Symlink(self.name(name), target.to_vec()))?;
        self.sink.symlink(name, target)
    }
}

/// A recipe from the cache.
struct Recipe {
    entry: Entry,
    path: PathBuf,
    name: Vec<u8>,
}

impl Recipe {
    /// Puts its entries into images. A file is read only where the cache has lost its blocks.
    fn follow(self, sink: &mut SplitSink<'_, impl Images>) -> Result<(), Error> {
        let mut recipe = BufReader::new(self.entry);
        let mut here = self.path;
        let mut depth = 0;
        loop {
            let step = read_step(&mut recipe).map_err(inconsistent)?;
            let own = |of: &[u8]| {
                if depth == 0 {
                    self.name.clone()
                } else {
                    of.to_vec()
                }
            };
            let place = |of: &[u8]| match depth {
                0 => here.clone(),
                _ => here.join(OsStr::from_bytes(of)),
            };
            match step {
                Step::Enter(of) => {
                    sink.enter(&own(&of))?;
                    here = place(&of);
                    depth += 1;
                }
                Step::Leave => {
                    sink.leave()?;
                    depth = usize::checked_sub(depth, 1)
                        .ok_or_else(|| inconsistent("a directory is left that was not entered"))?;
                    if depth > 0 {
                        here.pop();
                    }
                }
                Step::Symlink(of, target) => sink.symlink(&own(&of), &target)?,
                Step::File {
                    name: of,
                    executable,
                    size,
                    pieces,
                } => {
                    let pieces: Vec<Piece> = pieces
                        .into_iter()
                        .map(|piece| match piece {
                            None => Piece::Zeros,
                            Some((digest, dense)) => Piece::Data { digest, dense },
                        })
                        .collect();
                    let mode = walk::file_mode(executable);
                    sink.known(&own(&of), mode, size, &pieces, reread(place(&of)))?;
                }
                Step::End => return Ok(()),
            }
        }
    }
}

fn read_step(recipe: &mut impl Read) -> Result<Step, io::Error> {
    let mut length = [0; 4];
    recipe.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > STEP_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    recipe.take(length.into()).read_to_end(&mut bytes)?;
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}

/// Reads the steps of a recipe: for the fuzzer.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz(mut recipe: &[u8]) {
    while let Ok(step) = read_step(&mut recipe) {
        if matches!(step, Step::End) {
            break;
        }
    }
}

/// Reads a stretch of a file once more, for a block that the cache has lost.
fn reread(path: PathBuf) -> Reread {
    Arc::new(move |offset, buffer| {
        let (file, _) = walk::open(&path)?;
        file.read_exact_at(buffer, offset)
    })
}

/// The cache checks its entries, so an unsound recipe is a defect of storeboot's own.
fn inconsistent(reason: impl ToString) -> Error {
    Error::Inconsistent(format!("a recipe in the cache: {}", reason.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;
    use std::path::Path;

    use storeboot_closure::{StoreDir, StoreRoot, nar, read_path_info};

    use crate::{Context, Format, Pack, Store};

    use super::*;

    /// A store with one file, which has so many bytes.
    fn store(root: &Path, size: usize) -> Store {
        let name = format!("{}-path", "a".repeat(32));
        let path = root.join("nix/store").join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let numbers = (0..size as u64 / 8).flat_map(|number| (number + 1).to_le_bytes());
        fs::write(&path, numbers.collect::<Vec<u8>>()).unwrap();
        let (hash, size) = nar::hash(&path).unwrap();
        let list = format!(
            r#"[{{ "path": "/nix/store/{name}", "references": [], "narHash": "{}", "narSize": {size} }}]"#,
            hash.to_nix32()
        );
        let closure = read_path_info(list.as_bytes(), &StoreDir::default()).unwrap();
        Store::new(closure, StoreRoot::under(root), &Context::new()).unwrap()
    }

    /// Packs a store twice with one cache. Returns how many recipes were kept.
    fn recipes_after_two_builds(size: usize) -> usize {
        let world = tempfile::tempdir().unwrap();
        let store = store(&world.path().join("root"), size);
        let cache = Arc::new(Cache::open(world.path().join("cache"), u64::MAX).unwrap());
        let context = Context::new().cache(Arc::clone(&cache));
        let mut pack = Pack::new(Format::Squashfs);
        pack.block_size = 4096;
        pack.compression = Some("zstd:1".parse().unwrap());
        let written = || {
            let mut image = Cursor::new(Vec::new());
            pack.write(&store, &mut image, &context).unwrap();
            image.into_inner()
        };
        assert!(written() == written());
        let recipes = Recipes::new(&store, &cache, pack.block_size, context.token());
        let known = store.packed().filter(|info| recipes.find(info).is_some());
        known.count()
    }

    #[test]
    fn a_path_whose_recipe_would_be_too_long_has_none() {
        assert_eq!(recipes_after_two_builds(1 << 20), 1);
        // 34 bytes for each block of 4 KiB.
        assert_eq!(recipes_after_two_builds(8 << 20), 0);
    }
}
