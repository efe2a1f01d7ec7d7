//! arm64: the plain `Image`, and the EFI program that unpacks one.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::scan::Scan;
use super::{Architecture, Fault, Found, KernelForm, unusable};
use crate::compress::{Codec, SegmentReader};

/// Where an `Image` says where in memory it wants to be and how much it takes there.
const TEXT_OFFSET: usize = 8;
const IMAGE_SIZE: usize = 16;
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

pub(super) fn is_image(head: &[u8]) -> bool {
    head.get(MAGIC..MAGIC + 4) == Some(b"ARM\x64")
}

pub(super) fn is_zboot(head: &[u8]) -> bool {
    head.starts_with(b"MZ\0\0zimg")
}

pub(super) fn image(mut file: File) -> Result<Found, Fault> {
    file.seek(SeekFrom::Start(0))?;
    match found(KernelForm::Image, Scan::of(file)?) {
        Some(found) => Ok(found),
        None => unusable("there is no `Linux version …` in it"),
    }
}

pub(super) fn zboot(head: &[u8], mut file: File) -> Result<Found, Fault> {
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
    let Some(codec) = Codec::detect(&magic) else {
        let name = head.get(PAYLOAD_PACKING).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        return unusable(format!(
            "it is a zboot image packed with {:?}; gzip, xz, zstd and lz4 are known here",
            String::from_utf8_lossy(name)
        ));
    };
    file.seek(SeekFrom::Start(offset.into()))?;
    let packed = BufReader::new(file.take(size.into()));
    let scanned = SegmentReader::new(packed, codec).and_then(Scan::of);
    match scanned.map(|scan| found(KernelForm::Zboot, scan)) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => unusable("there is no `Linux version …` in the kernel that it holds"),
        Err(error) => unusable(format!("the kernel that it holds does not unpack: {error}")),
    }
}

fn found(form: KernelForm, scan: Scan) -> Option<Found> {
    let number = |at: usize| {
        let bytes = scan.header.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    Some(Found {
        architecture: Architecture::Aarch64,
        form,
        version: scan.version?,
        initramfs_options: Some(scan.initramfs_options).into(),
        size: number(IMAGE_SIZE)?,
        address: number(TEXT_OFFSET)?,
    })
}
