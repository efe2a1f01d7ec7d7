//! Tells compressors apart by the first bytes of what they write.

use std::fmt;

/// Which compressor wrote a stretch of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// gzip (RFC 1952).
    Gzip,
    /// An xz stream.
    Xz,
    /// A Zstandard frame.
    Zstd,
    /// An LZ4 legacy frame.
    Lz4,
}

impl Codec {
    /// Bytes that [`Codec::detect`] wants to see.
    pub const MAGIC_MAX: usize = 6;

    /// Tells by the first bytes. `None`: it is none of these, or not packed at all.
    ///
    /// ```
    /// use storeboot::compress::Codec;
    ///
    /// assert_eq!(Codec::detect(b"\x1f\x8b\x08\0\0\0"), Some(Codec::Gzip));
    /// assert_eq!(Codec::detect(b"070701"), None);
    /// ```
    #[must_use]
    pub fn detect(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0x02, 0x21, 0x4c, 0x18, ..] => Some(Self::Lz4),
            _ => None,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}
