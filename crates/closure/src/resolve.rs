use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix_derivation::{StoreDir, StorePath};

use crate::parse::parse_path;
use crate::{Error, StoreRoot};

/// The number of symbolic links that Linux follows.
const MAX_LINKS: usize = 40;

/// The store path that a user means by `path`: a path in the store, or in the store under `root`, a file inside of one,
/// or a symbolic link to any of these, such as nix-build's `./result`.
///
/// The path need not exist: with a store under another root, its files are elsewhere.
///
/// ```
/// use std::path::Path;
/// use storeboot_closure::{StoreDir, StoreRoot, resolve_root};
///
/// let inside = Path::new("/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello/bin/hello");
/// let path = resolve_root(inside, &StoreDir::default(), &StoreRoot::system())?;
/// assert_eq!(path.name(), "hello");
/// # Ok::<(), storeboot_closure::Error>(())
/// ```
pub fn resolve_root(
    path: &Path,
    store_dir: &StoreDir,
    root: &StoreRoot,
) -> Result<StorePath, Error> {
    let failed = |path: &Path, source| Error::File {
        path: path.to_owned(),
        source,
    };
    let physical = root.store(store_dir);
    let mut stores = vec![PathBuf::from(store_dir.as_str())];
    stores.extend(std::path::absolute(&physical));
    stores.extend(fs::canonicalize(&physical));

    let mut current = std::path::absolute(path).map_err(|error| failed(path, error))?;
    for _ in 0..MAX_LINKS {
        current = without_dots(&current);
        if let Some(base_name) = stores.iter().find_map(|store| first_below(&current, store)) {
            let full = [store_dir.as_str().trim_end_matches('/'), "/"].concat();
            let full = [full.as_bytes(), base_name].concat();
            return parse_path(&full, store_dir);
        }
        let kind = current
            .symlink_metadata()
            .map_err(|error| failed(&current, error))?;
        let next = if kind.is_symlink() {
            let target = fs::read_link(&current).map_err(|error| failed(&current, error))?;
            // `..` in the target is relative to the real place of the link.
            let parent = current.parent().unwrap_or(Path::new("/"));
            let parent = fs::canonicalize(parent).map_err(|error| failed(&current, error))?;
            parent.join(target)
        } else {
            // A directory on the way may be a link into the store.
            fs::canonicalize(&current).map_err(|error| failed(&current, error))?
        };
        if next == current {
            break;
        }
        current = next;
    }
    Err(Error::NotInStore {
        path: path.to_owned(),
        store: physical,
    })
}

/// The name directly below `store` on the way to `path`.
fn first_below<'a>(path: &'a Path, store: &Path) -> Option<&'a [u8]> {
    let first = path.strip_prefix(store).ok()?.components().next()?;
    Some(first.as_os_str().as_bytes())
}

/// Removes `.` and `..` by name alone, as Nix does.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            component => clean.push(component),
        }
    }
    clean
}
