//! Reads inodes.

use std::io::{Read, Seek};

use super::metadata::Cursor;
use super::{Image, ReadError};
use crate::format::{NO_FRAGMENT, NO_XATTR, inode};

/// Longest target of a symlink: `PATH_MAX`.
const TARGET_MAX: u32 = 4096;

/// Where an inode is: what directory entries and the export table hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeRef(pub(super) u64);

impl InodeRef {
    pub(super) fn new(block: u32, offset: u16) -> Self {
        Self(u64::from(block) << 16 | u64::from(offset))
    }

    fn cursor(self, table: &std::ops::Range<u64>) -> Cursor {
        // The reference of a root inode may have more bits than a block's number. It is outside of the table then.
        let block = u32::try_from(self.0 >> 16).unwrap_or(u32::MAX);
        Cursor::new(table, block, (self.0 & 0xffff) as u16)
    }
}

/// The type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
}

impl Kind {
    /// By the number of a basic type.
    pub(super) fn of(number: u16) -> Option<Self> {
        Some(match number {
            inode::DIRECTORY => Self::Directory,
            inode::FILE => Self::File,
            inode::SYMLINK => Self::Symlink,
            inode::BLOCK_DEVICE => Self::BlockDevice,
            inode::CHAR_DEVICE => Self::CharDevice,
            inode::FIFO => Self::Fifo,
            inode::SOCKET => Self::Socket,
            _ => return None,
        })
    }
}

/// A file, a directory and so on, without its name, which is in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inode {
    /// Where it is.
    pub reference: InodeRef,
    /// Its number; hard links share one.
    pub number: u32,
    /// Permissions, with the set-id and sticky bits.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Time of the last change, in seconds since 1970.
    pub mtime: u32,
    /// Number of names that it has, for a directory as file systems count them.
    pub links: u32,
    /// Whether it has extended attributes, which are not read.
    pub has_xattrs: bool,
    /// What it is.
    pub kind: InodeKind,
}

/// The kind of an inode, with the fields that only this kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InodeKind {
    /// A directory; [`Image::list`] tells what is in it.
    Directory(Directory),
    /// A regular file; [`Image::read`] reads it.
    File(File),
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A block device.
    BlockDevice(Device),
    /// A character device.
    CharDevice(Device),
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
}

impl InodeKind {
    /// The kind alone.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Directory(_) => Kind::Directory,
            Self::File(_) => Kind::File,
            Self::Symlink(_) => Kind::Symlink,
            Self::BlockDevice(_) => Kind::BlockDevice,
            Self::CharDevice(_) => Kind::CharDevice,
            Self::Fifo => Kind::Fifo,
            Self::Socket => Kind::Socket,
        }
    }
}

/// A directory's part of its inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Number of the inode of the directory around it.
    pub parent: u32,
    pub(super) reference: InodeRef,
    pub(super) block: u32,
    pub(super) offset: u16,
    /// Bytes of the listing, plus 3.
    pub(super) size: u32,
}

/// A file's part of its inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its size.
    pub size: u64,
    /// Where its blocks are in the image.
    pub(super) start: u64,
    /// Where its tail end is.
    pub(super) fragment: Option<(u32, u32)>,
    /// Where the sizes of its blocks are.
    pub(super) blocks: Cursor,
}

/// A device's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    /// The driver.
    pub major: u32,
    /// The device of that driver.
    pub minor: u32,
}

impl Device {
    /// From the kernel's `new_encode_dev`.
    fn decode(number: u32) -> Self {
        Self {
            major: number >> 8 & 0xfff,
            minor: number & 0xff | number >> 12 & 0xfff00,
        }
    }
}

impl<R: Read + Seek> Image<R> {
    /// Reads an inode.
    ///
    /// # Errors
    /// When there is no inode here, or it holds something impossible.
    pub fn inode(&mut self, reference: InodeRef) -> Result<Inode, ReadError> {
        let mut cursor = reference.cursor(&self.inode_table);
        let at = cursor.clone();
        let [kind, mode, uid, gid] = self.halves(&mut cursor)?;
        let [mtime, number] = self.words(&mut cursor)?;
        if number == 0 || number > self.superblock.inode_count {
            return Err(at.damaged(format!(
                "an inode has the number {number}, and the image has {} inodes",
                self.superblock.inode_count
            )));
        }
        let id = |at: u16| self.ids.get(usize::from(at)).copied();
        let (Some(uid), Some(gid)) = (id(uid), id(gid)) else {
            return Err(at.damaged(format!(
                "inode {number} has an owner that the id table does not have"
            )));
        };
        let extended = kind > inode::EXTENDED;
        let basic = if extended {
            kind - inode::EXTENDED
        } else {
            kind
        };
        let Some(basic) = Kind::of(basic) else {
            return Err(at.damaged(format!("inode {number} has the unknown type {kind}")));
        };
        let (kind, links, xattr) = match basic {
            Kind::Directory => self.directory_inode(&mut cursor, reference, extended)?,
            Kind::File => self.file_inode(&mut cursor, extended)?,
            Kind::Symlink => self.symlink_inode(&mut cursor, extended)?,
            basic => self.special_inode(&mut cursor, basic, extended)?,
        };
        Ok(Inode {
            reference,
            number,
            mode: mode & 0o7777,
            uid,
            gid,
            mtime,
            links,
            has_xattrs: xattr != NO_XATTR,
            kind,
        })
    }

