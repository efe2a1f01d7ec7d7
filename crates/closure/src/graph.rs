//! exportReferencesGraph, in whichever form it is.

use std::io::Read;

use nix_derivation::StoreDir;

use crate::limits::read_all;
use crate::{Closure, Error, json, text};

/// Reads what Nix gives to a builder for `exportReferencesGraph`, in either form: the JSON array of structured
/// attributes, or the classic text, which has no hashes and sizes.
///
/// ```
/// use storeboot_closure::{StoreDir, read_graph};
///
/// let text = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello\n\n0\n";
/// let closure = read_graph(text.as_bytes(), &StoreDir::default())?;
/// assert_eq!(closure.nar_size(), None);
/// # Ok::<(), storeboot_closure::Error>(())
/// ```
pub fn read_graph(reader: impl Read, store_dir: &StoreDir) -> Result<Closure, Error> {
    let bytes = read_all(reader)?;
    // A store path begins with a slash, a JSON array with a bracket.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return json::graph(&bytes, store_dir);
    }
    text::graph(&bytes, store_dir)
}
