//! The 110 bytes before every name: a magic number and 13 numbers of 8 hexadecimal digits.

/// The first bytes of every newc member.
pub const MAGIC: &[u8; 6] = b"070701";

/// The first bytes of every member in the variant of newc with a sum over the data.
pub const MAGIC_CRC: &[u8; 6] = b"070702";

/// The name of the member that ends an archive.
pub const TRAILER: &[u8] = b"TRAILER!!!";

/// The length of a header.
pub(crate) const HEADER_LEN: usize = 110;

/// Everything in a newc archive begins on a multiple of this.
pub(crate) const ALIGN: u64 = 4;

/// How many bytes of padding follow when something ends at `position`.
pub(crate) const fn padding(position: u64) -> usize {
    (position.wrapping_neg() % ALIGN) as usize
}

/// A header's numbers, by the names that the kernel's documentation gives them.
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
