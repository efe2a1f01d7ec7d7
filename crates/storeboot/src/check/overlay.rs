//! Reads several store images as the one store that stage 1's overlay makes of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use storeboot_closure::nar::{Node, Tree};
use storeboot_squashfs::reader::{FileReader, Image, Inode, InodeKind, InodeRef, ReadError};

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
}

/// The images, the first one on top.
pub(crate) struct OverlayStore {
    images: Vec<Image<File>>,
    cancel: Cancel,
}

/// A file or directory: where it is in each image that has it.
pub(crate) type Place = Vec<(usize, InodeRef)>;

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

    fn root(&self) -> Place {
        let roots = self.images.iter().map(Image::root);
        roots.enumerate().collect()
    }

    /// What is in the store directory, by name.
    pub(crate) fn entries(&mut self) -> Result<BTreeMap<Vec<u8>, Place>, OverlayError> {
        let mut roots = Vec::new();
        for (number, reference) in self.root() {
            let inode = self.images[number].inode(reference)?;
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
                    merged
                        .entry(entry.name)
                        .or_default()
                        .push((number, entry.inode));
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
        let &(top, reference) = place.first().ok_or(OverlayError::Special)?;
        let inode = self.images[top].inode(reference)?;
        match inode.kind {
            InodeKind::Directory(_) => {
                let mut directories = vec![(top, inode)];
                for &(number, reference) in &place[1..] {
                    let inode = self.images[number].inode(reference)?;
                    // As in an overlay: a file hides the directories below it.
                    if !matches!(inode.kind, InodeKind::Directory(_)) {
                        break;
                    }
                    directories.push((number, inode));
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
