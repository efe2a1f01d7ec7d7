//! The squashfs 4.0 on-disk format: constants and the superblock.
//!
//! The rules are those of the Linux kernel, `fs/squashfs/squashfs_fs.h`. All numbers are little endian.

/// `hsqs`, the first four bytes of an image.
pub const MAGIC: u32 = 0x7371_7368;
/// Size of a superblock in bytes.
pub const SUPERBLOCK_SIZE: usize = 96;
/// Bytes of metadata that are compressed together.
pub const METADATA_SIZE: usize = 8192;
/// Set in the 16-bit header of a metadata block that is stored as it is.
pub const METADATA_UNCOMPRESSED: u16 = 1 << 15;
/// Set in the 32-bit size of a data block or fragment that is stored as it is.
pub const BLOCK_UNCOMPRESSED: u32 = 1 << 24;
/// "No fragment" in a file's inode.
pub const NO_FRAGMENT: u32 = u32::MAX;
/// "No extended attributes" in an extended inode.
pub const NO_XATTR: u32 = u32::MAX;
/// Start of a table that the image does not have.
pub const NO_TABLE: u64 = u64::MAX;
/// Smallest data block, 4 KiB.
pub const MIN_BLOCK_SIZE: u32 = 4096;
/// Largest data block, 1 MiB.
pub const MAX_BLOCK_SIZE: u32 = 1 << 20;
/// Longest file name in bytes (`SQUASHFS_NAME_LEN`).
pub const NAME_MAX: usize = 256;
/// Longest symlink target in bytes: the kernel reads it into one page.
pub const SYMLINK_MAX: usize = 4095;
/// Most entries after one directory header (`SQUASHFS_DIR_COUNT`).
pub const DIRECTORY_RUN: usize = 256;

/// Bits of the superblock's `flags`.
pub mod flag {
    /// Inodes are stored uncompressed.
    pub const UNCOMPRESSED_INODES: u16 = 0x0001;
    /// Data blocks are stored uncompressed.
    pub const UNCOMPRESSED_DATA: u16 = 0x0002;
    /// Fragments are stored uncompressed.
    pub const UNCOMPRESSED_FRAGMENTS: u16 = 0x0008;
    /// There are no fragments.
    pub const NO_FRAGMENTS: u16 = 0x0010;
    /// Tail ends of files larger than a block are in fragments, too.
    pub const ALWAYS_FRAGMENTS: u16 = 0x0020;
    /// Equal files share their data.
    pub const DUPLICATES: u16 = 0x0040;
    /// There is an export table.
    pub const EXPORTABLE: u16 = 0x0080;
    /// There are no extended attributes.
    pub const NO_XATTRS: u16 = 0x0200;
    /// A block of compressor options follows the superblock.
    pub const COMPRESSOR_OPTIONS: u16 = 0x0400;
    /// Ids are stored uncompressed.
    pub const UNCOMPRESSED_IDS: u16 = 0x0800;
}

/// Numbers of the superblock's `compressor`.
pub mod compressor {
    /// zlib streams.
    pub const GZIP: u16 = 1;
    /// xz streams.
    pub const XZ: u16 = 4;
    /// LZ4 blocks.
    pub const LZ4: u16 = 5;
    /// Zstandard frames.
    pub const ZSTD: u16 = 6;
}

/// Inode types. Directory entries name the basic type even where the inode is an extended one.
pub mod inode {
    /// Directory.
    pub const DIRECTORY: u16 = 1;
    /// Regular file.
    pub const FILE: u16 = 2;
    /// Symbolic link.
    pub const SYMLINK: u16 = 3;
    /// Block device.
    pub const BLOCK_DEVICE: u16 = 4;
    /// Character device.
    pub const CHAR_DEVICE: u16 = 5;
    /// Named pipe.
    pub const FIFO: u16 = 6;
    /// Unix socket.
    pub const SOCKET: u16 = 7;
    /// What is added to a basic type for its extended form.
    pub const EXTENDED: u16 = 7;
}

