//! Reads the manifest of a netboot directory and its signatures, which may come from anywhere.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Component, Path};

use super::places;
use super::verify::fault;
use crate::manifest::{FileKind, Manifest, check_hot};
use crate::output::{MANIFEST, SIGNATURES};
use crate::signature::{SIGNATURES_MAX, Signatures};
use crate::{Error, PublicKey, folder};

/// The longest manifest that is read.
const MANIFEST_MAX: u64 = 16 << 20;

/// Reads the manifest of a netboot directory, and checks that all its names are those of files in the directory.
///
/// With keys, one of them must have signed the manifest, and nothing is made of a manifest that none has signed. The files
/// are not looked at: [`verify()`](crate::verify()) does that.
///
/// # Errors
/// [`Error::Unsigned`] where none of the keys has signed it, [`Error::Fault`] where it is no manifest.
///
/// ```no_run
/// let key = "site-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=".parse().unwrap();
/// let manifest = storeboot::read_manifest("netboot".as_ref(), &[key])?;
/// println!("the site vouches for {}", manifest.init);
/// # Ok::<(), storeboot::Error>(())
/// ```
pub fn read_manifest(folder: &Path, keys: &[PublicKey]) -> Result<Manifest, Error> {
    SignedManifest::read(folder, keys).map(|signed| signed.manifest)
}

/// A manifest, and who has signed it.
pub(super) struct SignedManifest {
    pub(super) manifest: Manifest,
    /// The text of its file.
    pub(super) text: String,
    /// The name of a key that has signed it, where some were given.
    pub(super) signer: Option<String>,
}

impl SignedManifest {
    /// Reads a manifest; see [`read_manifest`].
    pub(super) fn read(folder: &Path, keys: &[PublicKey]) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        let text = read_text(folder, MANIFEST, MANIFEST_MAX)?;
        let signer = match keys {
            [] => None,
            keys => Some(signer(folder, &text, keys)?),
        };
        let manifest =
            Manifest::from_json(&text).map_err(|error| fault(&path, error.to_string()))?;
        check(&manifest).map_err(|reason| fault(&path, reason))?;
        Ok(Self {
            manifest,
            text,
            signer,
        })
    }
}

/// Which of these keys has signed a manifest with this text.
fn signer(folder: &Path, text: &str, keys: &[PublicKey]) -> Result<String, Error> {
    let refuse = |reason| Error::Unsigned {
        path: folder.join(MANIFEST),
        reason,
    };
    match read_signatures(folder)? {
        None => Err(refuse(format!("there is no {SIGNATURES} beside it"))),
        Some(signatures) => signatures.signer(text.as_bytes(), keys).map_err(refuse),
    }
}

/// The signatures in a netboot directory, if it has any.
pub(super) fn read_signatures(folder: &Path) -> Result<Option<Signatures>, Error> {
    let path = folder.join(SIGNATURES);
    let text = match read_text(folder, SIGNATURES, SIGNATURES_MAX) {
        Err(error) if is_missing(&error) => return Ok(None),
        text => text?,
    };
    let signatures = Signatures::parse(&text).map_err(|reason| fault(&path, reason))?;
    Ok(Some(signatures))
}

fn is_missing(error: &Error) -> bool {
    let cause = error.io_error();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn read_text(folder: &Path, name: &str, limit: u64) -> Result<String, Error> {
    let path = folder.join(name);
    let mut text = String::new();
    folder::open_file(folder, name)?
        .take(limit + 1)
        .read_to_string(&mut text)
        .map_err(Error::read(&path))?;
    match text.len() as u64 > limit {
        false => Ok(text),
        true => Err(fault(
            &path,
            format!("it has more than {} KiB, and no such file has", limit >> 10),
        )),
    }
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
    let find = |kind, name: &str| {
        let mut files = manifest.files.iter();
        files.find(|file| file.kind == kind && file.name == name)
    };
    if find(FileKind::Kernel, &manifest.kernel.file).is_none() {
        return Err("it names no kernel".into());
    }
    let Some(initrd) = find(FileKind::Initrd, "initrd") else {
        return Err("it names no initrd".into());
    };
    for image in &manifest.images {
        let tree = image.verity.as_ref().map(|tree| tree.of_image(image.size));
        let tree = tree.transpose().map(drop);
        tree.and_then(|()| check_hot(image.hot_size, image.size))
            .map_err(|reason| format!("of the store image {:?}: {reason}", image.path))?;
    }
    places::check(manifest, initrd)
}

/// Whether a name leads to a file inside the folder that it is joined to.
fn is_inside(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let is_plain = components.all(|component| matches!(component, Component::Normal(_)));
    // Names come into iPXE scripts, where a blank or a line's end would begin something else. Builds give no other names.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+/".contains(&byte);
    is_plain && !name.is_empty() && !name.ends_with('/') && name.bytes().all(fits)
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
        read_manifest(folder.path(), &[]).map_err(|error| error.to_string())
    }

    const WHOLE: [(&str, &str); 3] = [
        ("bzImage", "kernel"),
        ("images/a.squashfs", "image"),
        ("initrd", "initrd"),
    ];

    /// Gives the store image and its file this size.
    fn resize(manifest: &mut Manifest, size: u64) {
        manifest.images[0].size = size;
        manifest.files[1].size = size;
    }

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
    fn a_hash_tree_is_one_of_its_image() {
        let mut manifest = read(&WHOLE).unwrap();
        resize(&mut manifest, 3 * 4096);
        let image = &mut manifest.images[0];
        let verity = serde_json::json!({
            "dataSize": 2 * 4096, "salt": "1".repeat(64), "rootHash": "2".repeat(64),
        });
        image.verity = Some(serde_json::from_value(verity).unwrap());
        assert_eq!(check(&manifest), Ok(()));
        resize(&mut manifest, 2 * 4096);
        let error = check(&manifest).unwrap_err();
        assert!(error.contains("images/a.squashfs"), "{error}");
        assert!(error.contains("are not 8192 bytes"), "{error}");
    }

    #[test]
    fn hot_bytes_are_bytes_of_the_image() {
        let mut manifest = read(&WHOLE).unwrap();
        resize(&mut manifest, 4096);
        let image = &mut manifest.images[0];
        image.hot_size = Some(4096);
        assert_eq!(check(&manifest), Ok(()));
        manifest.images[0].hot_size = Some(4097);
        let error = check(&manifest).unwrap_err();
        assert!(error.contains("images/a.squashfs"), "{error}");
        assert!(error.contains("4097"), "{error}");
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
            "a b",
            "a\nshell",
            "a${b}",
        ] {
            let error = read(&[&WHOLE[..], &[(name, "script")]].concat()).unwrap_err();
            assert!(error.contains("which is not in the directory"), "{error}");
        }
        let error = read(&[&WHOLE[..], &WHOLE[..1]].concat()).unwrap_err();
        assert!(error.contains("twice"), "{error}");
    }
}
