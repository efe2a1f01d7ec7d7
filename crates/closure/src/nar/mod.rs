//! NAR, the form in which Nix hashes a file tree: written as a stream from any [`Tree`].
//!
//! [`hash`] is for files on disk. For other trees, such as the inside of a squashfs image, implement [`Tree`] and call
//! [`hash_tree`].
//!
//! There are crates that write NARs. nix-nar reads from disk only and takes no names that are not UTF-8, which Linux
//! allows.
//!
//! ```
//! use std::convert::Infallible;
//! use std::path::Path;
//! use storeboot_closure::nar::{Node, Tree, hash_tree};
//!
//! /// A directory with one file in it.
//! struct One;
//!
//! impl Tree for One {
//!     type Id = bool;
//!     type Data<'a> = &'static [u8];
//!     type Error = Infallible;
//!
//!     fn node(&mut self, inside: &bool) -> Result<Node<bool, &'static [u8]>, Infallible> {
//!         Ok(if *inside {
//!             Node::File { executable: false, size: 3, data: b"hi\n" }
//!         } else {
//!             Node::Directory(vec![(b"greeting".to_vec(), true)])
//!         })
//!     }
//! }
//!
//! let (hash, size) = hash_tree(&mut One, false, Path::new("one"))?;
//! assert_eq!(size, 288);
//! # Ok::<(), storeboot_closure::Error>(())
//! ```

mod disk;
mod serialize;

use std::error;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use sha2::{Digest, Sha256};

pub use self::disk::Disk;
pub use self::serialize::write;
use crate::{Error, NarHash};

/// One file of a [`Tree`]. A NAR has these three kinds and no others.
#[derive(Debug)]
pub enum Node<Id, Data> {
    /// A directory: names and files, in any order.
    Directory(Vec<(Vec<u8>, Id)>),
    /// A regular file.
    File {
        /// Whether its owner may execute it. A NAR keeps nothing else of a mode.
        executable: bool,
        /// Its size.
        size: u64,
        /// Its content, which must have this size.
        data: Data,
    },
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
}

/// A tree of files that can be written as a NAR.
pub trait Tree {
    /// What the tree finds a file by: its path, its inode number…
    type Id;
    /// Reads the content of a file.
    type Data<'a>: Read
    where
        Self: 'a;
    /// Why a file cannot be examined.
    type Error: error::Error + Send + Sync + 'static;

    /// Examines a file.
    fn node(&mut self, id: &Self::Id) -> Result<Node<Self::Id, Self::Data<'_>>, Self::Error>;
}

/// The hash and the size of the NAR of the file or folder at `path`.
///
/// ```no_run
/// use std::path::Path;
///
/// let (hash, size) = storeboot_closure::nar::hash(Path::new("/nix/store/…-hello"))?;
/// # Ok::<(), storeboot_closure::Error>(())
/// ```
pub fn hash(path: &Path) -> Result<(NarHash, u64), Error> {
    hash_tree(&mut Disk, path.to_owned(), path)
}

/// The hash and the size of the NAR of the file `root` of a tree. Messages call it `name`.
pub fn hash_tree<T: Tree>(tree: &mut T, root: T::Id, name: &Path) -> Result<(NarHash, u64), Error> {
    hash_tree_with(tree, root, name, &|_| ControlFlow::Continue(()))
}

/// As [`hash`]. Calls `hashed` with the bytes hashed since its last call, and ends when it breaks.
///
/// # Errors
/// As [`hash`]; [`Error::Cancelled`] when `hashed` breaks.
pub fn hash_with(
    path: &Path,
    hashed: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<(NarHash, u64), Error> {
    hash_tree_with(&mut Disk, path.to_owned(), path, hashed)
}

fn hash_tree_with<T: Tree>(
    tree: &mut T,
    root: T::Id,
    name: &Path,
    hashed: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<(NarHash, u64), Error> {
    let mut hasher = Hasher {
        hash: Sha256::new(),
        hashed,
        unreported: 0,
        cancelled: false,
    };
    let written = write(tree, root, name, &mut hasher).and_then(|size| {
        hasher
            .report()
            .map_err(|source| Error::Write { source })
            .map(|()| size)
    });
    if hasher.cancelled {
        return Err(Error::Cancelled);
    }
    Ok((NarHash::new(hasher.hash.finalize().into()), written?))
}

/// Bytes that are hashed between two reports.
const STEP: u64 = 1 << 20;

/// A writer that hashes and reports how much it has hashed.
struct Hasher<'a> {
    hash: Sha256,
    hashed: &'a dyn Fn(u64) -> ControlFlow<()>,
    unreported: u64,
    cancelled: bool,
}

impl Hasher<'_> {
    fn report(&mut self) -> io::Result<()> {
        match (self.hashed)(std::mem::take(&mut self.unreported)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                self.cancelled = true;
                Err(io::Error::other("cancelled"))
            }
        }
    }
}

impl Write for Hasher<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.unreported += bytes.len() as u64;
        if self.unreported >= STEP {
            self.report()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
