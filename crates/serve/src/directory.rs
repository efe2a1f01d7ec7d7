//! A netboot directory whose files are held open.
//!
//! Whoever began to load a directory gets all of it: that the folder is replaced or removed meanwhile changes nothing,
//! since the files stay open. A file that is written to in its place is no longer served.

use std::borrow::Borrow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use storeboot::manifest::{FileEntry, FileKind, Manifest};
use storeboot::{Folder, PublicKey, read_manifest};

use crate::Error;
use crate::held::Held;
use crate::text::Text;

/// The number of a directory: 16 hexadecimal digits of its manifest's SHA-256. Directories with the same number hold the
/// same bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Id(String);

impl Id {
    fn of(manifest: &Text) -> Self {
        Self(manifest.sha256().chars().take(16).collect())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// It is the key of a directory, and its digits find it.
impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A netboot directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    id: Id,
    manifest: Manifest,
    text: Text,
    items: Vec<Item>,
}

impl Directory {
    /// Opens each file that the manifest names, and checks it against the manifest. The files of store images are only
    /// looked at for their size: machines check each chunk of them.
    ///
    /// # Errors
    /// Where the folder is no netboot directory, or a file is not as the manifest says.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, &[], true)
    }

    /// The same, and one of these keys must have signed the directory, if there are any.
    ///
    /// # Errors
    /// As [`Self::open`], and where none of the keys has signed it.
    pub fn open_signed(path: &Path, keys: &[PublicKey]) -> Result<Self, Error> {
        Self::open_with(path, keys, true)
    }

    /// Opens what this process has just written, whose hashes it computed then.
    pub(crate) fn open_new(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, &[], false)
    }

    fn open_with(path: &Path, keys: &[PublicKey], hashes: bool) -> Result<Self, Error> {
        let (manifest, text) = manifest(path, keys)?;
        let folder = Folder::open(path).map_err(Error::read(path))?;
        let items = manifest
            .files
            .iter()
            .map(|file| Item::open(&folder, file, hashes))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            path: path.into(),
            id: Id::of(&text),
            manifest,
            text,
            items,
        })
    }

    /// The number of the directory that is in a folder now, whoever made it.
    pub(crate) fn id_at(path: &Path) -> Result<Id, Error> {
        manifest(path, &[]).map(|(_, text)| Id::of(&text))
    }

    /// Whether no file was written to since it was opened.
    pub(crate) fn is_intact(&self) -> bool {
        self.items.iter().all(|item| item.check().is_ok())
    }

    /// Where it was when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its number.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// What it holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its manifest's text.
    pub(crate) fn text(&self) -> &Text {
        &self.text
    }

    /// A file, by its name in the manifest.
    pub fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }

    /// All files that the manifest names.
    pub fn items(&self) -> &[Item] {
        &self.items
    }
}

fn manifest(path: &Path, keys: &[PublicKey]) -> Result<(Manifest, Text), Error> {
    let manifest = read_manifest(path, keys).map_err(|error| no_directory(path, error))?;
    let text = manifest.to_json().map_err(|error| Error::Differs {
        path: path.join("manifest.json"),
        reason: error.to_string(),
    })?;
    Ok((manifest, Text::new(text)))
}

/// A folder that is not there, or has no manifest, is no netboot directory.
fn no_directory(path: &Path, error: storeboot::Error) -> Error {
    use io::ErrorKind::{NotADirectory, NotFound};
    match error.io_error().map(io::Error::kind) {
        Some(NotFound | NotADirectory) => Error::NoDirectory(path.into()),
        _ => error.into(),
    }
}

/// A file of a netboot directory.
#[derive(Debug)]
pub struct Item {
    name: String,
    kind: FileKind,
    size: u64,
    sha256: String,
    held: Arc<Held>,
}

impl Item {
    fn open(folder: &Folder, file: &FileEntry, hashes: bool) -> Result<Self, Error> {
        let FileEntry {
            name,
            kind,
            size,
            sha256,
            ..
        } = file.clone();
        let path = folder.path(&name);
        let differs = |reason: String| Error::Differs {
            path: path.clone(),
            reason,
        };
        let held = Held::open_inside(folder, &name)?;
        if held.size() != size {
            return Err(differs(format!(
                "it has {} bytes instead of {size}",
                held.size()
            )));
        }
        if hashes && kind != FileKind::Image {
            let found = hash(held.file()).map_err(Error::read(&path))?;
            if found != sha256 {
                return Err(differs(format!(
                    "its SHA-256 is {found} instead of {sha256}"
                )));
            }
        }
        Ok(Self {
            name,
            kind,
            size,
            sha256,
            held: Arc::new(held),
        })
    }

    /// Its name in the manifest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its SHA-256 in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Its bytes from `offset` on, as many as the buffer holds or as there are.
    ///
    /// # Errors
    /// Where it cannot be read, or was written to since it was opened.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        self.held.read_at(buffer, offset)
    }

    /// Checks that it was not written to since it was opened.
    ///
    /// # Errors
    /// Where it was.
    pub fn check(&self) -> Result<(), Error> {
        self.held.check()
    }

    /// Its open file.
    pub(crate) fn held(&self) -> &Arc<Held> {
        &self.held
    }
}

