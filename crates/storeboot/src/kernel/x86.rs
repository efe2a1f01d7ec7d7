//! x86: the setup header of a bzImage.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::{Fault, KernelVersion, unusable};

/// Sectors of 512 bytes after the first that the real-mode code takes.
const SETUP_SECTS: usize = 0x1f1;
const BOOT_FLAG: usize = 0x1fe;
const HEADER: usize = 0x202;
const PROTOCOL: usize = 0x206;
/// Where the version's text is, counted from 0x200.
const VERSION_POINTER: usize = 0x20e;
const LOAD_FLAGS: usize = 0x211;
const XLOAD_FLAGS: usize = 0x236;

/// The kernel is loaded at 1 MiB: a bzImage, not a zImage.
const LOADED_HIGH: u8 = 1;
/// The kernel has a 64-bit entry.
const KERNEL_64: u16 = 1;

pub(super) fn is(head: &[u8]) -> bool {
    head.len() > XLOAD_FLAGS + 1
        && head[BOOT_FLAG..BOOT_FLAG + 2] == [0x55, 0xaa]
        && head[HEADER..HEADER + 4] == *b"HdrS"
}

/// `head` is one that [`is`] accepts.
pub(super) fn version(head: &[u8], mut file: File) -> Result<KernelVersion, Fault> {
    let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    if half(PROTOCOL) < 0x0200 || head[LOAD_FLAGS] & LOADED_HIGH == 0 {
        return unusable("it is a zImage, of a time before bzImage");
    }
    if half(PROTOCOL) < 0x020c || half(XLOAD_FLAGS) & KERNEL_64 == 0 {
        return unusable("it is a 32-bit x86 kernel; storeboot needs a 64-bit one");
    }
    let sectors = match head[SETUP_SECTS] {
        0 => 4, // what 0 stands for, by the boot protocol
        sectors => u64::from(sectors),
    };
    let start = u64::from(half(VERSION_POINTER)) + 0x200;
    if start == 0x200 || start >= (sectors + 1) * 512 {
        return unusable("its setup header does not tell its version");
    }
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(256).read_to_end(&mut text)?;
    match KernelVersion::at_start_of(&text) {
        Some(version) => Ok(version),
        None => unusable(format!(
            "no version is at byte {start}, where its setup header says it is"
        )),
    }
}