/// The first 96 bytes of an image.
///
/// ```
/// use storeboot_squashfs::format::Superblock;
///
/// let zeros = [0; 96];
/// assert!(Superblock::decode(&zeros).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Number of inodes.
    pub inode_count: u32,
    /// Time of the image, in seconds since 1970.
    pub mod_time: u32,
    /// Size of a data block in bytes.
    pub block_size: u32,
    /// Number of fragments.
    pub fragment_count: u32,
    /// One of [`compressor`].
    pub compressor: u16,
    /// Bits of [`flag`].
    pub flags: u16,
    /// Number of user and group ids.
    pub id_count: u16,
    /// Reference of the root directory's inode.
    pub root_inode: u64,
    /// Bytes of the image, without padding.
    pub bytes_used: u64,
    /// Where the id table's index is.
    pub id_table_start: u64,
    /// Where the extended attributes' index is, or [`NO_TABLE`].
    pub xattr_id_table_start: u64,
    /// Where the inodes are.
    pub inode_table_start: u64,
    /// Where the directory listings are.
    pub directory_table_start: u64,
    /// Where the fragment table's index is, or [`NO_TABLE`].
    pub fragment_table_start: u64,
    /// Where the export table's index is, or [`NO_TABLE`].
    pub export_table_start: u64,
}

impl Superblock {
    /// The superblock as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SUPERBLOCK_SIZE] {
        let mut bytes = Vec::with_capacity(SUPERBLOCK_SIZE);
        for word in [
            MAGIC,
            self.inode_count,
            self.mod_time,
            self.block_size,
            self.fragment_count,
        ] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let block_log = self.block_size.trailing_zeros() as u16;
        for half in [
            self.compressor,
            block_log,
            self.flags,
            self.id_count,
            4, // major version
            0, // minor version
        ] {
            bytes.extend_from_slice(&half.to_le_bytes());
        }
        for long in [
            self.root_inode,
            self.bytes_used,
            self.id_table_start,
            self.xattr_id_table_start,
            self.inode_table_start,
            self.directory_table_start,
            self.fragment_table_start,
            self.export_table_start,
        ] {
            bytes.extend_from_slice(&long.to_le_bytes());
        }
        let mut block = [0; SUPERBLOCK_SIZE];
        block.copy_from_slice(&bytes);
        block
    }

    /// Reads a superblock; `None` where the bytes are not one of squashfs 4.0.
    #[must_use]
    pub fn decode(bytes: &[u8; SUPERBLOCK_SIZE]) -> Option<Self> {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let block_size = word(12);
        let sound = word(0) == MAGIC
            && half(28) == 4
            && half(30) == 0
            && block_size.is_power_of_two()
            && (MIN_BLOCK_SIZE..=MAX_BLOCK_SIZE).contains(&block_size)
            && u32::from(half(22)) == block_size.trailing_zeros();
        sound.then(|| Self {
            inode_count: word(4),
            mod_time: word(8),
            block_size,
            fragment_count: word(16),
            compressor: half(20),
            flags: half(24),
            id_count: half(26),
            root_inode: long(32),
            bytes_used: long(40),
            id_table_start: long(48),
            xattr_id_table_start: long(56),
            inode_table_start: long(64),
            directory_table_start: long(72),
            fragment_table_start: long(80),
            export_table_start: long(88),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superblock_is_read_back() {
        let superblock = Superblock {
            inode_count: 1,
            mod_time: 2,
            block_size: 1 << 17,
            fragment_count: 3,
            compressor: compressor::ZSTD,
            flags: flag::NO_XATTRS,
            id_count: 1,
            root_inode: 4 << 16 | 5,
            bytes_used: 6,
            id_table_start: 7,
            xattr_id_table_start: NO_TABLE,
            inode_table_start: 8,
            directory_table_start: 9,
            fragment_table_start: 10,
            export_table_start: NO_TABLE,
        };
        assert_eq!(Superblock::decode(&superblock.encode()), Some(superblock));
    }

    #[test]
    fn other_bytes_are_not_a_superblock() {
        let mut bytes = [0; SUPERBLOCK_SIZE];
        assert_eq!(Superblock::decode(&bytes), None);
        bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        assert_eq!(Superblock::decode(&bytes), None);
    }
}
