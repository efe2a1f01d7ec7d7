//! The folder of one kernel's modules: which files there are and what is built in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{ModulesError, name};
use crate::compress::{Codec, SegmentReader};

/// Largest module, unpacked.
const MODULE_MAX: u64 = 256 << 20;
/// Largest `modules.builtin`, and other lists of the folder.
const LIST_MAX: u64 = 16 << 20;
/// Kernels have some ten thousand files here.
const FILES_MAX: usize = 1 << 20;

/// The modules of one release.
pub(super) struct Tree {
    /// `…/lib/modules/RELEASE`.
    pub folder: PathBuf,
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
    builtin_aliases: BTreeSet<String>,
}

impl Tree {
    pub(super) fn open(folder: &Path, release: &str) -> Result<Self, ModulesError> {
        let folder = locate(folder, release)?;
        let files = list(&folder)?;
        let builtin = builtin(&folder.join("modules.builtin"))?;
        let builtin_aliases = builtin_aliases(&folder.join("modules.builtin.modinfo"))?;
        Ok(Self {
            folder,
            files,
            builtin,
            builtin_aliases,
        })
    }

    /// The file of a module, by its normal name.
    pub(super) fn file(&self, name: &str) -> Option<&Path> {
        self.files.get(name).map(PathBuf::as_path)
    }

    pub(super) fn is_builtin(&self, name: &str) -> bool {
        self.builtin.contains(name)
    }

    /// Whether a module that is built in has this alias. The alias has `_` for each `-`.
    pub(super) fn is_builtin_alias(&self, alias: &str) -> bool {
        self.builtin_aliases.contains(alias)
    }

    /// The modules in these folders below [`folder`](Self::folder), by their normal names.
    pub(super) fn below(&self, folders: &[&str]) -> impl Iterator<Item = (&str, &Path)> {
        self.files.iter().filter_map(|(name, path)| {
            let inside = path.strip_prefix(&self.folder).ok()?;
            let is_below = folders.iter().any(|folder| inside.starts_with(folder));
            is_below.then_some((name.as_str(), path.as_path()))
        })
    }

    /// The place of every module in the order in which the kernel's own drivers are linked, by the normal name. Where
    /// several drivers fit a device, the first one is to be tried first. Empty where there is no `modules.order`.
    pub(super) fn order(&self) -> Result<BTreeMap<String, usize>, ModulesError> {
        let text = read_list(&self.folder.join("modules.order"))?;
        let names = text
            .lines()
            .filter_map(|line| name::of_file(Path::new(line)));
        Ok(names.zip(0..).collect())
    }
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> ModulesError + '_ {
    |source| ModulesError::Read {
        path: path.into(),
        source,
    }
}

/// Whether a folder has a release's modules right in it.
fn is_release(folder: &Path) -> bool {
    ["modules.builtin", "modules.order", "modules.dep", "kernel"]
        .iter()
        .any(|name| folder.join(name).exists())
}

fn locate(folder: &Path, release: &str) -> Result<PathBuf, ModulesError> {
    // A folder that cannot be read should be named with its own error, not as one without modules.
    fs::read_dir(folder).map_err(read_error(folder))?;
    if is_release(folder) {
        return Ok(folder.into());
    }
    let places = ["lib/modules", "usr/lib/modules", ""].map(|below| folder.join(below));
    for modules in &places {
        let exact = modules.join(release);
        if is_release(&exact) {
            return Ok(exact);
        }
    }
    let mut found = Vec::new();
    let mut at = folder;
    for modules in places.iter().filter(|place| place.is_dir()) {
        for entry in fs::read_dir(modules).map_err(read_error(modules))? {
            let path = entry.map_err(read_error(modules))?.path();
            if is_release(&path) {
                found.push(path);
            }
        }
        if !found.is_empty() {
            at = modules;
            break; // usr/lib and lib are often the same
        }
    }
    found.sort();
    match &found[..] {
        [] => Err(ModulesError::NoModules {
            folder: folder.into(),
            release: release.into(),
        }),
        // The only one: if it does not fit, the modules themselves tell what they were built for.
        [only] => Ok(only.clone()),
        _ => Err(ModulesError::OtherReleases {
            folder: at.into(),
            release: release.into(),
            found: found
                .iter()
                .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
                .collect(),
        }),
    }
}

