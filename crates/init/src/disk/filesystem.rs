//! File systems, told apart by their superblocks.
//!
//! The places and the numbers are those of the kernel's `fs/ext4/ext4.h`, `fs/xfs/libxfs/xfs_format.h` and
//! `include/uapi/linux/msdos_fs.h`.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use super::bytes::Bytes;
use super::uuid::big_endian;
use crate::read_at::ReadAt;
use crate::sys::Errno;

/// What is read of a device's start.
const START: usize = 2048;

/// A kind of file system that stage 1 can keep images on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ext4, and ext2 and ext3, which the same driver mounts.
    Ext4,
    Xfs,
    /// FAT with 12, 16 or 32 bits.
    Vfat,
}

impl Kind {
    /// The name of the driver, for `mount` and for its module.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Vfat => "vfat",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a superblock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileSystem {
    pub kind: Kind,
    /// Its name; empty if it has none.
    pub label: String,
    /// Its number, as `blkid` shows it.
    pub uuid: String,
}

/// The file system on a device of `size` bytes, if it is one that stage 1 knows.
///
/// A part of a RAID array is none, although it may look like one: what is written to one part damages the array.
pub(super) fn identify(device: &impl ReadAt, size: u64) -> Result<Option<FileSystem>, Errno> {
    let mut start = [0; START];
    let len = device.read_full(&mut start, 0)?;
    let start = Bytes(start.get(..len).unwrap_or_default());
    let found = ext4(start).or_else(|| xfs(start)).or_else(|| vfat(start));
    Ok(if found.is_some() && is_in_array(device, size)? {
        None
    } else {
        found
    })
}

fn ext4(start: Bytes<'_>) -> Option<FileSystem> {
    /// This device holds another one's journal.
    const JOURNAL_DEVICE: u32 = 8;
    let superblock = start.from(1024)?;
    if superblock.u16(56)? != 0xef53 || superblock.u32(96)? & JOURNAL_DEVICE != 0 {
        return None;
    }
    Some(FileSystem {
        kind: Kind::Ext4,
        label: text(&superblock.array::<16>(120)?),
        uuid: big_endian(superblock.array(104)?),
    })
}

fn xfs(start: Bytes<'_>) -> Option<FileSystem> {
    if start.array(0)? != *b"XFSB" {
        return None;
    }
    Some(FileSystem {
        kind: Kind::Xfs,
        label: text(&start.array::<12>(108)?),
        uuid: big_endian(start.array(32)?),
    })
}

fn vfat(start: Bytes<'_>) -> Option<FileSystem> {
    let (sector, cluster) = (start.u16(11)?, start.array::<1>(13)?[0]);
    let is_fat = start.u16(510)? == 0xaa55
        && matches!(sector, 512 | 1024 | 2048 | 4096)
        && cluster.is_power_of_two()
        && matches!(start.array::<1>(16)?, [1 | 2]);
    let (serial, label) = match (&start.array::<8>(82)?, &start.array::<5>(54)?) {
        (b"FAT32   ", _) => (67, 71),
        (_, b"FAT12" | b"FAT16") => (39, 43),
        _ => return None,
    };
    let serial = start.u32(serial)?;
    let label = text(&start.array::<11>(label)?);
    is_fat.then(|| FileSystem {
        kind: Kind::Vfat,
        label: if label == "NO NAME" {
            String::new()
        } else {
            label
        },
        uuid: format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff),
    })
}

