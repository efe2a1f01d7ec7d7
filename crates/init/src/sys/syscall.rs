//! The one instruction that enters the kernel.

use super::Errno;

/// Calls the kernel with up to six arguments; what a call does not take is ignored by it.
///
/// # Safety
/// The arguments must be what the call with this number wants: above all, a pointer must lead to memory that is
/// valid for what the kernel does with it, and for as long as it does so.
#[cfg(target_arch = "x86_64")]
unsafe fn raw(number: u32, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the caller guarantees that the arguments are valid; the registers named are all that the kernel changes.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a[0],
            in("rsi") a[1],
            in("rdx") a[2],
            in("r10") a[3],
            in("r8") a[4],
            in("r9") a[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Calls the kernel with up to six arguments; what a call does not take is ignored by it.
///
/// # Safety
/// The arguments must be what the call with this number wants: above all, a pointer must lead to memory that is
/// valid for what the kernel does with it, and for as long as it does so.
#[cfg(target_arch = "aarch64")]
unsafe fn raw(number: u32, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the caller guarantees that the arguments are valid; the kernel changes x0 only.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number as usize,
            inlateout("x0") a[0] => result,
            in("x1") a[1],
            in("x2") a[2],
            in("x3") a[3],
            in("x4") a[4],
            in("x5") a[5],
            options(nostack),
        );
    }
    result
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("stage 1 knows the system calls of x86_64 and aarch64 only");

/// As `raw`, with the kernel's answer told apart into a value and an error.
///
/// # Safety
/// As for `raw`.
pub(super) unsafe fn syscall<const N: usize>(
    number: u32,
    args: [usize; N],
) -> Result<usize, Errno> {
    const { assert!(N <= 6) };
    let mut all = [0; 6];
    all[..N].copy_from_slice(&args);
    // SAFETY: the caller guarantees that the arguments are valid.
    let result = unsafe { raw(number, all) };
    match result {
        -4095..=-1 => Err(Errno(result.unsigned_abs() as u32)),
        _ => Ok(result as usize),
    }
}