/// All modules by name. Where a name is there twice, `updates/` is preferred as `depmod` does, then the first path.
fn list(folder: &Path) -> Result<BTreeMap<String, PathBuf>, ModulesError> {
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    // Links are followed: NixOS joins the modules of several packages by links. `build` and `source` lead to the
    // sources of the whole kernel.
    let walk = WalkDir::new(folder)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            entry.depth() != 1 || !matches!(entry.file_name().to_str(), Some("build" | "source"))
        });
    for (count, entry) in walk.enumerate() {
        if count > FILES_MAX {
            return Err(ModulesError::TooMany { limit: FILES_MAX });
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if is_dangling(&error) => continue,
            Err(error) => {
                return Err(ModulesError::Read {
                    path: error.path().unwrap_or(folder).into(),
                    source: error.into(),
                });
            }
        };
        let Some(name) = name::of_file(entry.path()).filter(|_| entry.file_type().is_file()) else {
            continue;
        };
        let updates = |path: &Path| {
            path.strip_prefix(folder)
                .is_ok_and(|p| p.starts_with("updates"))
        };
        let better = files
            .get(&name)
            .is_none_or(|known| updates(entry.path()) && !updates(known));
        if better {
            files.insert(name, entry.into_path());
        }
    }
    Ok(files)
}

/// Whether the error is a link that leads nowhere and is no module: `build`, mostly.
fn is_dangling(error: &walkdir::Error) -> bool {
    let missing = error.io_error().map(io::Error::kind) == Some(io::ErrorKind::NotFound);
    missing && error.path().and_then(name::of_file).is_none()
}

/// The names in a `modules.builtin`; none where there is no such file.
fn builtin(path: &Path) -> Result<BTreeSet<String>, ModulesError> {
    Ok(read_list(path)?
        .lines()
        .filter_map(|line| name::of_file(Path::new(line)))
        .collect())
}

/// The aliases in a `modules.builtin.modinfo`, with `_` for each `-`: `module.alias=value` and other facts, each with a
/// NUL behind it. Linux makes it since 5.2.
fn builtin_aliases(path: &Path) -> Result<BTreeSet<String>, ModulesError> {
    let text = read_list(path)?;
    let facts = text.split('\0').filter_map(|fact| fact.split_once('='));
    Ok(facts
        .filter(|(key, _)| key.ends_with(".alias"))
        .map(|(_, alias)| name::underscores(alias))
        .collect())
}

/// A file of the folder that lists something, empty where there is none. Authors' names in it may have any bytes.
fn read_list(path: &Path) -> Result<String, ModulesError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(read_error(path)(error)),
    };
    let mut text = Vec::new();
    let read = file.take(LIST_MAX + 1).read_to_end(&mut text);
    let read = read.map_err(read_error(path))?;
    if read as u64 > LIST_MAX {
        return Err(ModulesError::Damaged {
            path: path.into(),
            reason: format!("it is larger than {LIST_MAX} bytes"),
        });
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Reads a module and unpacks it, whatever its name ends with.
pub(super) fn load(path: &Path) -> Result<Vec<u8>, ModulesError> {
    let mut file = File::open(path).map_err(read_error(path))?;
    let mut magic = Vec::new();
    (&mut file)
        .take(Codec::MAGIC_MAX as u64)
        .read_to_end(&mut magic)
        .and_then(|_| file.seek(SeekFrom::Start(0)))
        .map_err(read_error(path))?;
    let damaged = |reason| ModulesError::Damaged {
        path: path.into(),
        reason,
    };
    let data = match Codec::detect(&magic) {
        None => limited(file).map_err(read_error(path))?,
        Some(codec) => SegmentReader::new(BufReader::new(file), codec)
            .and_then(limited)
            .map_err(|error| damaged(format!("it does not unpack ({codec}: {error})")))?,
    };
    if data.len() as u64 > MODULE_MAX {
        return Err(damaged(format!("it is larger than {MODULE_MAX} bytes")));
    }
    Ok(data)
}

fn limited(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    reader.take(MODULE_MAX + 1).read_to_end(&mut data)?;
    Ok(data)
}
