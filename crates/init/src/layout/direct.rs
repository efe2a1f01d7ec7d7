//! Layout `direct`: the store lies in rootfs, which has to become a root that can be left again.
//!
//! `pivot_root` refuses rootfs, and with it every sandbox and container fails. Shown a second time by a bind mount,
//! the same files are a root like any other, without a copy.
//!
//! There is no image whose size could be checked. So the index has to be the last member of such an initrd: when the
//! kernel stops in the midst of the store, or has no room for one more file, there is no index either.

use crate::cleanup;
use crate::console::Console;
use crate::error::Error;
use crate::paths::LEFTOVERS;
use crate::root;

/// Makes rootfs the root by way of a bind mount, and clears up.
pub(crate) fn enter(console: &Console) -> Result<(), Error> {
    root::make_of_rootfs()?;
    let rootfs = root::enter()?;
    for name in LEFTOVERS {
        cleanup::remove(&rootfs, name);
    }
    root::mount_run(console);
    Ok(())
}
