//! arm64: the plain `Image`, and the EFI program that unpacks one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::{Fault, KernelVersion, unusable};
use crate::compress::{Packing, SegmentReader};

/// Where an `Image` has its magic number.
const MAGIC: usize = 56;
/// Where a zboot image says where its payload begins, how long it is, and how it is packed.
const PAYLOAD_OFFSET: usize = 8;
const PAYLOAD_SIZE: usize = 12;
const PAYLOAD_PACKING: std::ops::Range<usize> = 24..56;
/// Where a DOS header says where the PE header is.
const PE_OFFSET: usize = 60;
/// The PE header's name for arm64.
const PE_ARM64: [u8; 2] = [0x64, 0xaa];

/// What stands before the version in the kernel's data (`linux_banner`).
const BANNER: &[u8] = b"Linux version ";
/// Bytes behind the banner that may be needed to read the version.
const BEHIND: usize = 128;
/// Most bytes that are searched: no kernel is larger than 512 MiB.
const SEARCH_MAX: u64 = 512 << 20;

pub(super) fn is_image(head: &[u8]) -> bool {
    head.get(MAGIC..MAGIC + 4) == Some(b"ARM\x64")
}

pub(super) fn is_zboot(head: &[u8]) -> bool {
    head.starts_with(b"MZ\0\0zimg")
}

pub(super) fn image_version(mut file: File) -> Result<KernelVersion, Fault> {
    file.seek(SeekFrom::Start(0))?;
    match search(file)? {
        Some(version) => Ok(version),
        None => unusable("there is no `Linux version …` in it"),
    }
}

pub(super) fn zboot_version(head: &[u8], mut file: File) -> Result<KernelVersion, Fault> {
    let word = |at: usize| {
        let bytes = head.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    let machine = word(PE_OFFSET).and_then(|pe| {
        let pe = usize::try_from(pe).ok()?;
        head.get(pe..pe.checked_add(6)?)
    });
    match machine {
        Some([b'P', b'E', 0, 0, machine @ ..]) if machine == PE_ARM64 => {}
        Some([b'P', b'E', 0, 0, ..]) => {
            return unusable("it is a zboot image, but not one for arm64");
        }
        _ => return unusable("it is a zboot image without a PE header"),
    }
    let (Some(offset), Some(size)) = (word(PAYLOAD_OFFSET), word(PAYLOAD_SIZE)) else {
        return unusable("it is a zboot image whose header is cut off");
    };
    file.seek(SeekFrom::Start(offset.into()))?;
    let mut magic = Vec::new();
    (&mut file).take(6).read_to_end(&mut magic)?;
    let Some(packing) = Packing::detect(&magic) else {
        let name = head.get(PAYLOAD_PACKING).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        return unusable(format!(
            "it is a zboot image packed with {:?}; gzip, xz, zstd and lz4 are known here",
            String::from_utf8_lossy(name)
        ));
    };
    file.seek(SeekFrom::Start(offset.into()))?;
    let packed = BufReader::new(file.take(size.into()));
    let found = SegmentReader::new(packed, packing).and_then(search);
    match found {
        Ok(Some(version)) => Ok(version),
        Ok(None) => unusable("there is no `Linux version …` in the kernel that it holds"),
        Err(error) => unusable(format!("the kernel that it holds does not unpack: {error}")),
    }
}

/// The first version behind a banner; banners with something else behind (`%s`) are passed over.
fn search(image: impl Read) -> io::Result<Option<KernelVersion>> {
    let mut image = BufReader::with_capacity(1 << 16, image.take(SEARCH_MAX));
    let mut window: Vec<u8> = Vec::new();
    loop {
        let read = image.fill_buf()?;
        let length = read.len();
        window.extend_from_slice(read);
        image.consume(length);
        // A banner close to the end is left for the next round, unless there is none.
        let certain = match length {
            0 => window.len(),
            _ => window.len().saturating_sub(BANNER.len() + BEHIND),
        };
        let mut from = 0;
        while let Some(at) = position(&window[from..]).map(|at| at + from) {
            if at >= certain {
                break;
            }
            let behind = &window[at + BANNER.len()..];
            let behind = &behind[..behind.len().min(BEHIND)];
            if let Some(version) = KernelVersion::at_start_of(behind) {
                return Ok(Some(version));
            }
            from = at + 1;
        }
        if length == 0 {
            return Ok(None);
        }
        window.drain(..certain);
    }
}

fn position(bytes: &[u8]) -> Option<usize> {
    // Rare first byte, then the rest: quick enough without a search library.
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == BANNER[0]) {
        if bytes[from + at..].starts_with(BANNER) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
