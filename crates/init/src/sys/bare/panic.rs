//! The panic handler.

use core::panic::PanicInfo;

/// Reports the bug like any failure, then ends: there is nothing to unwind to.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    storeboot_init::report_bug(info)
}

/// The precompiled `core` and `alloc` name these two, since others unwind through them. Nothing here ever does.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// See [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    storeboot_init::sys::exit(1)
}
