use std::fmt;

/// A level from `LOW` (fast) to `HIGH` (small): one out of this range cannot be made.
///
/// ```
/// use storeboot_squashfs::{Compression, ZstdLevel};
///
/// const FIFTEEN: ZstdLevel = ZstdLevel::new(15).expect("1 to 22");
/// assert_eq!(Compression::Zstd(FIFTEEN).to_string(), "zstd:15");
/// assert_eq!(ZstdLevel::new(23), None);
/// assert_eq!(ZstdLevel::MAX.get(), 22);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level<const LOW: u8, const HIGH: u8>(u8);

/// Levels of Zstandard: 1 to 22, which is libzstd's `ZSTD_maxCLevel()`. Its negative levels, which hardly compress, are
/// left out.
pub type ZstdLevel = Level<1, 22>;
/// Presets of xz: 0 to 9, as in `xz -0` to `xz -9`; the slower variants (`xz -9e`) are left out.
pub type XzLevel = Level<0, 9>;
/// Levels of zlib: 1 (`Z_BEST_SPEED`) to 9 (`Z_BEST_COMPRESSION`). Level 0 only stores, as [`Compression::None`] does.
///
/// [`Compression::None`]: crate::Compression::None
pub type GzipLevel = Level<1, 9>;
/// Levels of LZ4's high-compression mode: 1 to 12, which is `LZ4HC_CLEVEL_MAX` of its `lz4hc.h`.
pub type Lz4Level = Level<1, 12>;

impl<const LOW: u8, const HIGH: u8> Level<LOW, HIGH> {
    /// The fastest level.
    pub const MIN: Self = Self(LOW);
    /// The level that makes the smallest output.
    pub const MAX: Self = Self(HIGH);

    /// The level with this number; `None` if there is no such level.
    #[must_use]
    pub const fn new(level: u8) -> Option<Self> {
        if LOW <= level && level <= HIGH {
            Some(Self(level))
        } else {
            None
        }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl<const LOW: u8, const HIGH: u8> fmt::Display for Level<LOW, HIGH> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_in_its_range() {
        let all = |new: fn(u8) -> bool| {
            (0..=u8::MAX)
                .filter(|&level| new(level))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            all(|level| ZstdLevel::new(level).is_some()),
            Vec::from_iter(1..=22)
        );
        assert_eq!(
            all(|level| XzLevel::new(level).is_some()),
            Vec::from_iter(0..=9)
        );
        assert_eq!(
            all(|level| GzipLevel::new(level).is_some()),
            Vec::from_iter(1..=9)
        );
        assert_eq!(
            all(|level| Lz4Level::new(level).is_some()),
            Vec::from_iter(1..=12)
        );
        assert_eq!((XzLevel::MIN.get(), XzLevel::MAX.get()), (0, 9));
    }
}
