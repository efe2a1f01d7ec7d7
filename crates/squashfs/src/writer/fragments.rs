//! Fragments: blocks that small files and the tail ends of others share.

use super::cache::Kind;
use super::chunk::{Chunk, Unread};
use super::inode::Tail;
use super::piece::Digest;
use super::pipeline::Pipeline;
use super::step::Step;
use crate::Error;

/// The fragments that are being filled: one for content that looks compressed already, which would make the other one
/// compress worse, and one for all other content; and one for all that is stored ahead of the entries, so that it
/// shares no fragment with the rest, and lies in the order of its use.
///
/// Where a fragment ends depends on its content too, not only on its size. So a change in one store path changes only
/// the fragments near it: a few entries later, fragments end where they ended before, and a [`crate::BlockCache`] has
/// them.
pub(crate) struct Fragments {
    block_size: usize,
    open: [Option<Open>; 3],
    /// Whether what comes is stored ahead of the entries.
    pub(crate) ahead: bool,
    /// Fragments begun.
    count: u32,
}

/// The places of the open fragments.
const OTHER: usize = 0;
const DENSE: usize = 1;
const AHEAD: usize = 2;

struct Open {
    number: u32,
    chunk: Chunk,
}

/// Bytes that go into a fragment.
pub(crate) enum FragmentPart<'a> {
    Read(&'a [u8]),
    Unread(Unread),
}

impl Fragments {
    pub(crate) fn new(block_size: usize) -> Self {
        Self {
            block_size,
            open: [None, None, None],
            ahead: false,
            count: 0,
        }
    }

    /// Bytes that wait for their fragment to be full.
    pub(crate) fn pending(&self) -> u64 {
        let sizes = self
            .open
            .iter()
            .flatten()
            .map(|open| open.chunk.size() as u64);
        sizes.sum()
    }

    pub(crate) fn add(
        &mut self,
        part: FragmentPart<'_>,
        digest: Digest,
        dense: bool,
        pipeline: &mut Pipeline<Step>,
    ) -> Result<Tail, Error> {
        let size = match &part {
            FragmentPart::Read(bytes) => bytes.len(),
            FragmentPart::Unread(part) => part.size,
        };
        let slot = match (self.ahead, dense) {
            (true, _) => AHEAD,
            (false, true) => DENSE,
            (false, false) => OTHER,
        };
        let slot = &mut self.open[slot];
        // A large part has a fragment of its own: hardly another one would fit beside it, and the one before would not
        // be full.
        let mut alone = None;
        let slot = if size > self.block_size / 8 * 5 {
            &mut alone
        } else {
            slot
        };
        if let Some(open) = slot.take_if(|open| open.chunk.size() + size > self.block_size) {
            open.close(pipeline);
        }
        let open = match slot {
            Some(open) => open,
            None => {
                let number = self.count;
                self.count = number.checked_add(1).ok_or(Error::TooLarge {
                    what: "the fragments".into(),
                    value: 1 << 32,
                    limit: u64::from(u32::MAX),
                })?;
                let chunk = Chunk::new(Kind::Fragment, pipeline.buffer());
                slot.insert(Open { number, chunk })
            }
        };
        let tail = Tail {
            fragment: open.number,
            offset: open.chunk.size() as u32,
        };
        match part {
            FragmentPart::Read(bytes) => open.chunk.add(bytes, digest),
            FragmentPart::Unread(part) => open.chunk.add_unread(part),
        }
        // Half of all contents, chosen by their hash, end a fragment that is nearly full.
        let chosen = digest[0] < 128;
        let nearly_full = |open: &Open| open.chunk.size() >= self.block_size / 8 * 7;
        if let Some(open) = slot.take_if(|open| chosen && nearly_full(open)) {
            open.close(pipeline);
        }
        if let Some(open) = alone {
            open.close(pipeline);
        }
        Ok(tail)
    }

    /// Ends fragments that are three quarters full, since an entry of the root comes next.
    pub(crate) fn boundary(&mut self, pipeline: &mut Pipeline<Step>) {
        for slot in &mut self.open {
            if let Some(open) = slot.take_if(|open| open.chunk.size() >= self.block_size / 4 * 3) {
                open.close(pipeline);
            }
        }
    }

    /// Ends the fragment of what was stored ahead.
    pub(crate) fn finish_ahead(&mut self, pipeline: &mut Pipeline<Step>) {
        if let Some(open) = self.open[AHEAD].take() {
            open.close(pipeline);
        }
    }

    pub(crate) fn finish(&mut self, pipeline: &mut Pipeline<Step>) {
        for open in self.open.iter_mut().filter_map(Option::take) {
            open.close(pipeline);
        }
    }
}

impl Open {
    fn close(self, pipeline: &mut Pipeline<Step>) {
        pipeline.push_block(Step::Fragment(self.number), self.chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    #[test]
    fn what_is_stored_ahead_lies_in_its_order_whether_it_looks_compressed_or_not() {
        let mut pipeline = Pipeline::new(&Options::default()).expect("threads");
        let mut fragments = Fragments::new(4096);
        let mut add = |fragments: &mut Fragments, byte: u8, dense| {
            let part = FragmentPart::Read(&[byte; 100]);
            let tail = fragments.add(part, [byte; 32], dense, &mut pipeline);
            let tail = tail.expect("there is room");
            (tail.fragment, tail.offset)
        };
        fragments.ahead = true;
        let ahead = [(1, false), (2, true), (3, false)];
        let ahead = ahead.map(|(byte, dense)| add(&mut fragments, byte, dense));
        assert_eq!(ahead, [(0, 0), (0, 100), (0, 200)]);
        fragments.ahead = false;
        let others = [(4, false), (5, true), (6, false)];
        let others = others.map(|(byte, dense)| add(&mut fragments, byte, dense));
        assert_eq!(others, [(1, 0), (2, 0), (1, 100)]);
    }
}
