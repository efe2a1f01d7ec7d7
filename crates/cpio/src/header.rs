//! The 110 bytes before every name: a magic number and 13 numbers of 8 hexadecimal digits.

use crate::{FileType, ReadError, name};

/// The first bytes of every newc member.
pub const MAGIC: &[u8; 6] = b"070701";

/// The first bytes of every member in the variant of newc that has a checksum of the data.
pub const MAGIC_CRC: &[u8; 6] = b"070702";

/// The name of the member that ends an archive.
pub const TRAILER: &[u8] = b"TRAILER!!!";

/// The length of a header.
pub(crate) const HEADER_LEN: usize = 110;

/// Everything in a newc archive begins on a multiple of this.
pub(crate) const ALIGN: u64 = 4;

/// Bytes of padding up to where the next part may begin, when one ends at `position`.
pub(crate) const fn padding(position: u64) -> usize {
    (position.wrapping_neg() % ALIGN) as usize
}

/// A header's numbers, under their names in the kernel's documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RawHeader {
    pub ino: u32,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u32,
    pub mtime: u32,
    pub filesize: u32,
    pub maj: u32,
    pub min: u32,
    pub rmaj: u32,
    pub rmin: u32,
    pub namesize: u32,
    pub chksum: u32,
}

impl RawHeader {
    /// The bytes of a header, in capitals like GNU cpio and the kernel's gen_init_cpio.
    pub(crate) fn to_bytes(self) -> [u8; HEADER_LEN] {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut bytes = [0; HEADER_LEN];
        bytes[..6].copy_from_slice(MAGIC);
        let fields = [
            self.ino,
            self.mode,
            self.uid,
            self.gid,
            self.nlink,
            self.mtime,
            self.filesize,
            self.maj,
            self.min,
            self.rmaj,
            self.rmin,
            self.namesize,
            self.chksum,
        ];
        for (field, value) in bytes[6..].chunks_exact_mut(8).zip(fields) {
            for (i, digit) in field.iter_mut().enumerate() {
                *digit = DIGITS[(value >> (28 - 4 * i)) as usize & 15];
            }
        }
        bytes
    }
}

/// A member's header, as a [`Reader`](crate::Reader) finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Inode number. Members with the same one (on the same device) and an `nlink` of 2 or more
    /// are hard links of each other.
    pub ino: u32,
    /// Kind and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// How many names the file has.
    pub nlink: u32,
    /// Time of the last change, in seconds since 1970.
    pub mtime: u32,
    /// Length of the data.
    pub size: u32,
    /// Major and minor number of the device that the file was on.
    pub dev: (u32, u32),
    /// Major and minor number of the device that the file is.
    pub rdev: (u32, u32),
    /// Length of the name, with the NUL bytes that end and pad it.
    pub namesize: u32,
    /// The sum of all bytes of the data, if the archive is of the variant that has it. The reader
    /// compares it once all data was read or skipped.
    pub checksum: Option<u32>,
    /// Where the header begins, counted from the beginning of the archive.
    pub offset: u64,
    /// Where the data begins.
    pub data_offset: u64,
}

impl Header {
    /// The kind of the file, if the mode names one.
    #[must_use]
    pub const fn file_type(&self) -> Option<FileType> {
        FileType::from_mode(self.mode)
    }

    /// The permission bits.
    #[must_use]
    pub const fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// Parses the header at `offset`. `bytes` is shorter than a header only if the input ends there.
    pub(crate) fn parse(bytes: &[u8], offset: u64) -> Result<Self, ReadError> {
        let magic = &bytes[..bytes.len().min(MAGIC.len())];
        if magic != MAGIC && magic != MAGIC_CRC {
            let found = name::display(magic);
            return Err(ReadError::NoMagic { offset, found });
        }
        if bytes.len() < HEADER_LEN {
            let position = offset + bytes.len() as u64;
            return Err(ReadError::Truncated { offset, position });
        }
        let mut numbers = [0; 13];
        for (number, digits) in numbers.iter_mut().zip(bytes[MAGIC.len()..].chunks_exact(8)) {
            for digit in digits {
                let Some(value) = char::from(*digit).to_digit(16) else {
                    let found = name::display(digits);
                    return Err(ReadError::NotHex { offset, found });
                };
                *number = *number << 4 | value;
            }
        }
        let [
            ino,
            mode,
            uid,
            gid,
            nlink,
            mtime,
            size,
            maj,
            min,
            rmaj,
            rmin,
            namesize,
            sum,
        ] = numbers;
        Ok(Self {
            ino,
            mode,
            uid,
            gid,
            nlink,
            mtime,
            size,
            dev: (maj, min),
            rdev: (rmaj, rmin),
            namesize,
            checksum: (magic == MAGIC_CRC).then_some(sum),
            offset,
            data_offset: offset,
        })
    }
}
