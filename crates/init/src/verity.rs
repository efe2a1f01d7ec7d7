//! dm-verity: a block device that checks each block of a store image when it is read.
//!
//! The kernel's `Documentation/admin-guide/device-mapper/verity.rst` has the rules. The kernel hashes each block that it
//! reads from the image, and follows the tree of hashes behind the image up to the root hash, which is in the index.

use alloc::format;
use alloc::string::String;

use storeboot_index::hex::Hex;
use storeboot_index::{Image, Verity};

use crate::block_device::BlockDevice;
use crate::error::Error;
use crate::paths::c_path;
use crate::sys::{self, Errno, Fd, Open};

const BLOCK: u64 = Verity::BLOCK;
/// Bytes of a sector, in which the device mapper counts.
const SECTOR: u64 = 512;
/// How many names may be taken already before that is an error.
const NAMES: usize = 4096;

/// What happens when a block is not what the tree says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnCorruption {
    /// Reading it is an input/output error.
    #[default]
    Error,
    /// The kernel panics.
    Panic,
}

impl OnCorruption {
    /// The value of `storeboot.verity`.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        match value {
            "error" => Some(Self::Error),
            "panic" => Some(Self::Panic),
            _ => None,
        }
    }
}

/// Puts a device that checks what is read over the one of the whole image, which stays open below it. With
/// `until_unmounted`, the kernel removes it once nothing has it open or mounted.
pub(crate) fn protect(
    below: BlockDevice,
    image: &Image,
    verity: &Verity,
    on_corruption: OnCorruption,
    until_unmounted: bool,
) -> Result<BlockDevice, Error> {
    let failed = |errno| Error::Verity {
        name: image.path.clone(),
        errno,
    };
    let numbers = below.open.stat().map_err(failed)?.represents;
    let control =
        sys::open(c"/dev/mapper/control", Open::ReadWrite).map_err(Error::NoDeviceMapper)?;
    let (name, minor) = create(&control).map_err(failed)?;
    let remove = |when_closed| sys::remove_mapped(&control, &name, when_closed);
    let sectors = verity.data_size / SECTOR;
    let parameters = parameters(verity, numbers, on_corruption);
    let device = start(&control, &name, minor, sectors, &parameters);
    // A device that is of no use goes again.
    let device = device.inspect_err(|_| {
        let _ = remove(false);
    });
    let device = device.map_err(failed)?;
    if until_unmounted {
        remove(true).map_err(failed)?;
    }
    Ok(device)
}

/// Gives the device its table, and opens it.
fn start(
    control: &Fd,
    name: &str,
    minor: u32,
    sectors: u64,
    parameters: &str,
) -> Result<BlockDevice, Errno> {
    sys::start_mapped(control, name, sectors, "verity", parameters)?;
    let path = format!("/dev/dm-{minor}");
    let open = sys::open(&c_path(&path)?, Open::Read)?;
    Ok(BlockDevice { path, open })
}

/// Makes a device under a name that is free.
fn create(control: &Fd) -> Result<(String, u32), Errno> {
    for number in 0..NAMES {
        let name = format!("storeboot-{number}");
        match sys::create_mapped(control, &name) {
            Ok(minor) => return Ok((name, minor)),
            Err(Errno::EBUSY) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EBUSY)
}

/// The target's parameters, for data and tree on the device with these major and minor numbers.
fn parameters(verity: &Verity, (major, minor): (u32, u32), on_corruption: OnCorruption) -> String {
    let blocks = verity.data_size / BLOCK;
    let options = match on_corruption {
        OnCorruption::Error => "",
        OnCorruption::Panic => " 1 panic_on_corruption",
    };
    // Hash type 1, the devices of data and tree, the sizes of their blocks, how many blocks of data there are, the
    // block where the tree begins.
    format!(
        "1 {major}:{minor} {major}:{minor} {BLOCK} {BLOCK} {blocks} {blocks} sha256 {} {}{options}",
        Hex(&verity.root),
        Hex(&verity.salt)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_the_kernels_document() {
        let verity = Verity {
            data_size: 10 * BLOCK,
            salt: [0xab; 32],
            root: [0x01; 32],
        };
        let (root, salt) = ("01".repeat(32), "ab".repeat(32));
        let expected = format!("1 7:3 7:3 4096 4096 10 10 sha256 {root} {salt}");
        assert_eq!(parameters(&verity, (7, 3), OnCorruption::Error), expected);
        assert_eq!(
            parameters(&verity, (7, 3), OnCorruption::Panic),
            expected + " 1 panic_on_corruption"
        );
    }

    #[test]
    fn what_happens_is_said_by_a_word() {
        assert_eq!(OnCorruption::parse("panic"), Some(OnCorruption::Panic));
        assert_eq!(OnCorruption::parse("error"), Some(OnCorruption::Error));
        for value in ["", "1", "Panic", "ignore"] {
            assert_eq!(OnCorruption::parse(value), None);
        }
    }
}
