//! The binary's allocator.

use core::alloc::{GlobalAlloc, Layout};

use storeboot_init::sys::Heap;

struct Global(Heap);

// SAFETY: stage 1 has a single thread, so nothing is ever shared.
unsafe impl Sync for Global {}

#[global_allocator]
static HEAP: Global = Global(Heap::new());

// SAFETY: the heap keeps what an allocator promises.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.0.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.0.realloc(memory, layout, size) }
    }
}
