//! Whether a store path is what its NAR hash says.

use storeboot_closure::{PathInfo, nar};

use crate::{Cancel, Error, Store};

/// Refuses a path whose files do not have the NAR hash that the closure has for it.
///
/// What is packed from a path may be kept in a cache under that hash only after this: later builds take it for the
/// path.
pub(crate) fn check(store: &Store, info: &PathInfo, cancel: &Cancel) -> Result<(), Error> {
    let (hash, size) = nar::hash_with(&store.locate(info), &|_| cancel.flow())?;
    Ok(info.check(store.closure().store_dir(), hash, size)?)
}
