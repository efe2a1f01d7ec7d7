//! The program that stage 1 starts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use storeboot_closure::StorePath;

use crate::{Error, Store};

/// `init` must be a program of the closure.
pub(crate) fn check(store: &Store, init: &str) -> Result<(), Error> {
    let refuse = |reason: &str| {
        Err(Error::Init {
            init: init.into(),
            reason: reason.into(),
        })
    };
    let closure = store.closure();
    let store_dir = closure.store_dir();
    let Some(inside) = init
        .strip_prefix(store_dir.as_str())
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return refuse(&format!("it is not a path in {store_dir}"));
    };
    let (name, rest) = inside.split_once('/').unwrap_or((inside, ""));
    if rest.split('/').any(|part| part == "..") {
        return refuse("it leaves its store path by `..`");
    }
    let path = match StorePath::from_basename(name.as_bytes()) {
        Ok(path) if closure.contains(&path) => path,
        _ => return refuse("its store path is not in the closure"),
    };
    let file = store.root().locate(store_dir, &path).join(rest);
    match fs::symlink_metadata(&file) {
        Err(error) => refuse(&error.to_string()),
        // Where a link leads is known only in the booted system; stage 1 looks.
        Ok(metadata) if metadata.is_symlink() => Ok(()),
        Ok(metadata) if !metadata.is_file() => refuse("it is not a file"),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
            refuse("it is not executable")
        }
        Ok(_) => Ok(()),
    }
}
