//! The allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::{copy_nonoverlapping, null_mut};

use super::pages;

/// The smallest piece, to which every piece is aligned.
const SMALLEST: usize = 16;

/// How many sizes of pieces there are: each is twice the one before.
const SIZES: usize = 14;

/// The largest piece. What is larger are pages of their own.
const LARGEST: usize = SMALLEST << (SIZES - 1);

/// How much is taken from the kernel for pieces. It gives pages of it only as they are used.
const CHUNK: usize = 1 << 20;

/// The alignment of pages, whatever the processor.
const PAGE: usize = 4096;

/// Allocates pieces whose sizes are powers of two, and uses each again for the next of its size once it is free. Long
/// waits, which try the same again and again, take no more memory over time. What is large are pages of their own,
/// which go back to the kernel, and which it makes larger without a copy.
///
/// It is for a single thread.
#[derive(Debug)]
pub struct Heap {
    /// For each size, the latest free piece. It holds a pointer to the one before.
    free: [Cell<*mut u8>; SIZES],
    /// What is left of the latest chunk.
    next: Cell<*mut u8>,
    left: Cell<usize>,
}

/// Where a layout's memory comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A piece, of the size with this number.
    Piece(usize),
    /// Pages of its own.
    Pages,
}

impl Kind {
    fn of(size: usize, align: usize) -> Self {
        if size > LARGEST || align > SMALLEST {
            return Self::Pages;
        }
        let rounded = size.max(SMALLEST).next_power_of_two();
        Self::Piece((rounded.trailing_zeros() - SMALLEST.trailing_zeros()) as usize)
    }
}

