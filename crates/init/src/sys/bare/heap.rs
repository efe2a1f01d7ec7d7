//! The allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;

use storeboot_init::sys;

/// Allocates memory from ever new chunks. Stage 1 runs for seconds and keeps most of what it reads, so only the latest
/// piece is reused after it is freed, which is what a growing text needs.
struct Heap {
    next: Cell<usize>,
    end: Cell<usize>,
}

/// The size of a chunk. The kernel gives pages of it only as they are used.
const CHUNK: usize = 1 << 20;

// SAFETY: stage 1 has a single thread, so nothing is ever shared.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap {
    next: Cell::new(0),
    end: Cell::new(0),
};

impl Heap {
    fn take(&self, layout: Layout) -> Option<usize> {
        let start = self.next.get().checked_next_multiple_of(layout.align())?;
        let end = start.checked_add(layout.size())?;
        if end > self.end.get() {
            return None;
        }
        self.next.set(end);
        Some(start)
    }
}

// SAFETY: a piece is within one chunk, aligned as asked, and overlaps no other piece that is in use: `next` only
// moves back over the latest one, when that is given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(start) = self.take(layout) {
            return start as *mut u8;
        }
        // Whatever the alignment, a piece fits into a chunk that is larger by it.
        let Some(len) = layout.size().checked_add(layout.align() + CHUNK) else {
            return core::ptr::null_mut();
        };
        let chunk = sys::map_memory(len);
        if chunk.is_null() {
            return chunk;
        }
        self.next.set(chunk as usize);
        self.end.set(chunk as usize + len);
        self.take(layout)
            .map_or(core::ptr::null_mut(), |start| start as *mut u8)
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if piece as usize + layout.size() == self.next.get() {
            self.next.set(piece as usize);
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let latest = piece as usize + layout.size() == self.next.get();
        if latest && piece as usize <= self.end.get() && size <= self.end.get() - piece as usize {
            self.next.set(piece as usize + size);
            return piece;
        }
        // SAFETY: the caller guarantees the size, with the same alignment.
        let fresh = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !fresh.is_null() {
            // SAFETY: both pieces have at least this many bytes and do not overlap.
            unsafe { core::ptr::copy_nonoverlapping(piece, fresh, layout.size().min(size)) };
        }
        fresh
    }
}
