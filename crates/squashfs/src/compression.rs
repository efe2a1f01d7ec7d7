//! Which compressor an image is written with, and how it is named.

use std::fmt;
use std::str::FromStr;

use crate::{GzipLevel, Level, Lz4Level, XzLevel, ZstdLevel};

/// A compressor and its level, written as `zstd:19`, `xz:6`, `gzip:9`, `lz4:12` or `none`.
///
/// Without a level, `zstd` is `zstd:19`, `xz` is `xz:6`, `gzip` is `gzip:9` and `lz4` is `lz4:12`.
///
/// ```
/// use storeboot_squashfs::{Compression, ZstdLevel};
///
/// assert_eq!("zstd:22".parse(), Ok(Compression::Zstd(ZstdLevel::MAX)));
/// assert_eq!(Compression::default().to_string(), "zstd:19");
/// assert!("zstd:23".parse::<Compression>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Blocks are stored as they are.
    None,
    /// Zstandard, levels 1 to 22.
    ///
    /// In blocks over 256 KiB, level 19 sets two parameters of its own: the output is within 0.12 % of what libzstd's
    /// 19 makes, in five sixths of its time. Level 20 makes there, to the byte, what libzstd's 19 makes.
    Zstd(ZstdLevel),
    /// xz (LZMA2 with CRC32), presets 0 to 9.
    Xz(XzLevel),
    /// Deflate in a zlib stream, levels 1 to 9.
    Gzip(GzipLevel),
    /// LZ4 blocks made by its high-compression mode, levels 1 to 12.
    Lz4(Lz4Level),
}

impl Default for Compression {
    /// zstd at level 19, as nixpkgs uses.
    fn default() -> Self {
        const { Self::Zstd(ZstdLevel::new(19).expect("1 to 22")) }
    }
}

/// The text is not one of the forms of [`Compression`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a compression; write zstd[:1-22], xz[:0-9], gzip[:1-9], lz4[:1-12] or none"
)]
#[non_exhaustive]
pub struct ParseCompressionError {
    /// What was written.
    pub text: String,
}

impl FromStr for Compression {
    type Err = ParseCompressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let parsed = match name {
            "zstd" => level_or(19, level).map(Self::Zstd),
            "xz" => level_or(6, level).map(Self::Xz),
            "gzip" => level_or(9, level).map(Self::Gzip),
            "lz4" => level_or(12, level).map(Self::Lz4),
            "none" if level.is_none() => Some(Self::None),
            _ => None,
        };
        parsed.ok_or_else(|| ParseCompressionError { text: text.into() })
    }
}

/// The level that was written, or the default.
fn level_or<const LOW: u8, const HIGH: u8>(
    default: u8,
    written: Option<&str>,
) -> Option<Level<LOW, HIGH>> {
    let number = written.map_or(Ok(default), str::parse);
    Level::new(number.ok()?)
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            Self::Xz(level) => write!(f, "xz:{level}"),
            Self::Gzip(level) => write!(f, "gzip:{level}"),
            Self::Lz4(level) => write!(f, "lz4:{level}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_back() {
        for text in [
            "none", "zstd:1", "zstd:22", "xz:0", "xz:9", "gzip:1", "lz4:12",
        ] {
            let parsed: Compression = text.parse().expect(text);
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn a_level_may_be_left_out() {
        for (text, whole) in [
            ("zstd", "zstd:19"),
            ("xz", "xz:6"),
            ("gzip", "gzip:9"),
            ("lz4", "lz4:12"),
        ] {
            let parsed: Compression = text.parse().expect(text);
            assert_eq!(parsed.to_string(), whole);
        }
        assert_eq!(Compression::default().to_string(), "zstd:19");
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for text in [
            "", "zstd:0", "zstd:23", "xz:10", "gzip:0", "lz4:13", "none:1", "bzip2", "zstd:",
            "zstd:x",
        ] {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
    }
}
