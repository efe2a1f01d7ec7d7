//! Walks over everything in an image, and finds an entry by its path.

use std::io::{Read, Seek};
use std::vec::IntoIter;

use super::{Entry, Image, Inode, InodeKind, ReadError};

/// How deep directories may be nested. A path that the system takes has room for half as many.
const DEPTH_MAX: usize = 4096;

/// An entry that a walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Its path from the image's root, without a leading slash; the root's is empty.
    pub path: Vec<u8>,
    /// What it is.
    pub inode: Inode,
}

/// A walk over an image; made by [`Image::walk`].
///
/// Directories come before what is in them, and names in a directory in the order of their bytes.
pub struct Walk {
    started: bool,
    path: Vec<u8>,
    open: Vec<Open>,
}

/// A directory that is being walked.
struct Open {
    rest: IntoIter<Entry>,
    /// Length of its own path.
    path: usize,
}

impl Walk {
    pub(super) fn new() -> Self {
        Self {
            started: false,
            path: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The next one, or `None` at the end.
    ///
    /// Takes the image each time, so that files can be read in between. It must be the image that the walk was made
    /// for.
    ///
    /// # Errors
    /// When the image is damaged there. The next call goes on after the damage.
    pub fn next<R: Read + Seek>(
        &mut self,
        image: &mut Image<R>,
    ) -> Result<Option<Found>, ReadError> {
        if !self.started {
            self.started = true;
            let inode = image.inode(image.root())?;
            return self.found(image, inode).map(Some);
        }
        while let Some(open) = self.open.last_mut() {
            self.path.truncate(open.path);
            let Some(entry) = open.rest.next() else {
                self.open.pop();
                continue;
            };
            let inode = image.entry_inode(&entry)?;
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(&entry.name);
            return self.found(image, inode).map(Some);
        }
        Ok(None)
    }

    fn found<R: Read + Seek>(
        &mut self,
        image: &mut Image<R>,
        inode: Inode,
    ) -> Result<Found, ReadError> {
        if let InodeKind::Directory(directory) = &inode.kind {
            if self.open.len() == DEPTH_MAX {
                return Err(ReadError::damaged(
                    image.superblock().directory_table_start,
                    format!("directories are nested more than {DEPTH_MAX} deep"),
                ));
            }
            let rest = image.list(directory)?.into_iter();
            self.open.push(Open {
                rest,
                path: self.path.len(),
            });
        }
        Ok(Found {
            path: self.path.clone(),
            inode,
        })
    }
}

impl<R: Read + Seek> Image<R> {
    /// Starts a walk over everything in the image; the root is first.
    #[must_use]
    pub fn walk(&self) -> Walk {
        Walk::new()
    }

    /// Finds the entry with this path, without following symlinks. Empty names in the path (`a//b`, `/a`) are ignored.
    ///
    /// # Errors
    /// When the image is damaged on the way there.
    ///
    /// ```no_run
    /// # use std::fs::File;
    /// # use storeboot_squashfs::reader::Image;
    /// let mut image = Image::open(File::open("store.squashfs")?)?;
    /// if let Some(inode) = image.lookup(b"nix-path-registration")? {
    ///     println!("inode {}", inode.number);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lookup(&mut self, path: &[u8]) -> Result<Option<Inode>, ReadError> {
        let mut inode = self.inode(self.root())?;
        for name in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            let InodeKind::Directory(directory) = &inode.kind else {
                return Ok(None);
            };
            let entries = self.list(directory)?;
            let found = entries.binary_search_by(|entry| entry.name[..].cmp(name));
            let Ok(at) = found else {
                return Ok(None);
            };
            inode = self.entry_inode(&entries[at])?;
        }
        Ok(Some(inode))
    }

    /// Reads the inode of an entry, and checks that its type and number are those of the entry.
    ///
    /// # Errors
    /// When they are not, or it cannot be read.
    pub fn entry_inode(&mut self, entry: &Entry) -> Result<Inode, ReadError> {
        let inode = self.inode(entry.inode)?;
        if inode.kind.kind() != entry.kind || inode.number != entry.number {
            return Err(ReadError::damaged(
                self.superblock().inode_table_start + (entry.inode.0 >> 16),
                format!(
                    "{:?} should be the inode {} ({:?}), but it is {} ({:?})",
                    entry.name.escape_ascii().to_string(),
                    entry.number,
                    entry.kind,
                    inode.number,
                    inode.kind.kind()
                ),
            ));
        }
        Ok(inode)
    }
}
