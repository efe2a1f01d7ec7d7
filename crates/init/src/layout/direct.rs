//! Layout `direct`: the store lies in rootfs, which has to become a root that can be left again.
//!
//! `pivot_root` refuses rootfs, and with it every sandbox and container fails. Shown a second time by a bind mount,
//! the same files are a root like any other, without a copy.
//!
//! There is no image whose size could be checked. So the index has to be the last member of such an initrd: when the
//! kernel stops in the midst of the store, or has no room for one more file, there is no index either.

use core::ffi::CStr;

use crate::cleanup;
use crate::error::Error;
use crate::root;

/// What stage 1 leaves nothing of: itself, its own files, and what only the kernel reads of an initrd
/// (`kernel/x86/microcode`, `kernel/firmware/acpi`). Anything else was put there to be found.
const LEFTOVERS: [&CStr; 3] = [c"init", c"storeboot", c"kernel"];

/// Makes rootfs the root by way of a bind mount, and clears up.
pub(crate) fn enter() -> Result<(), Error> {
    root::make_of_rootfs()?;
    let rootfs = root::enter()?;
    for name in LEFTOVERS {
        cleanup::remove(&rootfs, name);
    }
    Ok(())
}
