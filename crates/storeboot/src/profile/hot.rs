//! Finds the files of a profile in a store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use storeboot_closure::PathInfo;

use super::{Profile, renamed};
use crate::package::version_dash;
use crate::{Error, Store};

/// The files of a profile that the packed store paths have.
#[derive(Debug, Default)]
pub(crate) struct HotFiles {
    /// In the order of the profile.
    files: Vec<HotFile>,
    /// Bytes of each packed store path, in the order of packing: of its NAR, and of its files here once more.
    sizes: Vec<u64>,
    /// Files of the profile that are in a layer, and not packed again.
    elsewhere: usize,
    /// Files of the profile that the closure does not have.
    gone: usize,
}

/// A file to be stored ahead.
#[derive(Debug)]
pub(crate) struct HotFile {
    /// The number of its store path, in the order of packing.
    pub(crate) store_path: usize,
    pub(crate) file: PathBuf,
    /// Its path in the image, for messages.
    pub(crate) name: Vec<u8>,
    /// Whether its last bytes are read, in an image with blocks of this size.
    pub(crate) tail: bool,
    pub(crate) size: u64,
}

impl HotFiles {
    /// Finds the files. A name that several store paths have stands for all of them. A name that none has stands for
    /// those that differ in nothing but the version, and so do names inside: a profile outlives an update.
    pub(crate) fn find(
        profile: &Profile,
        store: &Store,
        paths: &[&PathInfo],
        block_size: u32,
    ) -> Result<Self, Error> {
        let mut packed: HashMap<&[u8], Vec<usize>> = HashMap::new();
        let mut of_any_version: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (number, info) in paths.iter().enumerate() {
            let name = info.path.name().as_bytes();
            packed.entry(name).or_default().push(number);
            let name = without_version(name);
            of_any_version.entry(name).or_default().push(number);
        }
        let closure: HashSet<&[u8]> = store
            .closure()
            .paths()
            .map(|info| info.path.name().as_bytes())
            .collect();
        let mut found = Self {
            sizes: paths
                .iter()
                .map(|info| info.nar_size.unwrap_or(u64::MAX))
                .collect(),
            ..Self::default()
        };
        let mut folders = Folders::default();
        let mut files = Vec::new();
        // By the number of a store path, files of the profile that it may have under another name.
        let mut missing: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (line, wanted) in profile.files().iter().enumerate() {
            let exact = packed.get(&*wanted.name);
            if exact.is_none() && closure.contains(&*wanted.name) {
                found.elsewhere += 1;
                continue;
            }
            let numbers = exact.or_else(|| of_any_version.get(without_version(&wanted.name)));
            let numbers = numbers.map_or(&[][..], Vec::as_slice);
            let before = files.len();
            for &number in numbers {
                let root = store.locate(paths[number]);
                if let Some((file, size)) = folders.file(&root, &wanted.inside)? {
                    files.push((line, number, file, wanted.inside.to_vec(), size));
                }
            }
            if files.len() == before {
                found.gone += 1;
                for &number in numbers {
                    missing.entry(number).or_default().push(line);
                }
            }
        }
        let taken: HashSet<PathBuf> = files.iter().map(|(_, _, file, ..)| file.clone()).collect();
        let mut found_again = HashSet::new();
        for (number, lines) in missing {
            let root = store.locate(paths[number]);
            let wanted: Vec<&[u8]> = lines
                .iter()
                .map(|&line| &*profile.files()[line].inside)
                .collect();
            for renamed in renamed::find(&root, &wanted, &taken)? {
                let line = lines[renamed.wanted];
                found_again.insert(line);
                files.push((line, number, renamed.file, renamed.inside, renamed.size));
            }
        }
        found.gone -= found_again.len();
        files.sort_by_key(|&(line, number, ..)| (line, number));
        for (line, number, file, inside, size) in files {
            let blocks = u64::from(block_size);
            let base = paths[number].path.to_basename();
            found.sizes[number] = found.sizes[number].saturating_add(size);
            found.files.push(HotFile {
                store_path: number,
                file,
                name: [base.as_bytes(), b"/", &*inside].concat(),
                tail: profile.files()[line].reads_from(size / blocks * blocks),
                size,
            });
        }
        Ok(found)
    }

