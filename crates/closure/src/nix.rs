//! Asks Nix for a closure, by `nix-store`: every version has it without an experimental feature, and its `--dump-db`
//! prints all that a closure needs.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use nix_derivation::StoreDir;

use crate::limits::read_all;
use crate::parse::parse_path;
use crate::text::registration_infos;
use crate::{Closure, Error, StoreRoot, excerpt, resolve_root};

/// Paths in one question: a command line has room for at least 128 KiB.
const BATCH: usize = 400;

/// Asks Nix for the closure of `roots`, each of them a store path or a link to one (see [`resolve_root`]). Where the
/// store is under another root, asks about that store.
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
    command.args(action).args(paths);
    run(command, action)
}

/// Runs Nix and returns what it printed. Messages show the action.
fn run(mut command: Command, action: &[&str]) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::NoNix { source };
    let (printed, stdout) = io::pipe().map_err(failed)?;
    let (messages, stderr) = io::pipe().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    let mut nix = command.spawn().map_err(failed)?;
    // Closes our copies of the ends that Nix writes to.
    drop(command);
    // Both pipes are read at the same time: Nix waits while one of them is full.
    let messages = thread::spawn(move || excerpt::end(messages));
    // Where it is too much, the pipe is closed, which ends Nix.
    let printed = read_all(printed);
    let status = nix.wait().map_err(failed)?;
    let printed = printed?;
    if status.success() {
        return Ok(printed);
    }
    let said = match messages.join() {
        Ok(Ok(said)) => said,
        Ok(Err(error)) => format!("its messages cannot be read: {error}"),
        Err(_) => "its messages cannot be read".to_owned(),
    };
    Err(Error::Nix {
        command: format!("nix-store {}", action.join(" ")),
        status: status.to_string(),
        said,
    })
}

/// Nix's URI of the store under a directory. Nix would take a `?` in a plain directory name for the beginning of
/// parameters.
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

    fn shell(script: &str) -> Result<Vec<u8>, Error> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, &["--query"])
    }

    #[test]
    fn the_end_of_the_messages_is_kept() {
        // More on both pipes than they hold.
        let noise = "i=0; while [ $i -lt 3000 ]; do i=$((i+1));
            echo 'warning: the setting is not known, and this line is long' >&2; echo /nix/store/path; done;";
        assert!(shell(noise).expect("it succeeds").len() > 1 << 15);
        let error = shell(&format!("{noise} echo 'error: no space left' >&2; exit 3"));
        let text = error.expect_err("it fails").to_string();
        assert!(
            text.starts_with(
                "nix-store --query failed (exit status: 3): (only the end is shown) …"
            ),
            "{text}"
        );
        assert!(text.ends_with(" error: no space left"), "{text}");
        assert!(text.len() < 3000, "{text}");
    }

    #[test]
    fn a_program_that_is_missing_is_told_with_its_cause() {
        let error = run(Command::new("/no/such/program"), &[]).expect_err("it is missing");
        let kind = error.io_error().map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::NotFound));
        assert!(std::error::Error::source(&error).is_some());
        assert!(!error.to_string().contains("No such file"), "{error}");
    }

    #[test]
    fn odd_directories_are_escaped() {
        let uri = store_uri(Path::new("/a b/c?d=é")).unwrap();
        assert_eq!(uri, "local?root=/a%20b/c%3Fd%3D%C3%A9");
    }
}
