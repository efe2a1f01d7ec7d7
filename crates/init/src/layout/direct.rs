//! Layout `direct`: the store lies in rootfs, which has to become a root that can be left again.
//!
//! `pivot_root` refuses rootfs, and with it every sandbox and container fails. Shown a second time by a bind mount,
//! the same files are a root like any other, without a copy.

use crate::cleanup;
use crate::error::Error;
use crate::root;

/// Makes rootfs the root by way of a bind mount and removes stage 1's own files from it; there are no others that
/// are known not to be wanted.
pub(crate) fn enter() -> Result<(), Error> {
    root::make_of_rootfs()?;
    let rootfs = root::enter()?;
    for name in [c"init", c"storeboot"] {
        cleanup::remove(&rootfs, name);
    }
    Ok(())
}
