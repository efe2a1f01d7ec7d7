//! Whether the images fit into the memory that is free.

use alloc::string::String;

use super::Error;
use crate::console::Console;
use crate::memory::meminfo;
use crate::mib::MiB;
use crate::paths::read_file;

/// What stays free beside the images: for the download's buffers, and for the kernel's lists of the pages.
const BESIDE: u64 = 16 << 20;
/// The kernel's lists of the pages take one part in this many.
const LISTS: u64 = 256;

/// Refuses to fetch what does not fit: without this, the kernel would kill stage 1 in the middle of the download.
pub(super) fn check(images: u64, console: &Console) -> Result<(), Error> {
    let need = need(images);
    let text = read_file("/proc/meminfo", 1 << 16).unwrap_or_default();
    let Some(have) = meminfo(&String::from_utf8_lossy(&text), "MemAvailable") else {
        console.step(format_args!(
            "the kernel does not tell how much memory is free"
        ));
        return Ok(());
    };
    console.step(format_args!(
        "memory for the store: {} needed, {} free",
        MiB(need),
        MiB(have)
    ));
    if have < need {
        return Err(Error::TooLittleMemory { need, have });
    }
    Ok(())
}

fn need(images: u64) -> u64 {
    images.saturating_add(images / LISTS).saturating_add(BESIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_needed_than_the_images() {
        assert_eq!(need(0), 16 << 20);
        assert_eq!(need(256 << 20), 273 << 20);
        assert_eq!(need(u64::MAX), u64::MAX);
    }
}
