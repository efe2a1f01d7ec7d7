//! Reads the manifest of a netboot directory, which may come from anywhere.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use super::verify::fault;
use crate::Error;
use crate::manifest::{FileKind, Manifest};
use crate::output::MANIFEST;

/// The longest manifest that is read.
const MANIFEST_MAX: u64 = 16 << 20;

/// Reads the manifest of a netboot directory, and checks that all its names are those of files in the directory.
pub(super) fn read_manifest(folder: &Path) -> Result<Manifest, Error> {
    let path = folder.join(MANIFEST);
    let mut text = String::new();
    File::open(&path)
        .and_then(|file| file.take(MANIFEST_MAX + 1).read_to_string(&mut text))
        .map_err(Error::read(&path))?;
    if text.len() as u64 > MANIFEST_MAX {
        return Err(fault(
            &path,
            format!(
                "it has more than {} MiB, no manifest has",
                MANIFEST_MAX >> 20
            ),
        ));
    }
    let manifest = Manifest::from_json(&text).map_err(|error| fault(&path, error.to_string()))?;
    check(&manifest).map_err(|reason| fault(&path, reason))?;
    Ok(manifest)
}

/// Checks the names, and that there is something to boot.
fn check(manifest: &Manifest) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for file in &manifest.files {
        if !is_inside(&file.name) {
            return Err(format!(
                "it names the file {:?}, which is not in the directory",
                file.name
            ));
        }
        if !names.insert(&file.name) {
            return Err(format!("it names the file {:?} twice", file.name));
        }
    }
    let has = |kind, name: &str| {
        let mut files = manifest.files.iter();
        files.any(|file| file.kind == kind && file.name == name)
    };
    if !has(FileKind::Kernel, &manifest.kernel.file) {
        return Err("it names no kernel".into());
    }
    if !has(FileKind::Initrd, "initrd") {
        return Err("it names no initrd".into());
    }
    let mut beside = manifest
        .images
        .iter()
        .filter(|image| image.offset.is_none());
    match beside.find(|image| !has(FileKind::Image, &image.path)) {
        None => Ok(()),
        Some(image) => Err(format!(
            "it does not name the file of the store image {:?}",
            image.path
        )),
    }
}

/// Whether a name leads to a file inside the folder that it is joined to.
fn is_inside(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let is_plain = components.all(|component| matches!(component, Component::Normal(_)));
    is_plain && !name.is_empty() && !name.ends_with('/') && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(names: &[(&str, &str)]) -> Result<Manifest, String> {
        let files: Vec<_> = names
            .iter()
            .map(|(name, kind)| serde_json::json!({ "name": name, "kind": kind, "size": 1, "sha256": "" }))
            .collect();
        let text = serde_json::json!({
            "schema": 1, "layout": "fetch", "init": "/i", "commandLine": "init=/i", "memory": 0,
            "kernel": { "file": "bzImage", "version": "6.12", "architecture": "x86_64" },
            "closure": { "paths": 0, "narSize": 0 }, "files": files, "segments": [],
            "images": [{ "path": "images/a.squashfs", "size": 1, "sha256": "", "compression": "zstd" }],
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), text.to_string()).unwrap();
        read_manifest(folder.path()).map_err(|error| error.to_string())
    }

    const WHOLE: [(&str, &str); 3] = [
        ("bzImage", "kernel"),
        ("images/a.squashfs", "image"),
        ("initrd", "initrd"),
    ];

    #[test]
    fn there_is_something_to_boot() {
        read(&WHOLE).unwrap();
        for (missing, complaint) in [
            (0, "it names no kernel"),
            (1, "the file of the store image \"images/a.squashfs\""),
            (2, "it names no initrd"),
        ] {
            let mut files = WHOLE.to_vec();
            files.remove(missing);
            let error = read(&files).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        for name in [
            "/etc/shadow",
            "../key",
            "a/../../key",
            "./a",
            "a/",
            "",
            "a\0b",
        ] {
            let error = read(&[&WHOLE[..], &[(name, "script")]].concat()).unwrap_err();
            assert!(error.contains("which is not in the directory"), "{error}");
        }
        let error = read(&[&WHOLE[..], &WHOLE[..1]].concat()).unwrap_err();
        assert!(error.contains("twice"), "{error}");
    }
}
