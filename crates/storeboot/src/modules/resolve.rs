//! Dependencies first.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{self, Tree};
use super::{Module, Modules, ModulesError, modinfo, name};

/// Most modules that one initrd loads; the index has room for as many.
const MODULES_MAX: usize = 4096;

pub(super) fn resolve<'a>(
    tree: &Tree,
    release: &str,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<Modules, ModulesError> {
    let mut resolver = Resolver {
        tree,
        release,
        done: BTreeSet::new(),
        builtin: BTreeSet::new(),
        unmet_soft: BTreeSet::new(),
        load: Vec::new(),
    };
    for name in wanted {
        let name = name::normal(name).ok_or_else(|| ModulesError::Name { name: name.into() })?;
        resolver.add(name)?;
    }
    Ok(Modules {
        load: resolver.load,
        builtin: resolver.builtin.into_iter().collect(),
        unmet_soft: resolver.unmet_soft.into_iter().collect(),
    })
}

struct Resolver<'a> {
    tree: &'a Tree,
    release: &'a str,
    /// What `load` holds.
    done: BTreeSet<String>,
    builtin: BTreeSet<String>,
    unmet_soft: BTreeSet<String>,
    load: Vec<Module>,
}

/// A module whose dependencies are being added.
struct Open {
    module: Module,
    /// Whether it was entered by a soft dependency.
    soft: bool,
    /// What is still to be added before it, the next one last; `true` marks soft ones.
    before: Vec<(String, bool)>,
}

impl Resolver<'_> {
    /// Adds a module behind its dependencies. No recursion: the depth is the input's.
    fn add(&mut self, wanted: String) -> Result<(), ModulesError> {
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
                && let Some(finished) = stack.pop()
            {
                open.remove(&finished.module.name);
                self.done.insert(finished.module.name.clone());
                self.load.push(finished.module);
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
        if self.done.contains(name) {
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
        if let Some(own) = info.name.filter(|own| own != name) {
            return Err(ModulesError::Damaged {
                path: path.into(),
                reason: format!("by its .modinfo section it is the module {own}"),
            });
        }
        let wishes = info.soft.into_iter().filter_map(|word| {
            let normal = name::normal(&word);
            if normal.is_none() {
                self.unmet_soft.insert(word);
            }
            normal.map(|name| (name, true))
        });
        let mut before: Vec<_> = wishes.collect();
        before.extend(info.depends.into_iter().map(|name| (name, false)));
        before.reverse();
        Ok(Some(Open {
            module: Module {
                name: name.into(),
                path: path.into(),
                data,
            },
            soft,
            before,
        }))
    }

    /// A module in the stack, at `at`, is needed again. Where a soft dependency led from there to here, that one is
    /// given up.
    fn break_circle(
        &mut self,
        stack: &mut Vec<Open>,
        open: &mut BTreeMap<String, usize>,
        at: usize,
        again: String,
    ) -> Result<(), ModulesError> {
        let Some(wish) = (at + 1..stack.len()).rev().find(|i| stack[*i].soft) else {
            let names = stack[at..].iter().map(|open| open.module.name.clone());
            return Err(ModulesError::Circle {
                circle: names.chain([again]).collect(),
            });
        };
        self.unmet_soft.insert(stack[wish].module.name.clone());
        for given_up in stack.drain(wish..) {
            open.remove(&given_up.module.name);
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
                needed_by: needed_by.module.name.clone(),
                folder,
                release,
            },
        }
    }
}
