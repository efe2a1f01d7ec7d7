//! What the reading side tells the writing side to do, in the order of the image.

use super::content::LargeId;
use super::inode::Tail;

/// Name, mode and type of an entry.
pub(crate) struct Node {
    pub(crate) name: Box<[u8]>,
    pub(crate) mode: u16,
    pub(crate) kind: u16,
}

impl Node {
    pub(crate) fn new(name: &[u8], mode: u16, kind: u16) -> Self {
        Self {
            name: name.into(),
            mode,
            kind,
        }
    }
}

/// Where the bytes of a file are in the image.
#[derive(Clone, Copy)]
pub(crate) enum FileData {
    /// In one fragment, whole; `size` bytes.
    Small { size: u32, tail: Tail },
    /// In blocks.
    Large(LargeId),
}

impl FileData {
    pub(crate) const EMPTY: Self = Self::Small {
        size: 0,
        tail: Tail::NONE,
    };
}

/// One step of writing the image.
pub(crate) enum Step {
    /// The blocks that follow belong to a new large content of this size, in this many blocks.
    Begin {
        size: u64,
        blocks: usize,
    },
    /// A data block of the content begun last.
    Block,
    /// A block of this many zeros of the content begun last: not stored.
    Hole(u32),
    /// The content begun last ends here, with its tail end in a fragment if it has one.
    End(Tail),
    /// The fragment of this number.
    Fragment(u32),
    /// What was stored ahead of the entries ends here.
    AheadEnd,
    Enter(Node),
    Leave,
    File(Node, FileData),
    Symlink(Node, Box<[u8]>),
}