impl Heap {
    /// A heap without memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            free: [const { Cell::new(null_mut()) }; SIZES],
            next: Cell::new(null_mut()),
            left: Cell::new(0),
        }
    }

    fn take_piece(&self, number: usize) -> *mut u8 {
        let list = &self.free[number];
        let piece = list.get();
        if !piece.is_null() {
            // SAFETY: a free piece holds a pointer, for which it is large enough and aligned.
            list.set(unsafe { piece.cast::<*mut u8>().read() });
            return piece;
        }
        let size = SMALLEST << number;
        if self.left.get() < size {
            // What is left of the one before is never used: mostly, these are pages that were not even taken.
            let chunk = pages::map(CHUNK);
            if chunk.is_null() {
                return chunk;
            }
            self.next.set(chunk);
            self.left.set(CHUNK);
        }
        let piece = self.next.get();
        // SAFETY: the chunk has at least `size` bytes from there on.
        self.next.set(unsafe { piece.add(size) });
        self.left.set(self.left.get() - size);
        piece
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: a piece is at least as large as asked, is aligned to 16 bytes, which is all that pieces are used for, and is
// given out again only after it was given back. Pages are aligned to a page, and more is refused.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Kind::of(layout.size(), layout.align()) {
            Kind::Piece(number) => self.take_piece(number),
            Kind::Pages if layout.align() > PAGE => null_mut(),
            Kind::Pages => pages::map(layout.size()),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantees are the same.
        let memory = unsafe { self.alloc(layout) };
        let is_piece = matches!(Kind::of(layout.size(), layout.align()), Kind::Piece(_));
        // Pages are zeroed, and are not even there before they are touched.
        if is_piece && !memory.is_null() {
            // SAFETY: it has just been allocated with that size.
            unsafe { memory.write_bytes(0, layout.size()) };
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        match Kind::of(layout.size(), layout.align()) {
            Kind::Piece(number) => {
                let list = &self.free[number];
                // SAFETY: the piece is used by no one now, is large enough for a pointer, and aligned.
                unsafe { memory.cast::<*mut u8>().write(list.get()) };
                list.set(memory);
            }
            // SAFETY: the caller guarantees that it came from here with this size and is used no more.
            Kind::Pages => unsafe { pages::unmap(memory, layout.size()) },
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (old, align) = (layout.size(), layout.align());
        match (Kind::of(old, align), Kind::of(size, align)) {
            (Kind::Piece(before), Kind::Piece(after)) if before == after => memory,
            // SAFETY: the caller guarantees that it came from here with this size.
            (Kind::Pages, Kind::Pages) => unsafe { pages::remap(memory, old, size) },
            // SAFETY: the caller guarantees the size and the alignment; both have at least as many bytes as are copied,
            // and do not overlap.
            _ => unsafe {
                let fresh = self.alloc(Layout::from_size_align_unchecked(size, align));
                if !fresh.is_null() {
                    copy_nonoverlapping(memory, fresh, old.min(size));
                    self.dealloc(memory, layout);
                }
                fresh
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Memory that is in use, every byte of which is `mark`.
    struct Used {
        memory: *mut u8,
        layout: Layout,
        mark: u8,
    }

    impl Used {
        fn check(&self) {
            // SAFETY: it is in use and has that size.
            let bytes = unsafe { std::slice::from_raw_parts(self.memory, self.layout.size()) };
            assert!(bytes.iter().all(|byte| *byte == self.mark));
            assert_eq!(self.memory as usize % self.layout.align(), 0);
        }

        fn fill(&self) {
            // SAFETY: it is in use and has that size.
            unsafe { self.memory.write_bytes(self.mark, self.layout.size()) };
        }
    }

    proptest! {
        #[test]
        fn what_is_in_use_stays_as_it_is(
            steps in prop::collection::vec((0_u8..4, any::<prop::sample::Index>(), 0_u32..19, 0_u32..7), 1..200)
        ) {
            let heap = Heap::new();
            let mut used: Vec<Used> = Vec::new();
            for (number, (what, which, size, align)) in steps.into_iter().enumerate() {
                let size = (1_usize << size) + number % 7;
                let mark = number as u8 | 1;
                match what {
                    0 | 1 => {
                        let layout = Layout::from_size_align(size, 1 << align).unwrap();
                        // SAFETY: the size is not zero.
                        let memory = unsafe {
                            if what == 0 { heap.alloc(layout) } else { heap.alloc_zeroed(layout) }
                        };
                        prop_assert!(!memory.is_null());
                        let fresh = Used { memory, layout, mark: if what == 0 { mark } else { 0 } };
                        if what == 1 {
                            fresh.check();
                        }
                        let fresh = Used { mark, ..fresh };
                        fresh.fill();
                        used.push(fresh);
                    }
                    2 if !used.is_empty() => {
                        let gone = used.swap_remove(which.index(used.len()));
                        gone.check();
                        // SAFETY: it came from this heap and is used no more.
                        unsafe { heap.dealloc(gone.memory, gone.layout) };
                    }
                    3 if !used.is_empty() => {
                        let index = which.index(used.len());
                        let old = &used[index];
                        old.check();
                        let layout = Layout::from_size_align(size, old.layout.align()).unwrap();
                        // SAFETY: it came from this heap, and the size is not zero.
                        let memory = unsafe { heap.realloc(old.memory, old.layout, size) };
                        prop_assert!(!memory.is_null());
                        let kept = Layout::from_size_align(size.min(old.layout.size()), 1).unwrap();
                        Used { memory, layout: kept, mark: old.mark }.check();
                        used[index] = Used { memory, layout, mark };
                        used[index].fill();
                    }
                    _ => {}
                }
            }
            for one in used {
                one.check();
                // SAFETY: it came from this heap and is used no more.
                unsafe { heap.dealloc(one.memory, one.layout) };
            }
        }
    }

    #[test]
    fn repeated_work_takes_no_more_memory() {
        let heap = Heap::new();
        let round = || {
            let mut pieces = Vec::new();
            for size in [1, 16, 17, 100, 1500, 4096, 65_000, LARGEST] {
                let layout = Layout::from_size_align(size, 8).unwrap();
                // SAFETY: the size is not zero.
                pieces.push((unsafe { heap.alloc(layout) }, layout));
            }
            // A text that grows.
            let mut layout = Layout::from_size_align(8, 1).unwrap();
            // SAFETY: the size is not zero.
            let mut text = unsafe { heap.alloc(layout) };
            while layout.size() < 100_000 {
                let size = layout.size() * 2;
                // SAFETY: it came from this heap with this layout.
                text = unsafe { heap.realloc(text, layout, size) };
                layout = Layout::from_size_align(size, 1).unwrap();
            }
            pieces.push((text, layout));
            for (piece, layout) in pieces {
                // SAFETY: it came from this heap and is used no more.
                unsafe { heap.dealloc(piece, layout) };
            }
            (heap.next.get(), heap.left.get())
        };
        let first = round();
        for _ in 0..100 {
            assert_eq!(round(), first);
        }
    }

    #[test]
    fn too_much_is_refused() {
        let heap = Heap::new();
        let layout = Layout::from_size_align(1 << 46, 8).unwrap();
        // SAFETY: the sizes are not zero, and the second one came from this heap.
        unsafe {
            assert!(heap.alloc(layout).is_null());
            let layout = Layout::from_size_align(LARGEST + 1, 8).unwrap();
            let pages = heap.alloc(layout);
            pages.write(7);
            assert!(heap.realloc(pages, layout, 1 << 46).is_null());
            assert_eq!(pages.read(), 7);
            heap.dealloc(pages, layout);
            assert!(
                heap.alloc(Layout::from_size_align(16, 2 * PAGE).unwrap())
                    .is_null()
            );
        }
    }
}
