//! Memory from the kernel, in whole pages.

use core::ptr::null_mut;

use linux_raw_sys::general as k;

use super::syscall::syscall;

/// Takes zeroed memory, which starts on a page; null when there is none.
pub(super) fn map(len: usize) -> *mut u8 {
    let rights = k::PROT_READ | k::PROT_WRITE;
    let kind = k::MAP_PRIVATE | k::MAP_ANONYMOUS;
    // SAFETY: an anonymous mapping at an address of the kernel's choice overlaps nothing that is in use.
    match unsafe {
        syscall(
            k::__NR_mmap,
            [0, len, rights as usize, kind as usize, usize::MAX, 0],
        )
    } {
        Ok(address) => address as *mut u8,
        Err(_) => null_mut(),
    }
}

/// Makes memory larger or smaller, maybe at another place; null when that is impossible, and all is as it was.
///
/// # Safety
/// [`map`] or this function gave `start` with `old` bytes, and nothing points into it but the caller.
pub(super) unsafe fn remap(start: *mut u8, old: usize, new: usize) -> *mut u8 {
    let may_move = k::MREMAP_MAYMOVE as usize;
    // SAFETY: the caller guarantees that the mapping is its own.
    match unsafe { syscall(k::__NR_mremap, [start as usize, old, new, may_move]) } {
        Ok(address) => address as *mut u8,
        Err(_) => null_mut(),
    }
}

/// Gives memory back.
///
/// # Safety
/// [`map`] or [`remap`] gave `start` with `len` bytes, and nothing points into it any more.
pub(super) unsafe fn unmap(start: *mut u8, len: usize) {
    // SAFETY: the caller guarantees that the mapping is its own and unused.
    let _ = unsafe { syscall(k::__NR_munmap, [start as usize, len]) };
}
