//! Asking Nix. `nix-store` is the one command that every version has without an experimental
//! feature, and `--dump-db` tells all there is to know.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix_derivation::StoreDir;

use crate::text::{parse_path, registration_infos, short};
use crate::{Closure, Error, StoreRoot, resolve_root};

/// How many paths are asked for at once: a command line has room for at least 128 KiB.
const BATCH: usize = 400;

/// Asks Nix for the closure of `roots`, each of them a store path or a link to one (see
/// [`resolve_root`]). With a store under another root, Nix is asked about that store.
///
/// ```no_run
/// use storeboot_closure::{StoreDir, StoreRoot, from_roots};
///
/// let closure = from_roots(&["./result"], &StoreDir::default(), &StoreRoot::system())?;
/// # Ok::<(), storeboot_closure::Error>(())
/// ```
pub fn from_roots(
    roots: &[impl AsRef<Path>],
    store_dir: &StoreDir,
    root: &StoreRoot,
) -> Result<Closure, Error> {
    let roots = roots
        .iter()
        .map(
            |path| Ok(resolve_root(path.as_ref(), store_dir, root)?.to_absolute_path_in(store_dir)),
        )
        .collect::<Result<Vec<_>, Error>>()?;
    if roots.is_empty() {
        return Err(Error::Empty);
    }
    let store = match &root.root {
        Some(dir) => Some(store_uri(dir)?),
        None => None,
    };

    let mut paths = BTreeSet::new();
    for batch in roots.chunks(BATCH) {
        let text = nix_store(store.as_deref(), &["--query", "--requisites"], batch)?;
        for line in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            paths.insert(parse_path(line, store_dir)?);
        }
    }
    let paths: Vec<_> = paths
        .iter()
        .map(|path| store_dir.render_path(path))
        .collect();
    let mut infos = Vec::with_capacity(paths.len());
    for batch in paths.chunks(BATCH) {
        let text = nix_store(store.as_deref(), &["--dump-db"], batch)?;
        infos.extend(registration_infos(&text, store_dir)?);
    }
    Closure::new(store_dir.clone(), infos)
}

fn nix_store(store: Option<&str>, action: &[&str], paths: &[String]) -> Result<Vec<u8>, Error> {
    let mut command = Command::new("nix-store");
    if let Some(store) = store {
        command.args(["--store", store]);
    }
    command.args(action).args(paths).stdin(Stdio::null());
    let output = command.output().map_err(|source| Error::NoNix { source })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    // One sentence out of Nix's lines.
    let said = short(output.stderr.trim_ascii());
    let said: Vec<_> = said.split_whitespace().collect();
    Err(Error::Nix {
        command: format!("nix-store {}", action.join(" ")),
        status: output.status.to_string(),
        said: said.join(" "),
    })
}

/// Nix's name for the store under a directory. Given as it is, a directory with `?` in its name
/// would be taken for one with parameters.
fn store_uri(dir: &Path) -> Result<String, Error> {
    let dir: PathBuf = std::path::absolute(dir).map_err(|source| Error::File {
        path: dir.to_owned(),
        source,
    })?;
    let mut uri = "local?root=".to_owned();
    for &byte in OsStr::as_bytes(dir.as_os_str()) {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(byte.into());
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_directories_are_escaped() {
        let uri = store_uri(Path::new("/a b/c?d=é")).unwrap();
        assert_eq!(uri, "local?root=/a%20b/c%3Fd%3D%C3%A9");
    }
}
