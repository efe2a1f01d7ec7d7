//! The files of a store that an initrd needs: those that are named, and what the programs among them load.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use storeboot_closure::StorePath;
use storeboot_cpio::{Metadata, Writer};

use super::elf::{self, Loads};
use crate::store::walk;
use crate::{Context, Error, Store};

/// A path longer than this is no file's, but a link that leads to itself.
const LONGEST_PATH: usize = 4096;

/// A file or folder of the store that an initrd needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Needed {
    /// Its path in the store.
    pub source: String,
    /// The libraries to take of those that its programs load by themselves, as their `.note.dlopen` says. `None` takes
    /// none of them.
    pub dlopen: Option<Dlopen>,
}

impl Needed {
    /// A path in the store.
    #[must_use]
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            dlopen: None,
        }
    }
}

/// Which libraries to take of those that a program loads by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dlopen {
    /// Those that are at least as important as this.
    pub use_priority: Priority,
    /// Those for one of these features, however important.
    pub features: BTreeSet<String>,
}

/// How much a program needs a library, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Priority {
    Required,
    Recommended,
    Suggested,
}

/// What a program says of some libraries that it loads by itself.
#[derive(Debug, Deserialize)]
struct Note {
    soname: Vec<String>,
    feature: Option<String>,
    priority: Option<Priority>,
}

impl Dlopen {
    fn takes(&self, note: &Note) -> bool {
        self.use_priority >= note.priority.unwrap_or(Priority::Recommended)
            || note
                .feature
                .as_ref()
                .is_some_and(|feature| self.features.contains(feature))
    }
}

/// A member of the archive.
#[derive(Debug)]
enum Member {
    Directory,
    File { executable: bool },
    Symlink(Vec<u8>),
}

/// The files that are needed, by their paths in the store.
#[derive(Debug, Default)]
pub(super) struct Selection {
    members: BTreeMap<PathBuf, Member>,
}

/// A path, and the libraries to take of those that programs there load by themselves.
type Wanted<'a> = (PathBuf, Option<&'a Dlopen>);

/// Finds what is needed.
struct Search<'a> {
    store: &'a Store,
    selection: Selection,
    queue: VecDeque<Wanted<'a>>,
    seen: HashSet<Wanted<'a>>,
    context: &'a Context<'a>,
}

impl Selection {
    /// Finds the named files and what they need: what links point to, what is in folders, the loader and the libraries
    /// of programs, and the program that a wrapper of nixpkgs starts.
    pub(super) fn of(
        store: &Store,
        needed: &[Needed],
        context: &Context<'_>,
    ) -> Result<Self, Error> {
        context.begin("finding the files that the initrd needs", None)?;
        let mut search = Search {
            store,
            selection: Self::default(),
            queue: VecDeque::new(),
            seen: HashSet::new(),
            context,
        };
        for needed in needed {
            search.add(PathBuf::from(&needed.source), needed.dlopen.as_ref());
        }
        while let Some((path, dlopen)) = search.queue.pop_front() {
            // Nothing else here notices a build that is cancelled.
            context.reached(0)?;
            search.walk(&path, dlopen)?;
        }
        Ok(search.selection)
    }

    /// Writes the files, each after the folder that it is in.
    pub(super) fn write<W: Write>(
        &self,
        store: &Store,
        writer: &mut Writer<W>,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let failed = |source| Error::Archive {
            archive: "the initrd".into(),
            source,
        };
        context.begin("packing the files that the initrd needs", None)?;
        let mut done = 0;
        let store_dir = Path::new(store.closure().store_dir().as_str());
        let outer: Vec<&Path> = store_dir.ancestors().collect();
        for folder in outer.into_iter().rev().skip(1) {
            writer
                .directory(name(folder), &Metadata::directory())
                .map_err(failed)?;
        }
        for (path, member) in &self.members {
            let mode = |mode: u16| Metadata::mode(mode.into());
            match member {
                Member::Directory => writer.directory(name(path), &mode(walk::DIRECTORY)),
                Member::Symlink(target) => writer.symlink(name(path), &Metadata::symlink(), target),
                Member::File { executable } => {
                    let place = locate(store, path).unwrap_or_else(|| path.clone());
                    let (file, metadata) = walk::open(&place).map_err(Error::read(&place))?;
                    let size = metadata.len();
                    done += size;
                    context.reached(done)?;
                    writer.file(name(path), &mode(walk::file_mode(*executable)), size, file)
                }
            }
            .map_err(failed)?;
        }
        Ok(())
    }
}

impl<'a> Search<'a> {
    fn add(&mut self, path: PathBuf, dlopen: Option<&'a Dlopen>) {
        let wanted = (path, dlopen);
        if !self.seen.contains(&wanted) {
            self.seen.insert(wanted.clone());
            self.queue.push_back(wanted);
        }
    }