    fn directory_inode(
        &mut self,
        cursor: &mut Cursor,
        reference: InodeRef,
        extended: bool,
    ) -> Result<(InodeKind, u32, u32), ReadError> {
        let (links, size, block, parent, offset, xattr);
        if extended {
            [links, size, block, parent] = self.words(cursor)?;
            // An index follows, by which the kernel need not read whole listings. We do read them.
            [_, offset] = self.halves(cursor)?;
            [xattr] = self.words(cursor)?;
        } else {
            [block, links] = self.words(cursor)?;
            let [short, at] = self.halves(cursor)?;
            (size, offset, xattr) = (u32::from(short), at, NO_XATTR);
            [parent] = self.words(cursor)?;
        }
        let directory = Directory {
            parent,
            reference,
            block,
            offset,
            size,
        };
        Ok((InodeKind::Directory(directory), links, xattr))
    }

    fn file_inode(
        &mut self,
        cursor: &mut Cursor,
        extended: bool,
    ) -> Result<(InodeKind, u32, u32), ReadError> {
        let (start, size, links, fragment, offset, xattr);
        if extended {
            let [low_start, high_start, low_size, high_size, _, _] = self.words(cursor)?;
            let long = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
            (start, size) = (long(low_start, high_start), long(low_size, high_size));
            [links, fragment, offset, xattr] = self.words(cursor)?;
        } else {
            let short;
            let place;
            [place, fragment, offset, short] = self.words(cursor)?;
            (start, size, links, xattr) = (place.into(), short.into(), 1, NO_XATTR);
        }
        let file = File {
            size,
            start,
            fragment: (fragment != NO_FRAGMENT).then_some((fragment, offset)),
            blocks: cursor.clone(),
        };
        Ok((InodeKind::File(file), links, xattr))
    }

    fn symlink_inode(
        &mut self,
        cursor: &mut Cursor,
        extended: bool,
    ) -> Result<(InodeKind, u32, u32), ReadError> {
        let at = cursor.clone();
        let [links, length] = self.words(cursor)?;
        if length == 0 || length > TARGET_MAX {
            return Err(at.damaged(format!("a symlink's target cannot have {length} bytes")));
        }
        let mut target = vec![0; length as usize];
        self.metadata(cursor, &mut target)?;
        if target.contains(&0) {
            return Err(at.damaged("a symlink's target has a NUL byte in it"));
        }
        let [xattr] = match extended {
            true => self.words(cursor)?,
            false => [NO_XATTR],
        };
        Ok((InodeKind::Symlink(target), links, xattr))
    }

    fn special_inode(
        &mut self,
        cursor: &mut Cursor,
        kind: Kind,
        extended: bool,
    ) -> Result<(InodeKind, u32, u32), ReadError> {
        let [links] = self.words(cursor)?;
        let kind = match kind {
            Kind::Fifo => InodeKind::Fifo,
            Kind::Socket => InodeKind::Socket,
            device => {
                let [number] = self.words(cursor)?;
                let numbers = Device::decode(number);
                match device {
                    Kind::BlockDevice => InodeKind::BlockDevice(numbers),
                    _ => InodeKind::CharDevice(numbers),
                }
            }
        };
        let [xattr] = match extended {
            true => self.words(cursor)?,
            false => [NO_XATTR],
        };
        Ok((kind, links, xattr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_split_as_the_kernel_does() {
        for (number, major, minor) in [
            (0x0501, 5, 1),
            (0x0010_0301, 3, 0x101),
            (0xffff_ffff, 0xfff, 0xf_ffff),
        ] {
            assert_eq!(Device::decode(number), Device { major, minor });
        }
    }
}
