//! Limits of a closure, which keep wrong input from filling the memory. The largest closures have some ten thousand
//! paths.

use std::io::Read;

use crate::Error;

/// The most bytes that a description of a closure may have.
pub(crate) const MAX_INPUT: u64 = 512 << 20;

/// The most paths in a closure.
pub(crate) const MAX_PATHS: usize = 1 << 20;

/// Reads the whole input. Fails where it is longer than any description of a closure.
pub(crate) fn read_all(reader: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut limited = reader.take(MAX_INPUT + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(|source| Error::Read { source })?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(Error::InputTooLong { limit: MAX_INPUT });
    }
    Ok(bytes)
}
