//! The memory functions that the compiler calls without being asked to.
//!
//! They are written in assembly because a loop in Rust may be compiled into a call of the function it implements.

use core::arch::asm;

/// Copies `len` bytes between places that do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller guarantees that both places are valid; a copy that runs upwards reads each byte before it is
    // written.
    unsafe { copy_up(to, from, len) };
    to
}

/// Copies `len` bytes between places that may overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller guarantees that both places are valid; the direction keeps from writing over bytes not yet
    // read.
    unsafe {
        if (to as usize).wrapping_sub(from as usize) >= len {
            copy_up(to, from, len);
        } else {
            copy_down(to, from, len);
        }
    }
    to
}

/// Fills `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
    // SAFETY: the caller guarantees that the place is valid.
    unsafe { fill(to, byte as u8, len) };
    to
}

/// Compares `len` bytes; the sign tells which is greater.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    for at in 0..len {
        // SAFETY: the caller guarantees that both places are valid. Volatile, so that this loop stays a loop.
        let (a, b) = unsafe { (a.add(at).read_volatile(), b.add(at).read_volatile()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

/// Compares `len` bytes; 0 means equal.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    // SAFETY: the caller guarantees that both places are valid.
    unsafe { memcmp(a, b, len) }
}

/// The length of a text up to its NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: the caller guarantees that a NUL follows. Volatile, so that this loop stays a loop.
    while unsafe { text.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}

#[cfg(target_arch = "x86_64")]
unsafe fn copy_up(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller guarantees that both places are valid; the direction flag is clear by the calling convention.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
    }
}

#[cfg(target_arch = "x86_64")]
unsafe fn copy_down(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller guarantees that both places are valid; the direction flag is cleared again as everyone expects
    // it.
    unsafe {
        let (to, from) = (
            to.wrapping_add(len).wrapping_sub(1),
            from.wrapping_add(len).wrapping_sub(1),
        );
        asm!("std", "rep movsb", "cld", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack));
    }
}

#[cfg(target_arch = "x86_64")]
unsafe fn fill(to: *mut u8, byte: u8, len: usize) {
    // SAFETY: the caller guarantees that the place is valid; the direction flag is clear by the calling convention.
    unsafe {
        asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") byte, options(nostack, preserves_flags));
    }
}

#[cfg(target_arch = "aarch64")]
unsafe fn copy_up(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller guarantees that both places are valid; eight bytes at a time, then one at a time, never past
    // the end.
    unsafe {
        asm!(
            "2:", "cmp {len}, #8", "b.lo 3f", "ldr {word}, [{from}], #8", "str {word}, [{to}], #8", "sub {len}, {len}, #8", "b 2b",
            "3:", "cbz {len}, 4f", "ldrb {word:w}, [{from}], #1", "strb {word:w}, [{to}], #1", "sub {len}, {len}, #1", "b 3b",
            "4:",
            len = inout(reg) len => _, to = inout(reg) to => _, from = inout(reg) from => _, word = out(reg) _,
            options(nostack),
        );
    }
}

#[cfg(target_arch = "aarch64")]
unsafe fn copy_down(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller guarantees that both places are valid; one byte at a time from the end, never past the start.
    unsafe {
        asm!(
            "2:", "cbz {len}, 3f", "sub {len}, {len}, #1", "ldrb {byte:w}, [{from}, {len}]", "strb {byte:w}, [{to}, {len}]", "b 2b",
            "3:",
            len = inout(reg) len => _, to = in(reg) to, from = in(reg) from, byte = out(reg) _,
            options(nostack),
        );
    }
}

#[cfg(target_arch = "aarch64")]
unsafe fn fill(to: *mut u8, byte: u8, len: usize) {
    // SAFETY: the caller guarantees that the place is valid; one byte at a time, never past the end.
    unsafe {
        asm!(
            "2:", "cbz {len}, 3f", "strb {byte:w}, [{to}], #1", "sub {len}, {len}, #1", "b 2b",
            "3:",
            len = inout(reg) len => _, to = inout(reg) to => _, byte = in(reg) u32::from(byte),
            options(nostack),
        );
    }
}
