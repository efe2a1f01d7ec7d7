//! The folder that nixpkgs' `closureInfo` makes: a closure in two files and its size in a third.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use nix_derivation::StoreDir;

use crate::excerpt::beginning;
use crate::limits::read_all;
use crate::parse::parse_path;
use crate::{Closure, Error, read_registration};

/// Reads the folder that nixpkgs' `closureInfo` makes. Its files `registration` and `store-paths` must name the same
/// paths. `total-nar-size`, which older folders lack, must be the sum of their NAR sizes.
///
/// ```no_run
/// use storeboot_closure::{StoreDir, read_closure_info};
///
/// let closure = read_closure_info("./result".as_ref(), &StoreDir::default())?;
/// # Ok::<(), storeboot_closure::Error>(())
/// ```
pub fn read_closure_info(dir: &Path, store_dir: &StoreDir) -> Result<Closure, Error> {
    let open = |name: &str| {
        let path = dir.join(name);
        match File::open(&path) {
            Ok(file) => Ok((path, file)),
            Err(source) => Err(Error::File { path, source }),
        }
    };
    let (path, file) = open("registration")?;
    let closure = read_registration(file, store_dir).map_err(|error| error.in_file(path))?;

    let (path, file) = open("store-paths")?;
    let text = read_all(file).map_err(|error| error.in_file(&path))?;
    check_paths(&closure, &text, dir).map_err(|error| match error {
        Error::Disagree { .. } => error,
        error => error.in_file(path),
    })?;

    match open("total-nar-size") {
        Ok((path, file)) => {
            let text = read_all(file).map_err(|error| error.in_file(path))?;
            check_size(&closure, &text, dir)?;
        }
        Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(closure)
}

fn check_paths(closure: &Closure, text: &[u8], dir: &Path) -> Result<(), Error> {
    let disagree = |reason| Error::Disagree {
        dir: dir.to_owned(),
        file: "store-paths",
        reason,
    };
    let mut named = BTreeSet::new();
    let lines = text.strip_suffix(b"\n").unwrap_or(text);
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        let path =
            parse_path(line, closure.store_dir()).map_err(|error| Error::line(index + 1, error))?;
        if !closure.contains(&path) {
            let path = closure.render(&path);
            return Err(disagree(format!("{path} is not registered")));
        }
        named.insert(path);
    }
    match closure.paths().find(|info| !named.contains(&info.path)) {
        None => Ok(()),
        Some(info) => {
            let path = closure.render(&info.path);
            Err(disagree(format!("only the registration has {path}")))
        }
    }
}

fn check_size(closure: &Closure, text: &[u8], dir: &Path) -> Result<(), Error> {
    let disagree = |reason| Error::Disagree {
        dir: dir.to_owned(),
        file: "total-nar-size",
        reason,
    };
    let text = String::from_utf8_lossy(text);
    let Ok(stated) = text.trim().parse::<u64>() else {
        let text = beginning(text.as_bytes());
        return Err(disagree(format!("{text:?} is not a size")));
    };
    match closure.nar_size() {
        Some(sum) if sum != stated => Err(disagree(format!(
            "the sizes add up to {sum}, and the file says {stated}"
        ))),
        _ => Ok(()),
    }
}