/// Whether Linux's RAID has its superblock at the end of the device, where versions 0.90 and 1.0 have it.
fn is_in_array(device: &impl ReadAt, size: u64) -> Result<bool, Errno> {
    const MAGIC: u32 = 0xa92b_4efc;
    let old = (size & !0xffff).checked_sub(0x1_0000);
    let new = (size & !0xfff).checked_sub(0x2000);
    for place in [old, new].into_iter().flatten() {
        let mut magic = [0; 4];
        if device.read_full(&mut magic, place)? == magic.len()
            && (u32::from_le_bytes(magic) == MAGIC || u32::from_be_bytes(magic) == MAGIC)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A name of fixed length, filled up with NULs or blanks.
fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    text.trim_end_matches(' ').to_string()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::read_at::InPieces;
    use crate::skipped::skipped;

    fn identified(bytes: &[u8]) -> Option<FileSystem> {
        identify(&InPieces(bytes, 100), bytes.len() as u64).unwrap()
    }

    /// What a program makes of an empty file of so many bytes; `None` if it is not installed.
    fn made(program: &str, arguments: &[&str], size: u64) -> Option<std::vec::Vec<u8>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(size).unwrap();
        let paths = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let mut command = Command::new(program);
        let output = command
            .env("PATH", paths)
            .args(arguments)
            .arg(file.path())
            .output();
        let Ok(output) = output else {
            skipped(&format!("{program} is missing"));
            return None;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
        Some(std::fs::read(file.path()).unwrap())
    }

    fn is(bytes: &[u8], kind: Kind, label: &str, uuid: &str) {
        let (label, uuid) = (label.into(), uuid.into());
        assert_eq!(identified(bytes), Some(FileSystem { kind, label, uuid }));
    }

    #[test]
    fn what_the_usual_programs_make() {
        let uuid = "0f0e0d0c-0b0a-4988-8766-554433221100";
        for program in ["mkfs.ext2", "mkfs.ext4"] {
            if let Some(bytes) = made(
                program,
                &["-q", "-F", "-L", "sixteen-letters!", "-U", uuid],
                1 << 22,
            ) {
                is(&bytes, Kind::Ext4, "sixteen-letters!", uuid);
            }
        }
        let journal = ["-q", "-F", "-O", "journal_dev", "-b", "1024"];
        if let Some(bytes) = made("mkfs.ext4", &journal, 1 << 22) {
            assert_eq!(identified(&bytes), None);
        }
        if let Some(bytes) = made(
            "mkfs.xfs",
            &[
                "-q",
                "-L",
                "twelve-chars",
                "-m",
                "uuid=0f0e0d0c-0b0a-4988-8766-554433221100",
            ],
            400 << 20,
        ) {
            is(&bytes, Kind::Xfs, "twelve-chars", uuid);
        }
        for bits in ["12", "16", "32"] {
            let size = match bits {
                "12" => 2 << 20,
                "16" => 32 << 20,
                _ => 64 << 20,
            };
            if let Some(bytes) = made(
                "mkfs.vfat",
                &["-F", bits, "-n", "STORE DISK", "-i", "12abCDef"],
                size,
            ) {
                is(&bytes, Kind::Vfat, "STORE DISK", "12AB-CDEF");
            }
            if let Some(bytes) = made("mkfs.vfat", &["-F", bits, "-i", "00000001"], size) {
                is(&bytes, Kind::Vfat, "", "0000-0001");
            }
        }
    }

    #[test]
    fn part_of_an_array_is_no_file_system() {
        let mut disk = std::vec![0; 1 << 20];
        disk[..4].copy_from_slice(b"XFSB");
        assert!(identified(&disk).is_some());
        for place in [(1 << 20) - 0x1_0000, (1 << 20) - 0x2000] {
            let mut part = disk.clone();
            part[place..place + 4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
            assert_eq!(identified(&part), None, "{place}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(mut bytes in prop::collection::vec(any::<u8>(), 0..2 * START), magic in 0..4) {
            let magic: &[(usize, &[u8])] = match magic {
                0 => &[(0, b"XFSB")],
                1 => &[(1080, &[0x53, 0xef])],
                2 => &[(510, &[0x55, 0xaa]), (82, b"FAT32   "), (11, &[0, 2, 1]), (16, &[2])],
                _ => &[],
            };
            for (at, magic) in magic {
                if let Some(to) = bytes.get_mut(*at..at + magic.len()) {
                    to.copy_from_slice(magic);
                }
            }
            let _ = identified(&bytes);
        }
    }
}
