//! Which paths an index may hold.

use crate::MAX_PATH;

/// Relative, printable ASCII without spaces, no empty part, no `.`, no `..`: the path stays inside the
/// initrd and needs no quoting on its line.
pub(crate) fn is_valid(path: &str) -> bool {
    path.len() <= MAX_PATH
        && path.bytes().all(|b| b.is_ascii_graphic())
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
