use std::fs::File;
use std::path::{Path, PathBuf};

use nix_derivation::StoreDir;

use crate::{Closure, Error, StoreRoot, from_roots, read_closure_info, read_graph, read_path_info};

/// Where to read a closure from.
///
/// ```no_run
/// use storeboot_closure::{Input, StoreDir, StoreRoot};
///
/// let input = Input::Graph("graph.json".into());
/// let closure = input.read(&StoreDir::default(), &StoreRoot::system())?;
/// # Ok::<(), storeboot_closure::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// Store paths, or links to store paths. Nix is asked for their closure.
    Roots(Vec<PathBuf>),
    /// A file with what `nix path-info --json --recursive` printed.
    PathInfo(PathBuf),
    /// The folder that nixpkgs' `closureInfo` makes.
    ClosureInfo(PathBuf),
    /// A file that Nix made for `exportReferencesGraph`, as JSON or as text.
    Graph(PathBuf),
}

impl Input {
    /// Reads the closure. Errors name the file. Only [`Input::Roots`] uses `root`.
    pub fn read(&self, store_dir: &StoreDir, root: &StoreRoot) -> Result<Closure, Error> {
        match self {
            Self::Roots(roots) => from_roots(roots, store_dir, root),
            Self::PathInfo(path) => {
                read_path_info(open(path)?, store_dir).map_err(|error| error.in_file(path))
            }
            Self::ClosureInfo(dir) => read_closure_info(dir, store_dir),
            Self::Graph(path) => {
                read_graph(open(path)?, store_dir).map_err(|error| error.in_file(path))
            }
        }
    }
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}
