//! dm-verity: a block device that checks each block of a store image when it is read.
//!
//! The kernel's `Documentation/admin-guide/device-mapper/verity.rst` has the rules. The kernel hashes each block that it
//! reads from the image, and follows the tree of hashes behind the image up to the root hash, which is in the index.

use alloc::format;

use storeboot_index::hex::Hex;
use storeboot_index::{Image, Verity};

use crate::block_device::BlockDevice;
use crate::error::Error;
use crate::mapped::{BELOW, Failure, Mapped, Target};

const BLOCK: u64 = Verity::BLOCK;

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
    below: &BlockDevice,
    image: &Image,
    verity: &Verity,
    on_corruption: OnCorruption,
    until_unmounted: bool,
) -> Result<BlockDevice, Error> {
    let (device, _) =
        Mapped::over(below, target(verity, on_corruption), until_unmounted).map_err(|failure| {
            match failure {
                Failure::NoMapper(errno) => Error::NoDeviceMapper(errno),
                Failure::Refused(errno) => Error::Verity {
                    name: image.path.clone(),
                    errno,
                },
            }
        })?;
    Ok(device)
}

/// The target for data and tree on the device below.
pub(crate) fn target(verity: &Verity, on_corruption: OnCorruption) -> Target {
    let blocks = verity.data_size / BLOCK;
    let options = match on_corruption {
        OnCorruption::Error => "",
        OnCorruption::Panic => " 1 panic_on_corruption",
    };
    // Hash type 1, the devices of data and tree, the sizes of their blocks, how many blocks of data there are, the
    // block where the tree begins.
    let parameters = format!(
        "1 {BELOW} {BELOW} {BLOCK} {BLOCK} {blocks} {blocks} sha256 {} {}{options}",
        Hex(&verity.root),
        Hex(&verity.salt)
    );
    Target {
        kind: "verity",
        size: verity.data_size,
        parameters,
    }
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
        let expected = format!("1 BELOW BELOW 4096 4096 10 10 sha256 {root} {salt}");
        let parameters = |on_corruption| target(&verity, on_corruption).parameters;
        assert_eq!(parameters(OnCorruption::Error), expected);
        assert_eq!(
            parameters(OnCorruption::Panic),
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
