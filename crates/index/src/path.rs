//! The paths that an index may hold.

use crate::MAX_PATH;

/// Whether it is relative, printable ASCII without spaces, and without an empty part, `.` and `..`: such a path stays
/// inside the initrd and needs no quotes.
pub(crate) fn is_valid(path: &str) -> bool {
    path.len() <= MAX_PATH
        && path.bytes().all(|b| b.is_ascii_graphic())
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
