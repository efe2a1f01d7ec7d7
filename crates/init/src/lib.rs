//! Stage 1 of a storeboot initrd: one static binary that mounts the store and starts the system.
//!
//! The kernel unpacks the initrd into rootfs and starts `/init` as PID 1. [`run`] reads what `/storeboot/index` says of
//! the initrd, makes a root file system with the store in it ([`layout`]), moves there, and becomes the program that
//! `init=` on the kernel command line names.
//!
//! An initrd may hold other archives before and behind storeboot's. Their files are in the booted system under the
//! same names; only `/init`, `/storeboot`, `/kernel` and `/initrd.image`, and what lies in `/dev`, `/proc` and `/sys`,
//! are not. One that cannot be kept is named in a warning, and the boot goes on.
//!
//! # The kernel command line
//! - `init=/nix/store/…/init`: what to start. Its arguments and environment are those that the kernel gave stage 1.
//! - `storeboot.debug`: report every step, with the time since the kernel started.
//! - `storeboot.verify`: check each store image's SHA-256 before it is mounted.
//! - `storeboot.ro-store`: make `/nix/store` read-only.
//! - `panic=N`: the kernel's own; see below.
//!
//! # When something is wrong
//! One sentence says what, and what to do. It goes to the kernel's log, and so to every console; where the kernel's
//! log level hides it, to `/dev/console` as well. Then stage 1 ends, and the kernel, having lost PID 1, panics and does
//! what `panic=` says. Because its report is longer than some screens, stage 1 first waits ten seconds, unless
//! the machine is meant to start again at once (`panic=-1`).
//!
//! # For another stage 1
//! As `/storeboot/attach`, in an initrd whose `/init` is somebody else's, this program makes the store available and
//! ends: with 0, with 1 and a sentence on standard error, or with 2 where its arguments are wrong. It wants `/dev`,
//! `/proc` and `/sys` mounted and the modules loaded, and heeds the same words of the kernel command line.
//! - `attach --root DIR` makes `DIR/nix/store` the writable store of the system whose root is mounted at `DIR`.
//! - `attach --store DIR` makes `DIR` the read-only store, for an overlay of somebody else's.
//! - `attach` makes a block device of each store image: `/dev/storeboot/0` and so on.
//!
//! # Shape
//! The library holds the logic and is tested on the host. The binary adds an entry point, an allocator and a panic
//! handler, and links neither a standard library nor a libc, which makes it small. [`sys`] holds all unsafe code.
#![cfg_attr(not(test), no_std)]
#![deny(missing_docs)]

extern crate alloc;

mod attach;
mod boot;
mod changes;
mod cleanup;
mod cmdline;
mod console;
mod error;
mod image;
mod keep;
mod kernel_version;
pub mod layout;
mod memory;
mod modules;
mod parts;
mod paths;
mod read_at;
mod root;
mod stage2;
mod store;
pub mod sys;

use core::ffi::CStr;
use core::fmt;
use core::time::Duration;

use console::Console;

/// How long a message stays before the kernel's own report pushes it off the screen.
const READING_TIME: Duration = Duration::from_secs(10);

/// Does everything, with the arguments and the environment that the kernel gave PID 1.
///
/// It does not come back: it becomes stage 2, or ends this process with a message.
pub fn run(args: &[&CStr], env: &[&CStr]) -> ! {
    if sys::process_id() != 1 {
        if attach::is_meant(args) {
            attach::run(args);
        }
        console::to_standard_error(format_args!(
            "storeboot-init {} is stage 1 of an initrd: the kernel starts it, nobody else; under the name `attach`, \
             another stage 1 may",
            env!("CARGO_PKG_VERSION")
        ));
        sys::exit(2);
    }
    match boot::boot(args, env) {
        Ok(never) => match never {},
        Err(error) => fail(&error),
    }
}

/// Reports a bug in stage 1 itself, then ends as with any failure.
pub fn report_bug(bug: &core::panic::PanicInfo<'_>) -> ! {
    fail(&format_args!("stage 1 has a bug, please report it: {bug}"))
}

/// Says what is wrong and ends, which makes the kernel panic.
fn fail(message: &dyn fmt::Display) -> ! {
    if sys::process_id() != 1 {
        console::to_caller(message);
        sys::exit(1);
    }
    Console::plain().error(message);
    if !console::restarts_at_once() {
        sys::sleep(READING_TIME);
    }
    sys::exit(1);
}
