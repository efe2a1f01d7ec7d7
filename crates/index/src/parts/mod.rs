//! Files that are larger than a member of an archive may be.
//!
//! newc has 32 bits for a member's size. In layout `direct`, a larger file of the store is in the initrd as an empty
//! member of mode [`UNFINISHED`] at the file's path, and as a folder below [`PARTS_PATH`] with a [`LIST`] and the
//! parts. A part's name is its number, from 0 on. The file is zeros where there is no part. Stage 1 copies the parts to
//! the empty file.

mod parse;
mod write;

use alloc::vec::Vec;

/// The folder of all large files' folders in the initrd, without the leading slash.
pub const PARTS_PATH: &str = "storeboot/parts";
/// The name of the list in a large file's folder.
pub const LIST: &str = "list";
/// The first line of every list: the format's name and version.
pub const PARTS_HEADER: &str = "storeboot-parts 1";
/// The longest list that is read, in bytes.
pub const MAX_LIST: usize = 2 << 20;
/// The most parts a file may have.
pub const MAX_PARTS: usize = 1 << 15;
/// The longest path of a large file, in bytes: Linux's limit.
pub const MAX_FILE_PATH: usize = 4096;
/// The permissions of a large file before it is put together. No file of a store has them, so stage 1 recognises a file
/// that another archive in the initrd has put in its place.
pub const UNFINISHED: u16 = 0o200;

/// A file that the initrd holds in parts.
///
/// ```
/// use storeboot_index::{Part, PartedFile};
///
/// let file = PartedFile {
///     path: b"11111111111111111111111111111111-disk/image".to_vec(),
///     executable: false,
///     size: 6 << 30,
///     parts: vec![Part { offset: 0, size: 1 << 20 }, Part { offset: 5 << 30, size: 4096 }],
/// };
/// file.check()?;
/// let list = file.to_string();
/// assert_eq!(
///     list,
///     "storeboot-parts 1\n\
///      file 6442450944 444 2 11111111111111111111111111111111-disk/image\n\
///      part 0 1048576\n\
///      part 5368709120 4096\n"
/// );
/// assert_eq!(PartedFile::parse(list.as_bytes())?, file);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartedFile {
    /// The path inside the store, in bytes.
    pub path: Vec<u8>,
    /// Whether it is executable: mode 0555 instead of 0444.
    pub executable: bool,
    /// The size in bytes.
    pub size: u64,
    /// Its data, in the order of the offsets. The rest of the file is zeros.
    pub parts: Vec<Part>,
}

/// A piece of a large file's data, which is a member of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its offset in the file.
    pub offset: u64,
    /// Its size in bytes, at least 1.
    pub size: u64,
}

impl PartedFile {
    /// The permissions of the finished file.
    #[must_use]
    pub const fn mode(&self) -> u16 {
        if self.executable { 0o555 } else { 0o444 }
    }
}

#[cfg(test)]
mod tests;
