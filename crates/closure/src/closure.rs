use std::path::PathBuf;

use nix_derivation::{StoreDir, StorePath};

use crate::limits::MAX_PATHS;
use crate::{Error, PathInfo, StoreRoot, order};

/// A set of store paths closed under references, in the order of their base names.
///
/// ```
/// use storeboot_closure::{Closure, Error, PathInfo, StoreDir, StorePath};
///
/// let path = |name: &str| StorePath::from_parts([0; 20], name);
/// let lib = PathInfo::new(path("lib")?, []);
/// let app = PathInfo::new(path("app")?, [path("lib")?, path("app")?]);
///
/// let open = Closure::new(StoreDir::default(), [app.clone()]);
/// assert!(matches!(open, Err(Error::NotClosed { .. })));
///
/// let closure = Closure::new(StoreDir::default(), [lib, app])?;
/// let names = |infos: Vec<&PathInfo>| infos.iter().map(|i| i.path.name()).collect::<Vec<_>>().join(" ");
/// assert_eq!(names(closure.paths().collect()), "app lib");
/// assert_eq!(names(closure.topological()), "lib app");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    store_dir: StoreDir,
    /// Sorted by path, each path once.
    infos: Vec<PathInfo>,
}

impl Closure {
    /// Checks that the paths are closed under references. A path may be given twice: the data of both is merged, and
    /// different data is an error.
    ///
    /// A cycle of references is an error too, except a path's reference to itself.
    pub fn new(
        store_dir: StoreDir,
        infos: impl IntoIterator<Item = PathInfo>,
    ) -> Result<Self, Error> {
        let mut all: Vec<PathInfo> = infos.into_iter().take(MAX_PATHS + 1).collect();
        if all.len() > MAX_PATHS {
            return Err(Error::TooManyPaths { limit: MAX_PATHS });
        }
        all.iter_mut().for_each(PathInfo::order_references);
        all.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        merge(&mut all, &store_dir)?;
        let closure = Self {
            store_dir,
            infos: all,
        };
        if closure.infos.is_empty() {
            return Err(Error::Empty);
        }
        for info in &closure.infos {
            for reference in &info.references {
                if !closure.contains(reference) {
                    return Err(Error::NotClosed {
                        path: closure.render(&info.path),
                        reference: closure.render(reference),
                    });
                }
            }
        }
        order::check(&closure.infos).map_err(|cycle| Error::Cycle {
            cycle: cycle.iter().map(|path| closure.render(path)).collect(),
        })?;
        Ok(closure)
    }

    /// The store directory of the paths: `/nix/store` on most machines.
    #[must_use]
    pub fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    /// The paths in the order of their base names, as Nix sorts them.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &PathInfo> {
        self.infos.iter()
    }

    /// For changes that need no new check: hashes, sizes, derivers.
    pub(crate) fn infos_mut(&mut self) -> impl Iterator<Item = &mut PathInfo> {
        self.infos.iter_mut()
    }

    /// The data of a path.
    #[must_use]
    pub fn get(&self, path: &StorePath) -> Option<&PathInfo> {
        order::find(&self.infos, path).map(|at| &self.infos[at])
    }

    /// Whether the closure has a path.
    #[must_use]
    pub fn contains(&self, path: &StorePath) -> bool {
        self.get(path).is_some()
    }

    /// The number of paths: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a closure is never empty")]
    pub fn len(&self) -> usize {
        self.infos.len()
    }

    /// The sum of all NAR sizes, if all are known.
    #[must_use]
    pub fn nar_size(&self) -> Option<u64> {
        self.paths()
            .try_fold(0_u64, |sum, info| Some(sum.saturating_add(info.nar_size?)))
    }

    /// The paths with each path behind its references, and otherwise in the order of their base names.
    #[must_use]
    pub fn topological(&self) -> Vec<&PathInfo> {
        order::topological(&self.infos)
    }

    /// The full path: `/nix/store/…`.
    #[must_use]
    pub fn render(&self, path: &StorePath) -> String {
        self.store_dir.render_path(path)
    }

    /// Checks that every path exists under `root`, as a file, a directory, or a symbolic link, dangling or not. The
    /// error has all paths that are missing.
    pub fn check_present(&self, root: &StoreRoot) -> Result<(), Error> {
        let mut missing: Vec<PathBuf> = Vec::new();
        for info in self.paths() {
            let path = root.locate(&self.store_dir, &info.path);
            match path.symlink_metadata() {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing.push(path),
                Err(source) => return Err(Error::File { path, source }),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let total = self.len();
        Err(Error::Missing { missing, total })
    }
}

/// Merges the descriptions of each path.
fn merge(sorted: &mut Vec<PathInfo>, store_dir: &StoreDir) -> Result<(), Error> {
    let mut conflict = None;
    sorted.dedup_by(|later, kept| {
        if later.path != kept.path {
            return false;
        }
        if let Err(what) = kept.merge(later) {
            conflict.get_or_insert_with(|| Error::Conflict {
                path: store_dir.render_path(&kept.path),
                what,
            });
        }
        true
    });
    conflict.map_or(Ok(()), Err)
}
