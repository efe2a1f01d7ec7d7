//! The files of a store that an initrd needs: those that are named, and what the programs among them load.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use storeboot_closure::StorePath;
use storeboot_cpio::{Metadata, Writer};

use super::elf::{self, Loads, NAMES_MAX};
use crate::store::walk;
use crate::{Context, Error, Store};

/// A path longer than this is none that the kernel takes.
const LONGEST_PATH: usize = 4096;

/// Links that one path may lead through: as many as the kernel follows.
const LINKS_MAX: usize = 40;

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

/// A file or a folder, and the libraries to take of those that programs there load by themselves.
type Wanted<'a> = (PathBuf, Option<&'a Dlopen>);

/// Finds what is needed.
struct Search<'a> {
    store: &'a Store,
    selection: Selection,
    /// What is still to be looked at. These paths have no links in them, so each file is here at most once for each
    /// choice of libraries, and there are no more of them than files in the closure.
    queue: VecDeque<Wanted<'a>>,
    /// What is or was in the queue.
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
            search.add(needed.source.as_ref(), needed.dlopen.as_ref())?;
        }
        while let Some((path, dlopen)) = search.queue.pop_front() {
            search.look(&path, dlopen)?;
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
    /// Goes along a path from the root.
    fn add(&mut self, path: &Path, dlopen: Option<&'a Dlopen>) -> Result<(), Error> {
        self.walk("/".into(), path, dlopen)
    }

    /// Goes along a path, whose links count from `at`, which has none. Packs what is on the way, folders and links, and
    /// has the file or folder at its end looked at. Where it leads out of the closure or nowhere, there is nothing more
    /// to pack.
    fn walk(
        &mut self,
        mut at: PathBuf,
        path: &Path,
        dlopen: Option<&'a Dlopen>,
    ) -> Result<(), Error> {
        // Nothing else here notices a build that is cancelled.
        self.context.reached(0)?;
        let whole = at.join(path);
        if whole.as_os_str().len() > LONGEST_PATH {
            return Ok(());
        }
        let mut links = 0;
        // What is still to be gone, the next step last.
        let mut rest = Vec::new();
        push(&mut rest, path);
        let mut went_up = false;
        while let Some(step) = rest.pop() {
            let name = match step {
                Step::Root => {
                    at = "/".into();
                    continue;
                }
                Step::Up => {
                    at.pop();
                    went_up = true;
                    continue;
                }
                Step::Into(name) => name,
            };
            went_up = false;
            at.push(name);
            if self.is_outer(&at) {
                continue;
            }
            let Some(place) = locate(self.store, &at) else {
                return Ok(());
            };
            let metadata = match fs::symlink_metadata(&place) {
                Ok(metadata) => metadata,
                Err(error) => match error.kind() {
                    // A name or path that is longer than any can be is none of a file.
                    ErrorKind::NotFound | ErrorKind::InvalidFilename => return Ok(()),
                    _ => return Err(Error::read(&place)(error)),
                },
            };
            let kind = metadata.file_type();
            if kind.is_symlink() {
                let target = fs::read_link(&place).map_err(Error::read(&place))?;
                push(&mut rest, &target);
                let target = target.into_os_string().into_vec();
                self.pack(at.clone(), Member::Symlink(target));
                links += 1;
                if links > LINKS_MAX {
                    self.context.note(&format!(
                        "{} leads through more than {LINKS_MAX} links, which the kernel does not follow",
                        whole.display()
                    ));
                    return Ok(());
                }
                at.pop();
            } else if kind.is_dir() {
                self.pack(at.clone(), Member::Directory);
            } else if kind.is_file() {
                let executable = metadata.mode() & 0o100 != 0;
                self.pack(at.clone(), Member::File { executable });
                self.want(at, dlopen);
                return Ok(());
            } else {
                return Err(Error::Special { path: place });
            }
        }
        // What is above something that is needed comes without all else that is in it.
        if !went_up && !self.is_outer(&at) {
            self.want(at, dlopen);
        }
        Ok(())
    }

    /// Whether a path is the store's directory, or one that this is in.
    fn is_outer(&self, path: &Path) -> bool {
        Path::new(self.store.closure().store_dir().as_str()).starts_with(path)
    }

    /// Has a file or folder looked at, once.
    fn want(&mut self, path: PathBuf, dlopen: Option<&'a Dlopen>) {
        let wanted = (path, dlopen);
        if !self.seen.contains(&wanted) {
            self.seen.insert(wanted.clone());
            self.queue.push_back(wanted);
        }
    }

    /// Adds what a packed file needs, or what is in a packed folder.
    fn look(&mut self, path: &Path, dlopen: Option<&'a Dlopen>) -> Result<(), Error> {
        let Some(place) = locate(self.store, path) else {
            return Ok(());
        };
        if !matches!(self.selection.members.get(path), Some(Member::Directory)) {
            return self.file(path, &place, dlopen);
        }
        for entry in fs::read_dir(&place).map_err(Error::read(&place))? {
            let entry = entry.map_err(Error::read(&place))?;
            self.walk(path.into(), entry.file_name().as_ref(), dlopen)?;
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
            self.walk(folder.clone(), OsStr::from_bytes(&wrapped).as_ref(), dlopen)?;
        }
        let (file, _) = walk::open(place).map_err(Error::read(place))?;
        let loads = elf::loads(file).map_err(|reason| Error::Content {
            path: path.display().to_string(),
            reason,
        })?;
        if let Some(interpreter) = &loads.interpreter {
            self.add(OsStr::from_bytes(interpreter).as_ref(), dlopen)?;
        }
        let optional = match dlopen {
            Some(dlopen) => optional(&loads, dlopen, place)?,
            None => Vec::new(),
        };
        for library in loads.libraries.iter().chain(&optional) {
            self.context.reached(0)?;
            let found = loads.folders.iter().find_map(|place| {
                let at = origin(place, &folder).join(OsStr::from_bytes(library));
                let there = locate(self.store, &at).is_some_and(|file| file.exists());
                there.then_some(at)
            });
            match found {
                Some(at) => self.add(&at, dlopen)?,
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

/// A part of a path.
enum Step {
    Root,
    Up,
    Into(OsString),
}

/// Puts the parts of a path before what is still to be gone.
fn push(rest: &mut Vec<Step>, path: &Path) {
    rest.extend(path.components().rev().filter_map(|part| match part {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Into(name.into())),
        Component::CurDir | Component::Prefix(_) => None,
    }));
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
        if libraries.len() > NAMES_MAX {
            return Err(Error::Content {
                path: place.display().to_string(),
                reason: format!("its .note.dlopen names more than {NAMES_MAX} libraries"),
            });
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
