use std::path::{Path, PathBuf};

use nix_derivation::{StoreDir, StorePath};

/// The place of the store's files on this machine: `/` or another directory. Under another directory, as with Nix's
/// `--store DIR`, the files of `/nix/store/…` are at `DIR/nix/store/…`.
///
/// ```
/// use std::path::Path;
/// use storeboot_closure::{StoreDir, StorePath, StoreRoot};
///
/// let path: StorePath = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello".parse()?;
/// assert_eq!(
///     StoreRoot::under("/mnt").locate(&StoreDir::default(), &path),
///     Path::new("/mnt/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello"),
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreRoot {
    /// The other directory, if not `/`.
    pub root: Option<PathBuf>,
}

impl StoreRoot {
    /// The files are at their store paths.
    #[must_use]
    pub const fn system() -> Self {
        Self { root: None }
    }

    /// The files are under `root`.
    #[must_use]
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self {
            root: Some(root.into()),
        }
    }

    /// The place of the store directory.
    #[must_use]
    pub fn store(&self, store_dir: &StoreDir) -> PathBuf {
        match &self.root {
            None => PathBuf::from(store_dir.as_str()),
            // Joining an absolute path would drop the root.
            Some(root) => root.join(store_dir.as_str().trim_start_matches('/')),
        }
    }

    /// The place of a store path's file or directory.
    #[must_use]
    pub fn locate(&self, store_dir: &StoreDir, path: &StorePath) -> PathBuf {
        self.store(store_dir).join(Path::new(&path.to_basename()))
    }
}