fn hash(mut file: &File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(HEXLOWER.encode(&hasher.finalize())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    use crate::regular::tests::pipe;

    /// A netboot directory that is small and whole.
    pub(crate) fn sample(folder: &Path, kernel: &str) {
        let file = |name: &str, kind: &str, content: &[u8]| {
            fs::write(folder.join(name), content).unwrap();
            serde_json::json!({
                "name": name, "kind": kind, "size": content.len(), "sha256": HEXLOWER.encode(&Sha256::digest(content)),
            })
        };
        let files = [
            file("bzImage", "kernel", kernel.as_bytes()),
            file("initrd", "initrd", b"an initrd"),
        ];
        let manifest = serde_json::json!({
            "schema": 1, "layout": "file", "init": "/nix/store/x/init", "commandLine": "init=/nix/store/x/init",
            "memory": 0, "kernel": { "file": "bzImage", "version": "6.12", "architecture": "x86_64" },
            "closure": { "paths": 0, "narSize": 0 }, "files": files, "segments": [], "images": [],
        });
        fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    }

    #[test]
    fn what_was_opened_outlives_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("netboot");
        fs::create_dir(&place).unwrap();
        sample(&place, "a kernel");
        let directory = Directory::open(&place).unwrap();
        fs::remove_dir_all(&place).unwrap();
        let mut buffer = [0; 16];
        let kernel = directory.item("bzImage").unwrap();
        assert_eq!(kernel.read_at(&mut buffer, 2).unwrap(), 6);
        assert_eq!(&buffer[..6], b"kernel");
        assert!(directory.item("manifest.json").is_none());
    }

    #[test]
    fn a_file_that_is_written_to_is_not_served() {
        let folder = tempfile::tempdir().unwrap();
        sample(folder.path(), "a kernel");
        let directory = Directory::open(folder.path()).unwrap();
        fs::write(folder.path().join("initrd"), "an Initrd, and more").unwrap();
        let read = directory
            .item("initrd")
            .unwrap()
            .read_at(&mut [0; 4], 0)
            .unwrap_err();
        assert!(read.to_string().contains("it was changed"), "{read}");
    }

    /// Why a directory is not opened. With a key, its signatures are looked at.
    fn refusal(path: &Path, is_signed: bool) -> String {
        let key = "site-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        let keys: Vec<PublicKey> = is_signed
            .then(|| key.parse().unwrap())
            .into_iter()
            .collect();
        Directory::open_signed(path, &keys).unwrap_err().to_string()
    }

    #[test]
    fn a_link_below_the_folder_is_refused_and_the_folder_may_be_one() {
        let world = tempfile::tempdir().unwrap();
        let place = world.path().join("netboot");
        fs::create_dir(&place).unwrap();
        sample(&place, "a kernel");
        fs::write(place.join("manifest.json.sig"), "").unwrap();
        let result = world.path().join("result");
        symlink(&place, &result).unwrap();
        Directory::open(&result).unwrap();
        // Even where it leads to the bytes that the manifest has the hash of.
        for name in ["bzImage", "manifest.json", "manifest.json.sig"] {
            let aside = world.path().join("aside");
            fs::rename(place.join(name), &aside).unwrap();
            symlink(&aside, place.join(name)).unwrap();
            for path in [&place, &result] {
                let error = refusal(path, name.ends_with(".sig"));
                assert!(error.contains(name), "{error}");
                assert!(error.contains("it is a link, and could lead"), "{error}");
            }
            fs::remove_file(place.join(name)).unwrap();
            fs::rename(&aside, place.join(name)).unwrap();
        }
    }

    #[test]
    fn a_folder_of_images_that_leads_elsewhere_is_refused() {
        let world = tempfile::tempdir().unwrap();
        let [place, other] = ["netboot", "other"].map(|name| world.path().join(name));
        for folder in [&place, &other] {
            fs::create_dir(folder).unwrap();
        }
        sample(&place, "a kernel");
        fs::write(other.join("a.squashfs"), "a secret").unwrap();
        symlink(&other, place.join("images")).unwrap();
        // Nobody looks at an image's hash before it is sent.
        let path = place.join("manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        let image = serde_json::json!({
            "name": "images/a.squashfs", "kind": "image", "size": "a secret".len(), "sha256": "",
        });
        manifest["files"].as_array_mut().unwrap().push(image);
        fs::write(&path, manifest.to_string()).unwrap();
        let error = Directory::open(&place).unwrap_err().to_string();
        assert!(error.contains("it is a link, and could lead"), "{error}");
        fs::remove_file(place.join("images")).unwrap();
        fs::rename(&other, place.join("images")).unwrap();
        Directory::open(&place).unwrap();
    }

    #[test]
    fn a_pipe_in_the_folder_keeps_nobody_waiting() {
        for name in ["manifest.json.sig", "manifest.json", "initrd"] {
            let folder = tempfile::tempdir().unwrap();
            sample(folder.path(), "a kernel");
            let path = folder.path().join(name);
            let _ = fs::remove_file(&path);
            pipe(&path);
            let error = refusal(folder.path(), name.ends_with(".sig"));
            assert!(error.contains("it is no regular file"), "{error}");
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn what_differs_from_the_manifest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        sample(folder.path(), "a kernel");
        fs::write(folder.path().join("bzImage"), "a Kernel").unwrap();
        let error = Directory::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("its SHA-256 is"), "{error}");
        let error = Directory::open(&folder.path().join("none")).unwrap_err();
        assert!(matches!(error, Error::NoDirectory(_)));
    }
}
