//! Numbers in bytes that come from a disk.

/// Bytes that are read with bounds.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// What begins at this offset.
    pub(super) fn from(self, offset: usize) -> Option<Self> {
        self.0.get(offset..).map(Self)
    }

    pub(super) fn array<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.0.get(offset..)?.first_chunk().copied()
    }

    /// A number, the low byte first.
    pub(super) fn u16(self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    /// A number, the low byte first.
    pub(super) fn u32(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    /// A number, the low byte first.
    pub(super) fn u64(self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }
}
