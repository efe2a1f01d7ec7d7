//! Looks for what is in a netboot directory and should not be: links, and files that the manifest does not name.
//!
//! A web server sends every file of the directory to whoever asks. So a file that no manifest names is an error and not a
//! remark: it may be a key that was put there by mistake, or what is left of another build.

use std::collections::BTreeSet;
use std::path::Path;

use walkdir::WalkDir;

use super::verify::fault;
use crate::Error;
use crate::folder::{LINK, NOT_REGULAR};
use crate::manifest::Manifest;
use crate::output::MANIFEST;

/// What the name of a file's signature ends with. The manifest cannot name its own, and iPXE's are made after a build.
const SIGNATURE: &str = ".sig";

/// Checks that all that is below the folder is a file of the manifest, or a folder of such files. The folder itself may
/// be a link; whatever is in it may not, since a link can lead out of it.
pub(super) fn check(folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    let named = manifest.files.iter().map(|file| Path::new(&file.name));
    let named: BTreeSet<&Path> = named.chain([Path::new(MANIFEST)]).collect();
    let is_named = |file: &Path| {
        let signed = file.to_str().and_then(|name| name.strip_suffix(SIGNATURE));
        named.contains(file) || signed.is_some_and(|name| named.contains(Path::new(name)))
    };
    let below = WalkDir::new(folder).min_depth(1).sort_by_file_name();
    for entry in below {
        let entry = entry.map_err(|error| Error::read(folder)(error.into()))?;
        let inside = entry.path().strip_prefix(folder);
        let inside = inside.unwrap_or_else(|_| entry.path());
        let kind = entry.file_type();
        if kind.is_symlink() {
            return Err(fault(entry.path(), LINK));
        }
        if !kind.is_dir() && !kind.is_file() {
            return Err(fault(entry.path(), NOT_REGULAR));
        }
        let is_known = match kind.is_dir() {
            true => named.iter().any(|name| name.starts_with(inside)),
            false => is_named(inside),
        };
        if !is_known {
            return Err(fault(
                entry.path(),
                "it is in the directory, and the manifest does not name it",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_no_manifest_names_is_an_error_and_so_is_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let names = ["bzImage", "images/a.squashfs", "initrd"];
        let files = names.map(
            |name| serde_json::json!({ "name": name, "kind": "script", "size": 1, "sha256": "" }),
        );
        let text = serde_json::json!({
            "schema": 1, "layout": "fetch", "init": "/i", "commandLine": "init=/i", "memory": 0,
            "kernel": { "file": "bzImage", "version": "6.12", "architecture": "x86_64" },
            "closure": { "paths": 0, "narSize": 0 }, "files": files, "segments": [], "images": [],
        });
        let manifest = Manifest::from_json(&text.to_string()).unwrap();
        fs::create_dir(folder.join("images")).unwrap();
        for name in names
            .into_iter()
            .chain([MANIFEST, "manifest.json.sig", "initrd.sig"])
        {
            fs::write(folder.join(name), "").unwrap();
        }
        check(folder, &manifest).unwrap();
        for name in [
            "key",
            "key.sig",
            "images/b.squashfs",
            "images/manifest.json",
        ] {
            fs::write(folder.join(name), "").unwrap();
            let error = check(folder, &manifest).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("does not name it"),
                "{error}"
            );
            fs::remove_file(folder.join(name)).unwrap();
        }
        fs::create_dir(folder.join("other")).unwrap();
        let error = check(folder, &manifest).unwrap_err().to_string();
        assert!(error.contains("/other"), "{error}");
        fs::remove_dir(folder.join("other")).unwrap();
        // Even where it leads to what the manifest has the hash of.
        for name in ["bzImage", "images"] {
            let aside = folder.with_extension("aside");
            fs::rename(folder.join(name), &aside).unwrap();
            symlink(&aside, folder.join(name)).unwrap();
            let error = check(folder, &manifest).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("it is a link"),
                "{error}"
            );
            fs::remove_file(folder.join(name)).unwrap();
            fs::rename(&aside, folder.join(name)).unwrap();
        }
        // The directory's own name may be a link, such as Nix's result.
        let link = folder.with_extension("link");
        symlink(folder, &link).unwrap();
        check(&link, &manifest).unwrap();
        fs::remove_file(link).unwrap();
    }
}
