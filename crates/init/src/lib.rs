//! Stage 1 of a storeboot initrd: one static binary that mounts the store and starts the system.
//!
//! The kernel unpacks the initrd into rootfs and starts `/init` as PID 1. [`run`] reads what `/storeboot/index` says of
//! the initrd, makes a root file system with the store in it ([`layout`]), moves there, and becomes the program that
//! `init=` on the kernel command line names.
//!
//! An initrd may hold other archives before and behind storeboot's. Their files are in the booted system under the
//! same names, except `/init`, `/storeboot`, `/kernel`, `/initrd.image`, and files in `/dev`, `/proc` and `/sys`. A
//! warning names each file that cannot be copied, and the boot goes on.
//!
//! # The kernel command line
//! - `init=/nix/store/…/init`: what to start. Its arguments and environment are those that the kernel gave stage 1.
//! - `storeboot.debug`: report every step, with the time since the kernel started.
//! - `storeboot.verify`: check each store image's SHA-256 before it is mounted.
//! - `storeboot.verity=panic`: for store images with hash trees. A block that is not what the tree says stops the kernel,
//!   instead of being an input/output error (`error`, the default).
//! - `storeboot.ro-store`: make `/nix/store` read-only.
//! - `storeboot.profile`: record which files of the store are opened, in `/run/storeboot/profile`, until there is a
//!   file `/run/storeboot/profile.stop`.
//! - `panic=N`: the kernel's own; see below.
//!
//! For layout `fetch` only:
//! - `storeboot.store=URL[,URL…]`: where the folder `images` is served, by `http://`. All places are used at once.
//! - `storeboot.keep=LABEL=…`, `UUID=…`, `PARTUUID=…` or `/dev/…`: the disk that keeps the images, with ext4, xfs or
//!   vfat. Only what it lacks is fetched, and the boot needs no network if that is nothing.
//! - `storeboot.keep-network`: leave the network to the booted system as it is.
//! - `storeboot.stream=0`: fetch all before stage 2 starts, also where the initrd was built to start it earlier.
//! - `storeboot.rest-after=SECONDS`: with such an initrd, how long stage 2 runs before what it did not read is fetched, 30
//!   by default.
//! - `storeboot.patience=SECONDS`: how long nothing may arrive before the boot ends, 600 by default; with an initrd that
//!   starts stage 2 earlier, how long a read waits for what is not there yet before it is an error.
//! - `ip=`, `nameserver=`, `vlan=`, `BOOTIF=`: the network, in the kernel's and dracut's words. Without `ip=`, DHCP and
//!   routers are asked on every wired link.
//!
//! # When something is wrong
//! One sentence says what is wrong and what to do about it. It goes to the kernel's log, and so to every console; where
//! the kernel's log level hides it, to `/dev/console` as well. Then stage 1 ends. The kernel panics, since it has lost
//! PID 1, and does what `panic=` says. Its report is longer than some screens, so stage 1 waits ten seconds first,
//! unless `panic=-1` has the machine restart at once.
//!
//! # For another stage 1
//! As `/storeboot/attach`, in an initrd with another `/init`, this program makes the store available and ends: with 0,
//! with 1 and a sentence on standard error, or with 2 when its arguments are wrong. It needs `/dev`, `/proc` and `/sys`
//! mounted and the modules loaded, and reads the same words of the kernel command line. For layout `fetch` it needs the
//! network, too, and takes name servers from `/etc/resolv.conf`.
//! - `attach --root DIR` makes `DIR/nix/store` the writable store of the system whose root is mounted at `DIR`.
//! - `attach --store DIR` makes `DIR` the read-only store, as a lower directory of another overlay.
//! - `attach` makes a block device of each store image: `/dev/storeboot/0` and so on.
//!
//! # Shape
//! The library holds the logic and is tested on the host. The binary adds an entry point, an allocator and a panic
//! handler, and links neither a standard library nor a libc, which makes it small. [`sys`] holds all unsafe code.
#![cfg_attr(not(test), no_std)]
#![deny(missing_docs)]

extern crate alloc;

mod added_files;
mod attach;
mod block_device;
mod boot;
mod changes;
mod cleanup;
mod cmdline;
mod console;
mod context;
mod directories;
mod disk;
mod drivers;
mod error;
mod image;
mod kernel_version;
pub mod layout;
mod loop_device;
mod mapped;
mod memory;
mod mib;
mod modules;
mod netlink;
mod network;
mod outlive;
mod parts;
mod paths;
mod read_at;
mod recorder;
mod root;
#[cfg(test)]
mod skipped;
mod stage2;
mod store;
pub mod sys;
mod verity;
mod write_at;

use core::ffi::CStr;
use core::fmt;
use core::time::Duration;

use console::Console;

/// How long a message stays on the screen before the kernel's report pushes it off.
const READING_TIME: Duration = Duration::from_secs(10);

/// Runs stage 1, with the arguments and the environment that the kernel gave PID 1.
///
/// It never returns: it becomes stage 2, or ends this process with a message.
pub fn run(args: &[&CStr], env: &[&CStr]) -> ! {
    if sys::process_id() != 1 {
        if attach::is_meant(args) {
            attach::run(args);
        }
        console::to_standard_error(format_args!(
            "storeboot-init {} is stage 1 of an initrd: only the kernel starts it; another stage 1 starts it under the \
             name `attach`",
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

/// Says what is wrong and ends. As PID 1, that makes the kernel panic.
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