    /// The files, in the order of the profile.
    pub(crate) fn files(&self) -> &[HotFile] {
        &self.files
    }

    /// Bytes of the NARs of store paths, from this number on, with the files counted twice.
    pub(crate) fn sizes_from(&self, store_path: usize) -> impl Iterator<Item = u64> {
        self.sizes.iter().skip(store_path).copied()
    }

    /// What came of the profile, for people.
    pub(crate) fn summary(&self, profile: &Path) -> String {
        let size: u64 = self.files.iter().map(|file| file.size).sum();
        let mut said = format!(
            "the boot profile {}: {} files of {:.1} MiB come first",
            profile.display(),
            self.files.len(),
            size as f64 / f64::from(1 << 20),
        );
        for (count, what) in [
            (self.elsewhere, "of its files are in layers"),
            (
                self.gone,
                "of its files are not in this store and are skipped",
            ),
        ] {
            if count > 0 {
                said += &format!("; {count} {what}");
            }
        }
        said
    }
}

/// A store path's name up to its version.
fn without_version(name: &[u8]) -> &[u8] {
    &name[..version_dash(name).unwrap_or(name.len())]
}

/// Looks up files without following symbolic links, which may lead out of the store.
#[derive(Default)]
struct Folders {
    /// The folder that was looked at last, and whether it is one.
    last: Option<(PathBuf, bool)>,
}

impl Folders {
    /// The file and its size, if there is a regular file.
    fn file(&mut self, root: &Path, inside: &[u8]) -> Result<Option<(PathBuf, u64)>, Error> {
        let file = match inside {
            b"" => root.to_owned(),
            _ => root.join(OsStr::from_bytes(inside)),
        };
        let folder = file.parent().filter(|_| !inside.is_empty());
        if let Some(folder) = folder {
            if self.last.as_ref().is_none_or(|(last, _)| last != folder) {
                self.last = Some((folder.to_owned(), is_folder(root, folder)?));
            }
            if self.last.as_ref().is_some_and(|(_, there)| !there) {
                return Ok(None);
            }
        }
        let metadata = metadata(&file)?;
        let regular = metadata.filter(fs::Metadata::is_file);
        Ok(regular.map(|metadata| (file, metadata.len())))
    }
}

/// Whether a path below the root leads through nothing but folders.
fn is_folder(root: &Path, folder: &Path) -> Result<bool, Error> {
    for part in folder.ancestors().take_while(|part| part.starts_with(root)) {
        if metadata(part)?.is_none_or(|metadata| !metadata.is_dir()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn metadata(path: &Path) -> Result<Option<fs::Metadata>, Error> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidFilename => Ok(None),
            _ => Err(Error::read(path)(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_version_begins_after_a_hyphen_without_a_letter() {
        for (name, base) in [
            ("glibc-2.40-66", "glibc"),
            ("nixos-system-host-26.05", "nixos-system-host"),
            ("source", "source"),
            ("a-", "a-"),
        ] {
            assert_eq!(without_version(name.as_bytes()), base.as_bytes());
        }
    }

    #[test]
    fn only_regular_files_below_the_store_path_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        fs::create_dir_all(root.join("a/b")).expect("folders");
        fs::create_dir(&outside).expect("a folder");
        for file in [root.join("a/b/file"), outside.join("secret")] {
            fs::write(file, "text").expect("a file");
        }
        symlink(&outside, root.join("a/out")).expect("a link");
        symlink("b/file", root.join("a/link")).expect("a link");
        let mut folders = Folders::default();
        let mut size = |inside: &str| {
            let found = folders.file(&root, inside.as_bytes());
            found.expect("readable").map(|(_, size)| size)
        };
        assert_eq!(size("a/b/file"), Some(4));
        for inside in ["a/out/secret", "a/link", "a/b", "a/b/file/x", "no/such", ""] {
            assert_eq!(size(inside), None, "{inside}");
        }
        let mut whole = Folders::default();
        let itself = whole.file(&root.join("a/b/file"), b"").expect("readable");
        assert_eq!(itself.map(|(_, size)| size), Some(4));
    }
}
