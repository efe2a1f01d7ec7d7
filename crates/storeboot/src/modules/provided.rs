//! What soft dependencies name beside modules: algorithms such as `crypto-crc32c`, which modules have as aliases.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::tree::{self, Tree};
use super::{modinfo, name};

/// Where the modules with algorithms are, below the folder of the release.
const FOLDERS: [&str; 3] = ["kernel/crypto", "kernel/lib", "kernel/arch"];

/// The aliases of the modules with algorithms, read when they are first needed.
pub(super) struct Provided<'a> {
    tree: &'a Tree,
    modules: OnceCell<BTreeMap<String, BTreeSet<String>>>,
}

impl<'a> Provided<'a> {
    pub(super) const fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            modules: OnceCell::new(),
        }
    }

    /// The modules that provide what a word of a soft dependency names; none where the kernel does itself. `None`: there
    /// is nothing that provides it.
    pub(super) fn by(&self, word: &str) -> Option<Vec<String>> {
        let alias = name::underscores(word);
        if self.tree.is_builtin_alias(&alias) {
            return Some(Vec::new());
        }
        let modules = self.modules.get_or_init(|| self.read()).get(&alias)?;
        // The generic one works on every processor. The faster ones would be refused by some.
        let generic = modules.iter().find(|name| name.ends_with("_generic"));
        Some(match generic {
            Some(name) => vec![name.clone()],
            None => modules.iter().cloned().collect(),
        })
    }

    fn read(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (module, path) in self.tree.below(&FOLDERS) {
            // A damaged module is named when it is one of those that are taken.
            let info = tree::load(path)
                .ok()
                .and_then(|data| modinfo::read(&data).ok());
            for alias in info.into_iter().flat_map(|info| info.aliases) {
                let modules = found.entry(name::underscores(&alias)).or_default();
                modules.insert(module.into());
            }
        }
        found
    }
}
