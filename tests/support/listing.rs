//! Trees of files in a form that tests can compare: every reader of a tree makes a [`Listing`] of it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How many differences a message shows.
const SHOWN: usize = 12;

/// Everything in a tree, by its path from the tree's root; the root's own path is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The entries.
    pub entries: BTreeMap<Vec<u8>, Entry>,
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is, and its content.
    pub kind: Kind,
    /// Its permissions.
    pub mode: u32,
    /// User and group that own it.
    pub owner: (u32, u32),
    /// When it was changed, in seconds since 1970.
    pub mtime: i64,
}

/// What an entry is.
#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file with its content.
    File(Vec<u8>),
    /// A symbolic link with its target.
    Symlink(Vec<u8>),
    /// Something that no store holds, by its file type bits.
    Other(u32),
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => write!(f, "directory"),
            Self::File(content) => write!(f, "file of {} bytes", content.len()),
            Self::Symlink(target) => {
                let shown = &target[..target.len().min(80)];
                write!(
                    f,
                    "link of {} bytes to {}",
                    target.len(),
                    shown.escape_ascii()
                )
            }
            Self::Other(bits) => write!(f, "something of type {bits:#o}"),
        }
    }
}

impl Listing {
    /// Reads a folder; its own path is the empty one.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn of_folder(root: &Path) -> Self {
        let mut listing = Self::default();
        listing.read(root, &mut Vec::new());
        listing
    }

    fn read(&mut self, file: &Path, path: &mut Vec<u8>) {
        let metadata =
            fs::symlink_metadata(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let kind = metadata.file_type();
        let kind = if kind.is_dir() {
            let length = path.len();
            let entries = fs::read_dir(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
            for entry in entries {
                let name = entry.expect("a folder can be read").file_name();
                if length > 0 {
                    path.push(b'/');
                }
                path.extend_from_slice(name.as_bytes());
                self.read(&file.join(&name), path);
                path.truncate(length);
            }
            Kind::Directory
        } else if kind.is_symlink() {
            let target = fs::read_link(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
            Kind::Symlink(target.into_os_string().into_vec())
        } else if kind.is_file() {
            Kind::File(fs::read(file).unwrap_or_else(|error| panic!("{file:?}: {error}")))
        } else {
            Kind::Other(metadata.mode() & 0o170_000)
        };
        let entry = Entry {
            kind,
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            mtime: metadata.mtime(),
        };
        self.entries.insert(path.clone(), entry);
    }

    /// The entries with a change made to each.
    #[must_use]
    pub fn map(mut self, mut change: impl FnMut(&[u8], &mut Entry)) -> Self {
        for (path, entry) in &mut self.entries {
            change(path, entry);
        }
        self
    }

    /// The entries for whose path `keep` returns true.
    #[must_use]
    pub fn filter(mut self, mut keep: impl FnMut(&[u8]) -> bool) -> Self {
        self.entries.retain(|path, _| keep(path));
        self
    }

    /// Fails if another listing differs, and prints the differences.
    ///
    /// # Panics
    /// When they differ.
    pub fn assert_is(&self, expected: &Self, what: &str) {
        let mut differences = Vec::new();
        for (path, entry) in &expected.entries {
            let path_text = text(path);
            match self.entries.get(path) {
                None => differences.push(format!("{path_text} is missing: {entry:?}")),
                Some(found) if found != entry => {
                    let at = first_difference(&found.kind, &entry.kind);
                    differences.push(format!("{path_text} is {found:?}, should be {entry:?}{at}"));
                }
                Some(_) => {}
            }
        }
        for (path, entry) in &self.entries {
            if !expected.entries.contains_key(path) {
                differences.push(format!("{} is one too many: {entry:?}", text(path)));
            }
        }
        let count = differences.len();
        differences.truncate(SHOWN);
        assert!(
            count == 0,
            "{what}: {count} entries differ:\n{}",
            differences.join("\n")
        );
    }
}

fn first_difference(found: &Kind, expected: &Kind) -> String {
    let (Kind::File(found), Kind::File(expected)) = (found, expected) else {
        return String::new();
    };
    let at = found.iter().zip(expected).position(|(a, b)| a != b);
    at.map_or(String::new(), |at| {
        format!("; the contents differ from byte {at} on")
    })
}

fn text(path: &[u8]) -> String {
    match path.len() {
        0 => "the root".into(),
        1..200 => path.escape_ascii().to_string(),
        length => format!("{}… ({length} bytes)", path[..120].escape_ascii()),
    }
}
