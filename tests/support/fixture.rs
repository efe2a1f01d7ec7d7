//! Synthetic store trees with difficult content, `DIR/nix/store/…`, and their closures.
//!
//! A [`Recipe`] describes a tree. It is the same in every run, and so are the hashes. Different [`Manner`]s write it to
//! disk in different ways, which must not change the packed output.

mod contents;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use storeboot_closure::nar;

use crate::listing::{Entry, Kind, Listing};

/// The program that stage 1 would start.
pub const INIT: &str = "/nix/store/77777777777777777777777777777777-system/init";
/// The base name of the store path that holds [`INIT`].
pub const SYSTEM: &str = "77777777777777777777777777777777-system";
/// The name of the store path that is one file.
pub const FILE: &str = "00000000000000000000000000000000-source.patch";
/// The name of the store path with files of many sizes.
pub const CONTENTS: &str = "33333333333333333333333333333333-contents";
/// The name of the store path that has a directory with 20 000 entries.
pub const MANY: &str = "55555555555555555555555555555555-many";
/// The name of the store path with names and targets that are not UTF-8 or not printable.
pub const ODD: &str = "99999999999999999999999999999999-odd";

/// Holes are made of whole pages.
const PAGE: usize = 4096;

/// How a tree is written to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// The last entry first, so that directories list theirs in another order.
    pub backwards: bool,
    /// With permissions as a build leaves them, instead of those that Nix sets in its store.
    pub writable: bool,
}

/// What is in a tree: paths from the store directory on.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    nodes: BTreeMap<Vec<u8>, Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Directory,
    File {
        content: Vec<u8>,
        executable: bool,
    },
    Symlink(Vec<u8>),
    /// One more name of the file that has this path.
    HardLink(Vec<u8>),
}

/// A tree on disk.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The folder that holds `nix/store`, for `--store-root`.
    pub root: PathBuf,
    /// What `nix path-info --json --recursive` would say of it.
    pub path_info: PathBuf,
    /// The same as a value.
    pub closure: Value,
    /// What is in it.
    pub recipe: Recipe,
}

impl Recipe {
    /// A tree with all difficult content.
    #[must_use]
    pub fn new() -> Self {
        contents::recipe()
    }

    /// The same without some of its store paths.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.nodes.retain(|path, _| {
            let name = path.split(|byte| *byte == b'/').next();
            !names.iter().any(|without| name == Some(without.as_bytes()))
        });
        self
    }

    fn add(&mut self, path: impl AsRef<[u8]>, node: Node) {
        let path = path.as_ref().to_vec();
        // Directories on the way are made as needed.
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            self.nodes
                .entry(path[..at].to_vec())
                .or_insert(Node::Directory);
        }
        let twice = self.nodes.insert(path.clone(), node);
        assert!(twice.is_none(), "{} is there twice", path.escape_ascii());
    }

    /// Adds a file.
    pub fn file(&mut self, path: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) {
        let content = content.into();
        let executable = false;
        self.add(
            path,
            Node::File {
                content,
                executable,
            },
        );
    }

    /// Adds a program.
    pub fn program(&mut self, path: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) {
        let content = content.into();
        let executable = true;
        self.add(
            path,
            Node::File {
                content,
                executable,
            },
        );
    }

    /// Adds a directory; those that have something in them are there by themselves.
    pub fn directory(&mut self, path: impl AsRef<[u8]>) {
        self.add(path, Node::Directory);
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: impl AsRef<[u8]>, target: impl Into<Vec<u8>>) {
        self.add(path, Node::Symlink(target.into()));
    }

    /// Adds one more name of a file.
    pub fn hard_link(&mut self, path: impl AsRef<[u8]>, of: impl Into<Vec<u8>>) {
        self.add(path, Node::HardLink(of.into()));
    }

    /// Base names of the store paths.
    fn store_paths(&self) -> Vec<&str> {
        let paths = self.nodes.keys().filter(|path| !path.contains(&b'/'));
        paths
            .map(|path| std::str::from_utf8(path).expect("names of store paths are text"))
            .collect()
    }

    /// What a store image of it holds: as Nix keeps its store, owned by root, from the first second after 1970, with
    /// the registration of `closure`, and under a root that is as usual.
    #[must_use]
    pub fn listing(&self, registration: &[u8]) -> Listing {
        let entry = |kind, mode| Entry {
            kind,
            mode,
            owner: (0, 0),
            mtime: 1,
        };
        let mut entries = BTreeMap::new();
        for (path, mut node) in &self.nodes {
            if let Node::HardLink(of) = node {
                node = &self.nodes[of];
            }
            let entry = match node {
                Node::Directory => entry(Kind::Directory, 0o555),
                Node::Symlink(target) => entry(Kind::Symlink(target.clone()), 0o777),
                Node::File {
                    content,
                    executable,
                } => entry(
                    Kind::File(content.clone()),
                    if *executable { 0o555 } else { 0o444 },
                ),
                Node::HardLink(of) => panic!("{} is a hard link itself", of.escape_ascii()),
            };
            entries.insert(path.clone(), entry);
        }
        entries.insert(Vec::new(), entry(Kind::Directory, 0o755));
        let registration = entry(Kind::File(registration.to_vec()), 0o444);
        entries.insert(b"nix-path-registration".to_vec(), registration);
        Listing { entries }
    }

    /// Writes the tree and its closure into a folder, which is made if it is not there.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn write(self, folder: &Path, manner: Manner) -> Fixture {
        let root = folder.join("root");
        let store = root.join("nix/store");
        fs::create_dir_all(&store).expect("the folder can be made");
        // Other users read what is in it, whatever the umask.
        for folder in [&root, &root.join("nix"), &store] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("its mode");
        }
        let place = |path: &[u8]| store.join(OsStr::from_bytes(path));

        let mut nodes: Vec<_> = self.nodes.iter().collect();
        for (path, node) in &nodes {
            if matches!(node, Node::Directory) {
                fs::create_dir(place(path)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            }
        }
        if manner.backwards {
            nodes.reverse();
        }
        for (path, node) in &nodes {
            let to = place(path);
            let made = match node {
                Node::File { content, .. } => write_file(&to, content),
                Node::Symlink(target) => symlink(OsStr::from_bytes(target), &to),
                Node::Directory | Node::HardLink(_) => Ok(()),
            };
            made.unwrap_or_else(|error| panic!("{}: {error}", path.escape_ascii()));
        }
        for (path, node) in &nodes {
            if let Node::HardLink(of) = node {
                fs::hard_link(place(of), place(path)).expect("a hard link");
            }
        }
        // Members before their directories, which cannot be changed afterwards.
        for (path, node) in self.nodes.iter().rev() {
            let mode = match (node, manner.writable) {
                (
                    Node::Directory
                    | Node::File {
                        executable: true, ..
                    },
                    false,
                ) => 0o555,
                (
                    Node::File {
                        executable: false, ..
                    },
                    false,
                ) => 0o444,
                (Node::Directory, true) => 0o775,
                (
                    Node::File {
                        executable: true, ..
                    },
                    true,
                ) => 0o744,
                (
                    Node::File {
                        executable: false, ..
                    },
                    true,
                ) => 0o604,
                (Node::Symlink(_) | Node::HardLink(_), _) => continue,
            };
            fs::set_permissions(place(path), Permissions::from_mode(mode)).expect("a mode");
        }

        let closure = self.closure(&store);
        let path_info = folder.join("path-info.json");
        write_closure(&path_info, &closure);
        Fixture {
            root,
            path_info,
            closure,
            recipe: self,
        }
    }

    /// The closure in the list form. The system refers to everything and to itself, and `link` to what it points to.
    fn closure(&self, store: &Path) -> Value {
        let names = self.store_paths();
        let full = |name: &str| format!("/nix/store/{name}");
        let infos = names.iter().map(|name| {
            let (hash, size) = nar::hash(&store.join(name)).expect("a NAR's hash");
            let references: Vec<String> = match *name {
                SYSTEM => names.iter().map(|name| full(name)).collect(),
                contents::LINK => vec![full(FILE)],
                _ => Vec::new(),
            };
            json!({
                "path": full(name), "narHash": hash.to_string(), "narSize": size, "references": references,
                "registrationTime": 1_700_000_000, "valid": true,
            })
        });
        infos.collect()
    }
}

