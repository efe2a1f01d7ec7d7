//! Dependencies first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::modinfo::{self, ModInfo};
use super::provided::Provided;
use super::tree::{self, Tree};
use super::{Module, Modules, ModulesError, name};

/// Most modules that one initrd loads; the index has room for as many.
const MODULES_MAX: usize = 4096;

/// Adds modules behind their dependencies, each once.
pub(super) struct Resolver<'a> {
    tree: &'a Tree,
    release: &'a str,
    provided: Provided<'a>,
    /// What `load` holds, and where.
    done: BTreeMap<String, usize>,
    builtin: BTreeSet<String>,
    unmet_soft: BTreeSet<String>,
    /// What was given up, and is neither loaded nor open since.
    given_up: BTreeMap<String, GivenUp>,
    load: Vec<Loaded>,
}

/// A module whose dependencies are before it.
pub(super) struct Loaded {
    pub module: Module,
    pub info: ModInfo,
    /// The modules that it needs or would like, by their names. Some may be built in, or may not be met.
    pub needs: Vec<String>,
}

/// A module whose dependencies are being added.
struct Open {
    loaded: Loaded,
    /// Whether it was entered by a soft dependency.
    soft: bool,
    /// What is still to be added before it, the next one last; `true` marks soft ones.
    before: Vec<(String, bool)>,
}

/// A module that cannot be loaded for now.
struct GivenUp {
    /// The module that it needs. This one was open, so it waits for what was given up.
    by: String,
    info: ModInfo,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(tree: &'a Tree, release: &'a str) -> Self {
        Self {
            tree,
            release,
            provided: Provided::new(tree),
            done: BTreeMap::new(),
            builtin: BTreeSet::new(),
            unmet_soft: BTreeSet::new(),
            given_up: BTreeMap::new(),
            load: Vec::new(),
        }
    }

    /// Adds a module behind its dependencies. Its name need not be the normal one.
    pub(super) fn add(&mut self, wanted: &str) -> Result<(), ModulesError> {
        let name = name::normal(wanted).ok_or_else(|| ModulesError::Name {
            name: wanted.into(),
        })?;
        self.add_normal(name)
    }

    /// Adds the modules that provide an algorithm such as `crypto-sha256`. Where none does, it is an unmet wish: the
    /// kernel may have it without a name.
    pub(super) fn add_provider(&mut self, alias: &str) -> Result<(), ModulesError> {
        for (name, _) in self.wishes(&[alias.into()]) {
            self.add_normal(name)?;
        }
        Ok(())
    }

    /// Adds a module, by its normal name, where there is a file of it.
    pub(super) fn add_if_there(&mut self, name: &str) -> Result<(), ModulesError> {
        match self.tree.file(name) {
            Some(_) => self.add_normal(name.into()),
            None => Ok(()),
        }
    }

    /// The module of this normal name, if it was added and is not built in.
    pub(super) fn loaded(&self, name: &str) -> Option<&Loaded> {
        self.load.get(*self.done.get(name)?)
    }

