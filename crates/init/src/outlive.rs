//! Processes of stage 1 that the booted system has to let live.

use core::ffi::CStr;

use crate::sys::{self, Open};

/// Makes this process one that systemd and a lack of memory do not end. Where the kernel refuses a part of that, it is as
/// before.
///
/// systemd spares what runs as root and whose command line begins with `@` when it stops all processes
/// (<https://systemd.io/ROOT_STORAGE_DAEMONS>). The kernel spares it when memory runs out.
pub(crate) fn outlive(line: &CStr) {
    sys::own_session();
    let _ = sys::show_as(line);
    let _ =
        sys::open(c"/proc/self/oom_score_adj", Open::Write).and_then(|file| file.write(b"-1000"));
}
