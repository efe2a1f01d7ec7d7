//! The memory that unpacked files take.

/// The memory that the files of a tree take once they are unpacked, for the estimate of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) entries: u64,
    /// Bytes in whole pages, as a tmpfs holds them.
    pub(crate) pages: u64,
    /// Bytes of the largest part, or list of parts, of a file that stage 1 puts together: it is in memory twice for a
    /// while. 0 without such a file.
    pub(crate) part: u64,
}

impl std::ops::AddAssign for Extent {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.pages += other.pages;
        self.part = self.part.max(other.part);
    }
}

impl Extent {
    pub(crate) fn add(&mut self, size: u64) {
        self.entries += 1;
        self.pages += size.next_multiple_of(4096);
    }
}