    /// A module and all that it needs, as positions in the order of loading.
    pub(super) fn closure(&self, name: &str) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            if let Some(at) = self.done.get(name)
                && found.insert(*at)
            {
                open.extend(self.load[*at].needs.iter().map(String::as_str));
            }
        }
        found
    }

    /// The modules so far, in the order of loading.
    pub(super) fn load(&self) -> &[Loaded] {
        &self.load
    }

    pub(super) fn finish(self) -> Modules {
        Modules {
            load: self.load.into_iter().map(|loaded| loaded.module).collect(),
            builtin: self.builtin.into_iter().collect(),
            unmet_soft: self.unmet_soft.into_iter().collect(),
        }
    }

    /// No recursion: the depth is the input's.
    fn add_normal(&mut self, wanted: String) -> Result<(), ModulesError> {
        let mut stack: Vec<Open> = Vec::new();
        // Where in `stack` a module is.
        let mut open: BTreeMap<String, usize> = BTreeMap::new();
        let mut next = Some((wanted, false));
        loop {
            if let Some((name, soft)) = next.take() {
                if let Some(at) = open.get(&name).copied() {
                    if !soft {
                        self.break_circle(&mut stack, &mut open, at, name)?;
                    }
                } else if let Some(at) = self.awaited(&name, &open)
                    && (soft || last_soft(&stack, at).is_some())
                {
                    // Looked at again, it would be given up again.
                    if soft {
                        self.unmet_soft.insert(name);
                    } else {
                        self.break_circle(&mut stack, &mut open, at, name)?;
                    }
                } else if let Some(opened) = self.open(&name, soft, &stack)? {
                    open.insert(name, stack.len());
                    stack.push(opened);
                }
            }
            let Some(top) = stack.last_mut() else {
                return Ok(());
            };
            next = top.before.pop();
            if next.is_none()
                && let Some(mut finished) = stack.pop()
            {
                if finished.loaded.module.data.is_empty() {
                    finished.loaded.module.data = tree::load(&finished.loaded.module.path)?;
                }
                let name = &finished.loaded.module.name;
                open.remove(name);
                self.done.insert(name.clone(), self.load.len());
                self.load.push(finished.loaded);
                if self.load.len() > MODULES_MAX {
                    return Err(ModulesError::TooMany { limit: MODULES_MAX });
                }
            }
        }
    }

    /// Reads a module that is not there yet. `None`: nothing is to be loaded for this name.
    fn open(
        &mut self,
        name: &str,
        soft: bool,
        stack: &[Open],
    ) -> Result<Option<Open>, ModulesError> {
        if self.done.contains_key(name) {
            return Ok(None);
        }
        let Some(path) = self.tree.file(name) else {
            if self.tree.is_builtin(name) {
                self.builtin.insert(name.into());
            } else if soft {
                self.unmet_soft.insert(name.into());
            } else {
                return Err(self.not_found(name, stack));
            }
            return Ok(None);
        };
        // No file is unpacked each time that it is given up. Its bytes are read again if it is loaded after all.
        let (data, info) = match self.given_up.remove(name) {
            Some(given_up) => (Vec::new(), given_up.info),
            None => self.read(name, path)?,
        };
        let mut before = self.wishes(&info.soft);
        before.extend(info.depends.iter().map(|name| (name.clone(), false)));
        let needs = before.iter().map(|(name, _)| name.clone()).collect();
        before.reverse();
        let module = Module {
            name: name.into(),
            path: path.into(),
            data,
        };
        Ok(Some(Open {
            loaded: Loaded {
                module,
                info,
                needs,
            },
            soft,
            before,
        }))
    }

    fn read(&self, name: &str, path: &Path) -> Result<(Vec<u8>, ModInfo), ModulesError> {
        let data = tree::load(path)?;
        let info = modinfo::read(&data).map_err(|reason| ModulesError::Damaged {
            path: path.into(),
            reason,
        })?;
        if info.built_for != self.release {
            return Err(ModulesError::OtherKernel {
                path: path.into(),
                built_for: info.built_for,
                release: self.release.into(),
            });
        }
        if let Some(own) = info.name.as_ref().filter(|own| *own != name) {
            return Err(ModulesError::Damaged {
                path: path.into(),
                reason: format!("by its .modinfo section it is the module {own}"),
            });
        }
        Ok((data, info))
    }

    /// Where in the stack a module is that one needs which was given up, so that it cannot be loaded yet.
    fn awaited(&self, name: &str, open: &BTreeMap<String, usize>) -> Option<usize> {
        let mut name = name;
        loop {
            // An entry was made while `by` was open, and goes when its module is opened. So these make no circle.
            let by = &self.given_up.get(name)?.by;
            if let Some(at) = open.get(by) {
                return Some(*at);
            }
            name = by;
        }
    }

    /// The modules that the words of a soft dependency stand for: a module's name, or one of its aliases.
    fn wishes(&mut self, words: &[String]) -> Vec<(String, bool)> {
        let mut wishes = Vec::new();
        for word in words {
            let name = name::normal(word);
            let is_there =
                |name: &String| self.tree.file(name).is_some() || self.tree.is_builtin(name);
            match name.clone().filter(is_there) {
                Some(name) => wishes.push((name, true)),
                None => match self.provided.by(word) {
                    Some(names) => wishes.extend(names.into_iter().map(|name| (name, true))),
                    None => {
                        self.unmet_soft.insert(name.unwrap_or_else(|| word.clone()));
                    }
                },
            }
        }
        wishes
    }

    /// A module in the stack, at `at`, is needed again, by `again` or as it. Where a soft dependency led from there to
    /// here, that one is given up, with all that it needs and that needs the module.
    fn break_circle(
        &mut self,
        stack: &mut Vec<Open>,
        open: &mut BTreeMap<String, usize>,
        at: usize,
        again: String,
    ) -> Result<(), ModulesError> {
        let Some(wish) = last_soft(stack, at) else {
            let names = stack[at..]
                .iter()
                .map(|open| open.loaded.module.name.clone());
            return Err(ModulesError::Circle {
                circle: names.chain([again]).collect(),
            });
        };
        self.unmet_soft
            .insert(stack[wish].loaded.module.name.clone());
        let by = stack[at].loaded.module.name.clone();
        for Open { loaded, .. } in stack.drain(wish..) {
            open.remove(&loaded.module.name);
            let (by, info) = (by.clone(), loaded.info);
            let given_up = GivenUp { by, info };
            self.given_up.insert(loaded.module.name, given_up);
        }
        Ok(())
    }

    fn not_found(&self, name: &str, stack: &[Open]) -> ModulesError {
        let (name, folder, release) = (name.into(), self.tree.folder.clone(), self.release.into());
        match stack.last() {
            None => ModulesError::NotFound {
                name,
                folder,
                release,
            },
            Some(needed_by) => ModulesError::DependencyNotFound {
                name,
                needed_by: needed_by.loaded.module.name.clone(),
                folder,
                release,
            },
        }
    }
}

/// Where the last module above `at` is that was entered by a soft dependency. Each one behind it is needed by the one
/// before.
fn last_soft(stack: &[Open], at: usize) -> Option<usize> {
    (at + 1..stack.len()).rev().find(|i| stack[*i].soft)
}
