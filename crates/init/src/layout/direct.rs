//! Layout `direct`: the store is in rootfs, which has to become a root that `pivot_root` accepts.
//!
//! `pivot_root` refuses rootfs, so sandboxes and containers would fail. A bind mount of rootfs is a root like any
//! other, with the same files and without a copy.
//!
//! There is no image whose size could be checked. So the index has to be the last member of such an initrd: if the
//! kernel stops in the middle of the store, or has no room for one more file, the index is missing.

use crate::cleanup;
use crate::console::Console;
use crate::error::Error;
use crate::paths::NOT_FOR_THE_SYSTEM;
use crate::root;

/// Makes rootfs the root by a bind mount, and removes the initrd's own files.
pub(crate) fn enter(console: &Console) -> Result<(), Error> {
    root::make_of_rootfs()?;
    let rootfs = root::enter()?;
    for name in NOT_FOR_THE_SYSTEM {
        cleanup::remove(&rootfs, name);
    }
    root::mount_run(console);
    Ok(())
}
