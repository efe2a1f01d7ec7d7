//! Disks, found by what is on them. There is no udev, and so no `/dev/disk`.

mod bytes;
mod filesystem;
mod partitions;
mod uuid;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub(crate) use filesystem::{FileSystem, Kind};

use crate::paths::{c_path, read_file};
use crate::sys::{self, Errno, Open};

/// Block devices that hold no file system of their own, or whose opening takes long when they hold nothing.
const SKIPPED: [&str; 6] = ["loop", "ram", "zram", "fd", "sr", "nbd"];
/// More block devices than that are not looked at.
const MOST: usize = 4096;
/// The unit of the kernel's numbers of sectors.
const SECTOR: u64 = 512;

/// The disk that the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Label(String),
    Uuid(String),
    PartUuid(String),
    Device(String),
}

impl Wanted {
    /// Parses `LABEL=…`, `UUID=…`, `PARTUUID=…` or `/dev/…`.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let parts = word.strip_prefix("/dev/").map(|name| ("/dev/", name));
        let (kind, value) = parts.or_else(|| word.split_once('='))?;
        let value = Some(value).filter(|value| !value.is_empty())?.into();
        Some(match kind {
            "/dev/" => Self::Device(value),
            "LABEL" => Self::Label(value),
            "UUID" => Self::Uuid(value),
            "PARTUUID" => Self::PartUuid(value),
            _ => return None,
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(value) => write!(f, "LABEL={value}"),
            Self::Uuid(value) => write!(f, "UUID={value}"),
            Self::PartUuid(value) => write!(f, "PARTUUID={value}"),
            Self::Device(value) => write!(f, "/dev/{value}"),
        }
    }
}

/// A disk, or a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Its device node.
    pub path: String,
    /// What is on it, if stage 1 knows it.
    pub filesystem: Option<FileSystem>,
}

/// Finds a disk among those that the kernel has found so far. Of two with the same name, it is always the same one.
pub(crate) fn find(wanted: &Wanted) -> Option<Disk> {
    find_in("/sys/class/block", "/dev", wanted)
}

fn find_in(sysfs: &str, dev: &str, wanted: &Wanted) -> Option<Disk> {
    names(sysfs).into_iter().find_map(|name| {
        let is_named = match wanted {
            Wanted::Device(device) => {
                if *device != name {
                    return None;
                }
                true
            }
            Wanted::PartUuid(uuid) => {
                let found = part_uuid(sysfs, dev, &name).ok().flatten()?;
                if !found.eq_ignore_ascii_case(uuid) {
                    return None;
                }
                true
            }
            Wanted::Label(_) | Wanted::Uuid(_) => false,
        };
        let path = format!("{dev}/{name}");
        // A device that cannot be read, such as an empty card reader, is none that is looked for by its content.
        let filesystem = filesystem(sysfs, &name, &path).ok().flatten();
        let is_found = match (wanted, &filesystem) {
            (Wanted::Label(label), Some(found)) => found.label == *label,
            (Wanted::Uuid(uuid), Some(found)) => found.uuid.eq_ignore_ascii_case(uuid),
            _ => is_named,
        };
        is_found.then_some(Disk { path, filesystem })
    })
}

/// The names of the block devices, sorted.
fn names(sysfs: &str) -> Vec<String> {
    let mut names = Vec::new();
    let folder = c_path(sysfs).and_then(|path| sys::open(&path, Open::Directory));
    if let Ok(folder) = folder {
        // What was listed before an error counts.
        let _ = sys::for_each_entry(&folder, |name| {
            let name = name.to_string_lossy();
            let is_skipped = SKIPPED.iter().any(|skipped| {
                let rest = name.strip_prefix(skipped);
                rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            });
            if !is_skipped && names.len() < MOST {
                names.push(name.into_owned());
            }
            Ok(())
        });
    }
    names.sort_unstable();
    names
}

fn filesystem(sysfs: &str, name: &str, path: &str) -> Result<Option<FileSystem>, Errno> {
    let sectors = number(&format!("{sysfs}/{name}/size"))?;
    let device = sys::open(&c_path(path)?, Open::Read)?;
    filesystem::identify(&device, sectors.saturating_mul(SECTOR))
}

fn part_uuid(sysfs: &str, dev: &str, name: &str) -> Result<Option<String>, Errno> {
    let partition = number(&format!("{sysfs}/{name}/partition"))?;
    let start = number(&format!("{sysfs}/{name}/start"))?.saturating_mul(SECTOR);
    // The link leads to `…/block/DISK/PARTITION`.
    let target = sys::read_link(&c_path(&format!("{sysfs}/{name}"))?)?;
    let target = String::from_utf8_lossy(&target);
    let disk = target.rsplit('/').nth(1).ok_or(Errno::ENOENT)?;
    let block = number(&format!("{sysfs}/{disk}/queue/logical_block_size")).unwrap_or(SECTOR);
    let device = sys::open(&c_path(&format!("{dev}/{disk}"))?, Open::Read)?;
    let partition = u32::try_from(partition).map_err(|_| Errno::EINVAL)?;
    partitions::uuid(&device, block, partition, start)
}

/// The number that a file of sysfs holds.
fn number(path: &str) -> Result<u64, Errno> {
    let text = read_file(path, 4096)?;
    let text = str::from_utf8(&text).map_err(|_| Errno::EINVAL)?;
    text.trim().parse().map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests;
