//! The entry point.

use alloc::vec::Vec;
use core::arch::global_asm;
use core::ffi::{CStr, c_char};

// The kernel jumps here with the arguments on the stack and the frame pointer undefined. The stack should be aligned
// for calls already; one instruction makes sure.
// The build script tells the linker to begin here.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl storeboot_start", "storeboot_start:",
    "xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {start}", "ud2",
    start = sym start,
);
#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl storeboot_start", "storeboot_start:",
    "mov x29, #0", "mov x30, #0", "mov x0, sp", "and sp, x0, #-16", "bl {start}", "brk #1",
    start = sym start,
);

/// Reads what the kernel put on the stack: the number of arguments, the arguments, a null pointer, the
/// environment, a null pointer, and then facts about the machine in pairs.
unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the kernel guarantees this form; the texts live as long as the process.
    let (args, env) = unsafe {
        let args = texts(stack.add(1));
        let env = texts(stack.add(1 + args.len() + 1));
        #[cfg(target_arch = "aarch64")]
        auxiliary::remember(stack.add(1 + args.len() + 1 + env.len() + 1));
        (args, env)
    };
    storeboot_init::run(&args, &env)
}

/// The texts of a list of pointers that ends in a null pointer.
///
/// # Safety
/// The list must be of this form, and the texts must live as long as the process.
unsafe fn texts(list: *const usize) -> Vec<&'static CStr> {
    // SAFETY: the caller guarantees the form of the list.
    let pointers = (0..).map(|at| unsafe { *list.add(at) } as *const c_char);
    pointers
        .take_while(|pointer| !pointer.is_null())
        // SAFETY: the caller guarantees that each is a text that ends in NUL.
        .map(|text| unsafe { CStr::from_ptr(text) })
        .collect()
}

/// The processor's features, which sha2 asks for by `getauxval` to choose the fastest SHA-256.
#[cfg(target_arch = "aarch64")]
mod auxiliary {
    use core::sync::atomic::{AtomicUsize, Ordering};

    const AT_HWCAP: usize = 16;
    static HWCAP: AtomicUsize = AtomicUsize::new(0);

    /// # Safety
    /// `pair` must point to pairs of a key and a value that end in a pair of zeros.
    pub(super) unsafe fn remember(mut pair: *const usize) {
        // SAFETY: the caller guarantees the form of the list and its end.
        unsafe {
            while *pair != 0 {
                if *pair == AT_HWCAP {
                    HWCAP.store(*pair.add(1), Ordering::Relaxed);
                }
                pair = pair.add(2);
            }
        }
    }

    /// The C library's function. It knows this one key and returns 0 for others, as its manual says.
    #[unsafe(no_mangle)]
    extern "C" fn getauxval(key: usize) -> usize {
        if key == AT_HWCAP {
            HWCAP.load(Ordering::Relaxed)
        } else {
            0
        }
    }
}
