//! Whether a store path is what its NAR hash says.

use storeboot_closure::{PathInfo, nar};

use super::follow_up::with_follow_up;
use crate::store::read_ahead;
use crate::store::walk::Sink;
use crate::{Cancel, Context, Error, Store};

/// Refuses a path whose files do not have the NAR hash that the closure has for it.
///
/// What is packed from a path may be kept in a cache under that hash only after this: later builds take it for the
/// path.
pub(crate) fn check(store: &Store, info: &PathInfo, cancel: &Cancel) -> Result<(), Error> {
    let (hash, size) = nar::hash_with(&store.locate(info), &|_| cancel.flow())?;
    Ok(info.check(store.closure().store_dir(), hash, size)?)
}

/// Walks store paths into a sink, and calls `done` after each. A second thread checks each path that was walked, unless
/// the context says otherwise: its files are in the page cache by then.
pub(crate) fn feed<S: Sink>(
    store: &Store,
    paths: &[&PathInfo],
    context: &Context<'_>,
    sink: &mut S,
    mut done: impl FnMut(&S) -> Result<(), Error>,
) -> Result<(), Error> {
    let cancel = context.token();
    if !context.checks_nar_hashes() {
        return read_ahead::feed(store, paths, cancel, sink, |_, sink| done(sink));
    }
    with_follow_up(
        |info| {
            cancel.check()?;
            check(store, info, cancel)
        },
        |check_later| {
            read_ahead::feed(store, paths, cancel, sink, |info, sink| {
                check_later(info)?;
                done(sink)
            })
        },
    )
}
