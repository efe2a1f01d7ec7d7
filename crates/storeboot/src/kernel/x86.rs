//! x86: the setup header of a bzImage.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::OnceLock;

use super::scan::Scan;
use super::{Architecture, Fault, Found, KernelForm, KernelVersion, unusable};
use crate::compress::{Codec, SegmentReader};

/// Sectors of 512 bytes after the first that the real-mode code takes.
const SETUP_SECTS: usize = 0x1f1;
const BOOT_FLAG: usize = 0x1fe;
const HEADER: usize = 0x202;
const PROTOCOL: usize = 0x206;
/// Where the version's text is, counted from 0x200.
const VERSION_POINTER: usize = 0x20e;
const LOAD_FLAGS: usize = 0x211;
const XLOAD_FLAGS: usize = 0x236;
/// Where the packed kernel is, counted from the end of the set-up code, and how long it is.
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
/// Where in memory the kernel wants to be, and how much of it from there on it takes until it has started.
const PREF_ADDRESS: usize = 0x258;
const INIT_SIZE: usize = 0x260;
const END: usize = 0x264;

/// The kernel is loaded at 1 MiB: a bzImage, not a zImage.
const LOADED_HIGH: u8 = 1;
/// The kernel has a 64-bit entry.
const KERNEL_64: u16 = 1;

pub(super) fn is(head: &[u8]) -> bool {
    head.len() >= END
        && head[BOOT_FLAG..BOOT_FLAG + 2] == [0x55, 0xaa]
        && head[HEADER..HEADER + 4] == *b"HdrS"
}

/// `head` is one that [`is`] accepts.
pub(super) fn bz_image(head: &[u8], mut file: File) -> Result<Found, Fault> {
    let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    if half(PROTOCOL) < 0x0200 || head[LOAD_FLAGS] & LOADED_HIGH == 0 {
        return unusable("it is a zImage, of a time before bzImage");
    }
    if half(PROTOCOL) < 0x020c || half(XLOAD_FLAGS) & KERNEL_64 == 0 {
        return unusable("it is a 32-bit x86 kernel; storeboot needs a 64-bit one");
    }
    let start = u64::from(half(VERSION_POINTER)) + 0x200;
    if start == 0x200 || start >= code(head) {
        return unusable("its setup header does not tell its version");
    }
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    (&mut file).take(256).read_to_end(&mut text)?;
    let Some(version) = KernelVersion::at_start_of(&text) else {
        return unusable(format!(
            "no version is at byte {start}, where its setup header says it is"
        ));
    };
    Ok(Found {
        architecture: Architecture::X86_64,
        form: KernelForm::BzImage,
        version,
        initramfs_options: OnceLock::new(),
        size: word(head, INIT_SIZE),
        address: word(head, PREF_ADDRESS) | word(head, PREF_ADDRESS + 4) << 32,
    })
}

/// Where the code begins, behind the boot sector and the setup sectors.
fn code(head: &[u8]) -> u64 {
    let sectors = match head[SETUP_SECTS] {
        0 => 4, // what 0 stands for, by the boot protocol
        sectors => u64::from(sectors),
    };
    (sectors + 1) * 512
}

/// Whether the packed kernel in a bzImage has this parameter; `None` where it is packed in a way that is not known here.
pub(super) fn initramfs_options(image: &Path) -> io::Result<Option<bool>> {
    let (head, mut file) = super::open(image)?;
    // Another file may have its name by now.
    if !is(&head) {
        return Ok(None);
    }
    let start = code(&head) + word(&head, PAYLOAD_OFFSET);
    file.seek(SeekFrom::Start(start))?;
    let mut magic = Vec::new();
    (&mut file).take(6).read_to_end(&mut magic)?;
    let Some(codec) = Codec::detect(&magic) else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(start))?;
    // Behind everything but gzip, which has it itself, is the kernel's size; an LZ4 frame does not end before.
    let length = match codec {
        Codec::Gzip => word(&head, PAYLOAD_LENGTH),
        Codec::Xz | Codec::Zstd | Codec::Lz4 => word(&head, PAYLOAD_LENGTH).saturating_sub(4),
    };
    let scan = Scan::of(SegmentReader::new(
        BufReader::new(file.take(length)),
        codec,
    )?)?;
    Ok(Some(scan.initramfs_options))
}

fn word(head: &[u8], at: usize) -> u64 {
    let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
    u64::from(u32::from_le_bytes(bytes))
}