impl Fixture {
    /// Describes the tree as it is on disk now, after a change of its files.
    ///
    /// # Panics
    /// When a store path cannot be hashed, or the description not be written.
    pub fn describe_again(&self) {
        let mut closure = self.closure.clone();
        for info in closure.as_array_mut().expect("the list form") {
            let path = info["path"].as_str().expect("a path");
            let place = self.root.join(path.trim_start_matches('/'));
            let (hash, size) = nar::hash(&place).expect("a NAR's hash");
            info["narHash"] = hash.to_string().into();
            info["narSize"] = size.into();
        }
        write_closure(&self.path_info, &closure);
    }

    /// The same tree on disk, and of its closure only a part.
    ///
    /// # Panics
    /// When the part's description cannot be written beside that of the whole.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let gone: Vec<String> = names
            .iter()
            .map(|name| format!("/nix/store/{name}"))
            .collect();
        let mut closure = self.closure.clone();
        let infos = closure.as_array_mut().expect("the list form");
        infos.retain(|info| !gone.iter().any(|path| info["path"] == *path));
        for info in infos {
            let references = info["references"].as_array_mut().expect("a list");
            references.retain(|path| !gone.iter().any(|gone| path == gone));
        }
        let path_info = self
            .path_info
            .with_file_name(format!("path-info-without-{}.json", names.len()));
        write_closure(&path_info, &closure);
        Self {
            root: self.root.clone(),
            path_info,
            closure,
            recipe: self.recipe.clone().without(names),
        }
    }
}

/// Writes a closure's description, which other users can read, whatever the umask.
fn write_closure(path: &Path, closure: &Value) {
    fs::write(path, closure.to_string()).expect("a path-info.json");
    fs::set_permissions(path, Permissions::from_mode(0o644)).expect("its mode");
}

/// Writes a file with holes where it has zeros.
fn write_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    for (number, page) in content.chunks(PAGE).enumerate() {
        if page.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start((number * PAGE) as u64))?;
            file.write_all(page)?;
        }
    }
    file.set_len(content.len() as u64)
}

/// Makes a tree removable for a user who is not root.
pub fn make_removable(folder: &Path) {
    let Ok(metadata) = folder.symlink_metadata() else {
        return;
    };
    if !metadata.is_dir() {
        return;
    }
    // Errors here show when the folder is removed.
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o755));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_removable(&entry.path());
        }
    }
}
