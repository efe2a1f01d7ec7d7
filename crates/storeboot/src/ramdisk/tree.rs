//! The folders and links of an initrd.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use storeboot_cpio::{Metadata, WriteError, Writer};

use crate::Error;

/// Folders that are there if no link takes their place: where file systems are mounted, where programs write, and the
/// home of users that have none. nixpkgs' initrds have the same.
const USUAL: [&str; 7] = ["dev", "proc", "run", "sys", "tmp", "var", "var/empty"];
/// Where programs write their state at run time by its old name, if nothing else is there.
const RUN: (&str, &str) = ("var/run", "../run");

/// Where links lead, by their names in the initrd, and the folders that they are in.
#[derive(Debug, Default)]
pub(super) struct Tree {
    folders: BTreeSet<String>,
    links: BTreeMap<String, String>,
}

impl Tree {
    /// Adds a link and the folders that it is in.
    pub(super) fn link(&mut self, name: &str, source: &str) -> Result<(), Error> {
        let refuse = |reason: String| Error::Content {
            path: name.into(),
            reason,
        };
        let parts: Vec<&str> = name
            .split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .collect();
        if parts.is_empty() || parts.contains(&"..") {
            return Err(refuse("it is not the name of a file in an initrd".into()));
        }
        if parts.starts_with(&["nix", "store"]) || parts == ["nix"] {
            return Err(refuse("the store's files are in its place".into()));
        }
        let path = parts.join("/");
        for end in 1..parts.len() {
            let folder = parts[..end].join("/");
            if let Some(other) = self.links.get(&folder) {
                return Err(refuse(format!(
                    "/{folder} is a link to {other}, not a folder"
                )));
            }
            self.folders.insert(folder);
        }
        if self.folders.contains(&path) {
            return Err(refuse(
                "other links are to be in a folder of this name".into(),
            ));
        }
        match self.links.insert(path, source.into()) {
            Some(other) if other != source => Err(refuse(format!(
                "it is to be a link to {other} and to {source}"
            ))),
            _ => Ok(()),
        }
    }

    /// Writes all of it, folders before what is in them.
    pub(super) fn write(&self, writer: &mut Writer<impl Write>) -> Result<(), WriteError> {
        let mut folders = self.folders.clone();
        // `var` comes before what is in it.
        for name in USUAL {
            let parent = name.rsplit_once('/').map(|(parent, _)| parent);
            if !self.links.contains_key(name)
                && parent.is_none_or(|parent| folders.contains(parent))
            {
                folders.insert(name.into());
            }
        }
        for folder in &folders {
            writer.directory(folder, &Metadata::directory())?;
        }
        let (name, source) = RUN;
        let is_free = |name: &str| !folders.contains(name) && !self.links.contains_key(name);
        if is_free(name) && folders.contains("var") && folders.contains("run") {
            writer.symlink(name, &Metadata::symlink(), source)?;
        }
        for (name, source) in &self.links {
            writer.symlink(name, &Metadata::symlink(), source)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use storeboot_cpio::Reader;

    use super::*;

    fn names(tree: &Tree) -> Vec<String> {
        let mut writer = Writer::new(Vec::new());
        tree.write(&mut writer).expect("written");
        let archive = writer.finish().expect("whole");
        let mut reader = Reader::new(archive.as_slice());
        let mut names = Vec::new();
        while let Some(entry) = reader.next_entry().expect("readable") {
            names.push(String::from_utf8_lossy(entry.name()).into_owned());
        }
        names
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let mut tree = Tree::default();
        for name in ["/init", "etc//ssh/./keys", "/etc/hosts"] {
            tree.link(name, "/nix/store/x").expect("possible");
        }
        // The same link may be asked for twice.
        tree.link("/init", "/nix/store/x").expect("possible");
        assert_eq!(
            names(&tree),
            [
                "dev",
                "etc",
                "etc/ssh",
                "proc",
                "run",
                "sys",
                "tmp",
                "var",
                "var/empty",
                "var/run",
                "etc/hosts",
                "etc/ssh/keys",
                "init"
            ]
        );
    }

    #[test]
    fn a_link_takes_the_place_of_a_usual_folder() {
        let mut tree = Tree::default();
        tree.link("/var", "/nix/store/x").expect("possible");
        assert_eq!(names(&tree), ["dev", "proc", "run", "sys", "tmp", "var"]);
        let mut tree = Tree::default();
        tree.link("/var/run", "/nix/store/x").expect("possible");
        let all = names(&tree);
        assert_eq!(all.iter().filter(|name| *name == "var/run").count(), 1);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut tree = Tree::default();
        tree.link("/etc/hosts", "/nix/store/x").expect("possible");
        for (name, source) in [
            ("", "/nix/store/x"),
            ("/", "/nix/store/x"),
            ("/../init", "/nix/store/x"),
            ("/nix", "/nix/store/x"),
            ("/nix/store/y", "/nix/store/x"),
            ("/etc", "/nix/store/x"),
            ("/etc/hosts/more", "/nix/store/x"),
            ("/etc/hosts", "/nix/store/y"),
        ] {
            let mut tree = Tree {
                folders: tree.folders.clone(),
                links: tree.links.clone(),
            };
            let error = tree.link(name, source).expect_err(name);
            assert!(matches!(error, Error::Content { .. }), "{error}");
        }
    }
}