    /// Goes along a path and packs what is on the way: folders, and the first link or file. Where a link leads out of
    /// the closure or nowhere, there is nothing to pack.
    fn walk(&mut self, path: &Path, dlopen: Option<&'a Dlopen>) -> Result<(), Error> {
        if path.as_os_str().len() > LONGEST_PATH {
            return Ok(());
        }
        let mut at = PathBuf::from("/");
        let mut rest = path.components();
        while let Some(component) = rest.next() {
            match component {
                Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
                Component::ParentDir => {
                    at.pop();
                    continue;
                }
                Component::Normal(name) => at.push(name),
            }
            let store_dir = Path::new(self.store.closure().store_dir().as_str());
            if store_dir.starts_with(&at) {
                continue;
            }
            let Some(place) = locate(self.store, &at) else {
                return Ok(());
            };
            let metadata = match fs::symlink_metadata(&place) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(Error::read(&place)(error)),
            };
            let kind = metadata.file_type();
            let rest = rest.as_path();
            if kind.is_symlink() {
                let target = fs::read_link(&place).map_err(Error::read(&place))?;
                let folder = at.parent().unwrap_or(Path::new("/")).to_owned();
                self.add(join(folder.join(&target), rest), dlopen);
                let target = target.into_os_string().into_vec();
                self.pack(at, Member::Symlink(target));
                return Ok(());
            } else if kind.is_dir() {
                self.pack(at.clone(), Member::Directory);
                if rest.as_os_str().is_empty() {
                    for entry in fs::read_dir(&place).map_err(Error::read(&place))? {
                        let entry = entry.map_err(Error::read(&place))?;
                        self.add(at.join(entry.file_name()), dlopen);
                    }
                }
            } else if kind.is_file() {
                let executable = metadata.mode() & 0o100 != 0;
                self.pack(at.clone(), Member::File { executable });
                return self.file(&at, &place, dlopen);
            } else {
                return Err(Error::Special { path: place });
            }
        }
        Ok(())
    }

    fn pack(&mut self, path: PathBuf, member: Member) {
        self.selection.members.entry(path).or_insert(member);
    }

    /// Looks at what a file needs.
    fn file(&mut self, path: &Path, place: &Path, dlopen: Option<&'a Dlopen>) -> Result<(), Error> {
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        if let Some(name) = path.file_name() {
            let wrapped = [b".", name.as_bytes(), b"-wrapped"].concat();
            self.add(folder.join(OsStr::from_bytes(&wrapped)), dlopen);
        }
        let (file, _) = walk::open(place).map_err(Error::read(place))?;
        let loads = elf::loads(file);
        if let Some(interpreter) = &loads.interpreter {
            self.add(PathBuf::from(OsStr::from_bytes(interpreter)), dlopen);
        }
        let optional = match dlopen {
            Some(dlopen) => optional(&loads, dlopen, place)?,
            None => Vec::new(),
        };
        for library in loads.libraries.iter().chain(&optional) {
            let found = loads.folders.iter().find_map(|place| {
                let at = origin(place, &folder).join(OsStr::from_bytes(library));
                let there = locate(self.store, &at).is_some_and(|file| file.exists());
                there.then_some(at)
            });
            match found {
                Some(at) => self.add(at, dlopen),
                // Libraries of glibc's own do not say where its others are; programs do.
                None if library.starts_with(b"ld-") || library.starts_with(b"libc.so") => {}
                None => self.context.begin(
                    &format!(
                        "warning: {} needs {}, which is in none of its folders",
                        path.display(),
                        String::from_utf8_lossy(library)
                    ),
                    None,
                )?,
            }
        }
        Ok(())
    }
}

/// Libraries that a program loads by itself and that are wanted.
fn optional(loads: &Loads, dlopen: &Dlopen, place: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let mut libraries = Vec::new();
    for text in &loads.dlopen {
        let notes: Vec<Note> = serde_json::from_slice(text).map_err(|error| Error::Content {
            path: place.display().to_string(),
            reason: format!("its .note.dlopen is not understood: {error}"),
        })?;
        for note in notes.into_iter().filter(|note| dlopen.takes(note)) {
            libraries.extend(note.soname.into_iter().map(String::into_bytes));
        }
    }
    Ok(libraries)
}

/// A folder with libraries, for a file in `folder`.
fn origin(place: &[u8], folder: &Path) -> PathBuf {
    for word in [&b"$ORIGIN"[..], b"${ORIGIN}"] {
        if let Some(rest) = place.strip_prefix(word) {
            let rest = rest.strip_prefix(b"/").unwrap_or(rest);
            return join(folder.to_owned(), Path::new(OsStr::from_bytes(rest)));
        }
    }
    PathBuf::from(OsStr::from_bytes(place))
}

fn join(path: PathBuf, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() {
        path
    } else {
        path.join(rest)
    }
}

/// A member's name.
fn name(path: &Path) -> &[u8] {
    let path = path.as_os_str().as_bytes();
    path.strip_prefix(b"/").unwrap_or(path)
}

/// Where the file of a path in the closure is.
fn locate(store: &Store, path: &Path) -> Option<PathBuf> {
    let closure = store.closure();
    let inside = path.strip_prefix(closure.store_dir().as_str()).ok()?;
    let mut parts = inside.components();
    let Component::Normal(name) = parts.next()? else {
        return None;
    };
    let path = StorePath::from_basename(name.as_bytes()).ok()?;
    let place = store.root().locate(closure.store_dir(), &path);
    closure
        .contains(&path)
        .then(|| join(place, parts.as_path()))
}
