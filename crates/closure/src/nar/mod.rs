//! NAR, the form in which Nix hashes a file tree: written as a stream from any [`Tree`].
//!
//! [`hash`] is for files on disk. Whoever reads trees from elsewhere, such as the inside of a
//! squashfs image, implements [`Tree`] and calls [`hash_tree`].
//!
//! Crates that write NARs exist. nix-nar wants paths in UTF-8, as nothing on Linux promises, and
//! reads from disk only; hence these few lines.
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
use std::path::Path;

use sha2::{Digest, Sha256};

pub use self::disk::Disk;
pub use self::serialize::write;
use crate::{Error, NarHash};

/// One file of a [`Tree`].
#[derive(Debug)]
pub enum Node<Id, Data> {
    /// A directory: names and files, in any order.
    Directory(Vec<(Vec<u8>, Id)>),
    /// A regular file.
    File {
        /// Whether its owner may execute it: all that a NAR keeps of a mode.
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
    /// How the tree calls a file: by path, by inode number…
    type Id;
    /// Reads the content of a file.
    type Data<'a>: Read
    where
        Self: 'a;
    /// Why a file could not be looked at.
    type Error: error::Error + Send + Sync + 'static;

    /// Looks at a file.
    fn node(&mut self, id: &Self::Id) -> Result<Node<Self::Id, Self::Data<'_>>, Self::Error>;
}

/// The hash and the size of the NAR of what is at `path`.
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

/// The hash and the size of the NAR of the file `root` of a tree; messages call it `name`.
pub fn hash_tree<T: Tree>(tree: &mut T, root: T::Id, name: &Path) -> Result<(NarHash, u64), Error> {
    let mut hasher = Hasher(Sha256::new());
    let size = write(tree, root, name, &mut hasher)?;
    Ok((NarHash::new(hasher.0.finalize().into()), size))
}

/// A writer that only hashes.
struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
