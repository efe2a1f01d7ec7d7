//! Finds the files of a store path that have other version numbers in their names than a profile says: a new version of a
//! package has `lib/libz.so.1.3.1` where the old one had `lib/libz.so.1.2.13`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// A file that takes the place of one that the profile names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Renamed {
    /// Which of the wanted files it stands for.
    pub(super) wanted: usize,
    pub(super) file: PathBuf,
    /// Its path inside the store path.
    pub(super) inside: Vec<u8>,
    pub(super) size: u64,
}

/// Finds a file for each of the wanted paths that one differs from in nothing but version numbers. Where several do, the
/// one with the most equal parts counts. Each file stands for one path, and none for files that are `taken`. Follows no
/// symbolic links.
pub(super) fn find(
    root: &Path,
    wanted: &[&[u8]],
    taken: &HashSet<PathBuf>,
) -> Result<Vec<Renamed>, Error> {
    let mut alike: HashMap<Vec<u8>, Vec<Renamed>> = HashMap::new();
    for inside in wanted.iter().filter(|inside| !inside.is_empty()) {
        alike.entry(without_versions(inside)).or_default();
    }
    if alike.is_empty() {
        return Ok(Vec::new());
    }
    let kind = fs::symlink_metadata(root).map_err(Error::read(root))?;
    if !kind.is_dir() {
        return Ok(Vec::new());
    }
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::read(&folder))? {
            let entry = entry.map_err(Error::read(&folder))?;
            let file = entry.path();
            let kind = entry.file_type().map_err(Error::read(&file))?;
            if kind.is_dir() {
                folders.push(file);
                continue;
            }
            let Ok(inside) = file.strip_prefix(root) else {
                continue;
            };
            let inside = inside.as_os_str().as_bytes().to_vec();
            if !kind.is_file() || taken.contains(&file) {
                continue;
            }
            if let Some(files) = alike.get_mut(&without_versions(&inside)) {
                let size = entry.metadata().map_err(Error::read(&file))?.len();
                files.push(Renamed {
                    wanted: 0,
                    file,
                    inside,
                    size,
                });
            }
        }
    }
    // The order of a folder's entries is the file system's own.
    for files in alike.values_mut() {
        files.sort_by(|a, b| b.inside.cmp(&a.inside));
    }
    let mut found = Vec::new();
    for (number, inside) in wanted.iter().enumerate() {
        let Some(files) = alike.get_mut(&without_versions(inside)) else {
            continue;
        };
        let best = files
            .iter()
            .enumerate()
            .max_by_key(|(_, file)| equal_parts(inside, &file.inside));
        if let Some((best, _)) = best {
            let file = files.remove(best);
            found.push(Renamed {
                wanted: number,
                ..file
            });
        }
    }
    Ok(found)
}

/// The path with each number, and the numbers that follow it after dots, replaced by one character.
fn without_versions(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut in_version = false;
    for &byte in path {
        in_version = byte.is_ascii_digit() || (in_version && byte == b'.');
        match (in_version, plain.last()) {
            (true, Some(0)) => {}
            // No name has this byte.
            (true, _) => plain.push(0),
            (false, _) => plain.push(byte),
        }
    }
    plain
}

/// How many parts of two paths are the same.
fn equal_parts(a: &[u8], b: &[u8]) -> usize {
    let parts = |path| <[u8]>::split(path, |&byte| byte == b'/');
    parts(a).zip(parts(b)).filter(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn named(files: &[&str], wanted: &[&str]) -> Vec<(usize, String)> {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().expect("below the folder")).expect("folders");
            fs::write(file, "text").expect("a file");
        }
        symlink("a.so.1", folder.path().join("b.so.1")).expect("a link");
        let wanted: Vec<&[u8]> = wanted.iter().map(|inside| inside.as_bytes()).collect();
        let found = find(folder.path(), &wanted, &HashSet::new()).expect("readable");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        found
            .into_iter()
            .map(|renamed| (renamed.wanted, text(renamed.inside)))
            .collect()
    }

    #[test]
    fn names_with_other_numbers_are_found() {
        let files = [
            "lib/libz.so.1.3.1",
            "lib/libzstd.so.1.5",
            "lib/python3.12/os.py",
        ];
        let wanted = [
            "lib/libz.so.1.2.13",
            "lib/python3.11/os.py",
            "lib/libzip.so.5",
        ];
        let expected = [
            (0, "lib/libz.so.1.3.1".to_owned()),
            (1, "lib/python3.12/os.py".to_owned()),
        ];
        assert_eq!(named(&files, &wanted), expected);
    }

    #[test]
    fn of_several_the_nearest_counts_and_each_once() {
        let files = ["6.12.96/nls_cp437.ko", "6.12.96/nls_cp850.ko"];
        let wanted = [
            "6.12.95/nls_cp850.ko",
            "6.12.95/nls_cp437.ko",
            "6.12.95/nls_cp1.ko",
        ];
        let expected = [
            (0, "6.12.96/nls_cp850.ko".to_owned()),
            (1, "6.12.96/nls_cp437.ko".to_owned()),
        ];
        assert_eq!(named(&files, &wanted), expected);
    }

    #[test]
    fn links_and_other_names_are_not_found() {
        assert_eq!(named(&["a.so.1"], &["b.so.2", "", "c.so.1"]), []);
    }
}
