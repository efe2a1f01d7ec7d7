//! Values that the text and the JSON forms have in common.

use nix_derivation::{StoreDir, StorePath};

use crate::Error;
use crate::excerpt::beginning;

/// Takes a NAR's size. Nix writes 0 where it does not know the size; the shortest NAR, of an empty directory, has 96
/// bytes.
pub(crate) fn known(size: u64) -> Option<u64> {
    (size != 0).then_some(size)
}

/// Parses a full store path. The error shows what is there instead.
pub(crate) fn parse_path(bytes: &[u8], store_dir: &StoreDir) -> Result<StorePath, Error> {
    // The errors of the parser repeat its whole input.
    const LONGEST: usize = 4096;
    let wrong = |reason: String| Error::NotAStorePath {
        path: beginning(bytes),
        store_dir: store_dir.to_string(),
        reason: beginning(reason.as_bytes()),
    };
    if bytes.len() > LONGEST {
        return Err(wrong(format!("it has {} bytes", bytes.len())));
    }
    store_dir
        .parse_path(bytes)
        .map_err(|error| wrong(error.to_string()))
}
