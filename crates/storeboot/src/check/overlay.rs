//! Reads several store images as the one store that stage 1's overlay makes of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use storeboot_closure::nar::{Node, Tree};
use storeboot_squashfs::reader::{Entry, FileReader, Image, Inode, InodeKind, ReadError};

use crate::cancel::Watched;
use crate::{Cancel, Error, REGISTRATION};

/// Why a file of a store image cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OverlayError {
    /// The image is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The image holds something that a store does not, such as a device.
    #[error("it holds something that is neither a file, a directory nor a symbolic link")]
    Special,
    /// The build was cancelled.
    #[error("the build was cancelled")]
    Cancelled,
}

/// The images, the first one on top.
pub(crate) struct OverlayStore {
    images: Vec<Image<File>>,
    cancel: Cancel,
}

/// A file or directory: its entry in each image that has it.
pub(crate) type Place = Vec<(usize, Entry)>;

impl OverlayStore {
    /// Opens images that begin at these bytes of files.
    pub(crate) fn open<'a>(
        images: impl IntoIterator<Item = (&'a Path, u64)>,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let open = |(path, offset): (&Path, u64)| {
            let file = File::open(path).map_err(Error::read(path))?;
            Image::open_at(file, offset).map_err(damaged(path))
        };
        let images = images.into_iter().map(open).collect::<Result<_, Error>>()?;
        Ok(Self {
            images,
            cancel: cancel.clone(),
        })
    }

    /// What is in the store directory, by name.
    pub(crate) fn entries(&mut self) -> Result<BTreeMap<Vec<u8>, Place>, OverlayError> {
        let mut roots = Vec::new();
        for (number, image) in self.images.iter_mut().enumerate() {
            let inode = image.inode(image.root())?;
            if let InodeKind::Directory(_) = inode.kind {
                roots.push((number, inode));
            }
        }
        self.list(roots)
    }

    /// The content of `nix-path-registration`, if it is there.
    pub(crate) fn registration(&mut self) -> Result<Option<FileReader<'_, File>>, ReadError> {
        for number in 0..self.images.len() {
            let found = self.images[number].lookup(REGISTRATION.as_bytes())?;
            if let Some(InodeKind::File(file)) = found.map(|inode| inode.kind) {
                return Ok(Some(self.images[number].read(&file)));
            }
        }
        Ok(None)
    }

    fn list(
        &mut self,
        directories: Vec<(usize, Inode)>,
    ) -> Result<BTreeMap<Vec<u8>, Place>, OverlayError> {
        let mut merged: BTreeMap<Vec<u8>, Place> = BTreeMap::new();
        for (number, inode) in directories {
            if let InodeKind::Directory(directory) = &inode.kind {
                for entry in self.images[number].list(directory)? {
                    let place = merged.entry(entry.name.clone()).or_default();
                    place.push((number, entry));
                }
            }
        }
        Ok(merged)
    }
}

/// Says in which file an image is damaged.
pub(crate) fn damaged(path: &Path) -> impl Fn(ReadError) -> Error {
    move |error| Error::Fault {
        path: path.into(),
        reason: error.to_string(),
    }
}

impl Tree for OverlayStore {
    type Id = Place;
    type Data<'a> = Watched<'a, FileReader<'a, File>>;
    type Error = OverlayError;

    fn node(&mut self, place: &Place) -> Result<Node<Place, Self::Data<'_>>, OverlayError> {
        if self.cancel.is_cancelled() {
            return Err(OverlayError::Cancelled);
        }
        let ((top, entry), below) = place.split_first().ok_or(OverlayError::Special)?;
        let top = *top;
        // By the entry: an inode that the listing calls a file and that is a directory could be in itself, and the reader
        // does not count it as a directory.
        let inode = self.images[top].entry_inode(entry)?;
        match inode.kind {
            InodeKind::Directory(_) => {
                let mut directories = vec![(top, inode)];
                for (number, entry) in below {
                    let inode = self.images[*number].entry_inode(entry)?;
                    // As in an overlay: a file hides the directories below it.
                    if !matches!(inode.kind, InodeKind::Directory(_)) {
                        break;
                    }
                    directories.push((*number, inode));
                }
                let entries = self.list(directories)?;
                Ok(Node::Directory(entries.into_iter().collect()))
            }
            InodeKind::File(file) => Ok(Node::File {
                executable: inode.mode & 0o100 != 0,
                size: file.size,
                data: self.cancel.watch(self.images[top].read(&file)),
            }),
            InodeKind::Symlink(target) => Ok(Node::Symlink(target)),
            _ => Err(OverlayError::Special),
        }
    }
}

/// The names of a directory's entries as text, for messages.
pub(crate) fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use storeboot_closure::nar;
    use storeboot_squashfs::{Compression, ImageWriter, Options};

    use super::*;

    /// The type of an entry that is no directory.
    const FILE: u8 = 2;

    /// An image with the folder `outer`, in that `inner`, and in that `one` and `two`. Its tables are not compressed.
    fn image() -> Vec<u8> {
        let options = Options::new().compression(Compression::None);
        let mut image = ImageWriter::new(Cursor::new(Vec::new()), &options).unwrap();
        for name in ["outer", "inner"] {
            image.enter_directory(name.as_bytes(), 0o555).unwrap();
        }
        for name in ["one", "two"] {
            image.enter_directory(name.as_bytes(), 0o555).unwrap();
            image.leave_directory().unwrap();
        }
        for _ in 0..2 {
            image.leave_directory().unwrap();
        }
        image.finish().unwrap().0.into_inner()
    }

    /// Where an entry of a directory is in the image: the offset of its inode, what its number is more than that of the
    /// run, its type, the length of its name and the name.
    fn entry(image: &[u8], name: &str) -> usize {
        let table = u64::from_le_bytes(image[72..80].try_into().unwrap()) as usize;
        let mut names = image[table..].windows(name.len());
        table + names.position(|found| found == name.as_bytes()).unwrap() - 8
    }

    fn hash(image: &[u8]) -> Result<u64, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), image).unwrap();
        let mut store = OverlayStore::open([(file.path(), 0)], &Cancel::new()).unwrap();
        let place = store.entries().unwrap().remove(&b"outer"[..]).unwrap();
        let hashed = nar::hash_tree(&mut store, place, Path::new("outer"));
        let text = |error: storeboot_closure::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {cause:?}")
        };
        hashed.map(|(_, size)| size).map_err(text)
    }

    #[test]
    fn a_walk_ends_when_it_is_cancelled() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), image()).unwrap();
        let cancel = Cancel::new();
        let mut store = OverlayStore::open([(file.path(), 0)], &cancel).unwrap();
        let place = store.entries().unwrap().remove(&b"outer"[..]).unwrap();
        assert!(store.node(&place).is_ok());
        cancel.cancel();
        let error = store.node(&place).err().unwrap();
        assert!(matches!(error, OverlayError::Cancelled), "{error}");
    }

    #[test]
    fn a_directory_that_is_listed_as_a_file_is_damage() {
        let sound = image();
        hash(&sound).unwrap();
        // Called a file, a directory would be looked at in each of its places: it could be in itself.
        for (name, target) in [("two", "two"), ("two", "one"), ("two", "outer")] {
            let mut bytes = sound.clone();
            let (at, target) = (entry(&sound, name), entry(&sound, target));
            bytes.copy_within(target..target + 2, at);
            bytes[at + 4] = FILE;
            let error = hash(&bytes).unwrap_err();
            assert!(error.contains("should be the inode"), "{error}");
            assert!(error.contains("two"), "{error}");
        }
    }
}
