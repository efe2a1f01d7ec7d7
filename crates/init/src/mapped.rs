//! Devices of the device mapper that show a store image on another block device.

use alloc::format;
use alloc::string::String;

use crate::block_device::BlockDevice;
use crate::paths::c_path;
use crate::sys::{self, Errno, Fd, Open};

/// Bytes of a sector, in which the device mapper counts.
const SECTOR: u64 = 512;
/// How many names may be taken already before that is an error.
const NAMES: usize = 4096;

/// Stands for the device below in the parameters of a target.
pub(crate) const BELOW: &str = "BELOW";

/// What a device shows of the one below it.
pub(crate) struct Target {
    /// The name of the kernel's target.
    pub kind: &'static str,
    /// The size in bytes, of whole sectors.
    pub size: u64,
    /// The target's parameters.
    pub parameters: String,
}

impl Target {
    /// So many bytes, as they are.
    pub(crate) fn linear(size: u64) -> Self {
        Self {
            kind: "linear",
            size,
            parameters: format!("{BELOW} 0"),
        }
    }

    /// The parameters for a device below with these major and minor numbers.
    fn parameters_over(&self, (major, minor): (u32, u32)) -> String {
        self.parameters.replace(BELOW, &format!("{major}:{minor}"))
    }
}

/// A device that was made, as the device mapper knows it.
pub(crate) struct Mapped {
    control: Fd,
    name: String,
    target: Target,
}

/// Why there is no device.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no device mapper.
    NoMapper(Errno),
    /// It refuses the device.
    Refused(Errno),
}

impl Mapped {
    /// Puts a device over another one, which stays open below it. With `until_unmounted`, the kernel removes it once
    /// nothing has it open or mounted.
    pub(crate) fn over(
        below: &BlockDevice,
        target: Target,
        until_unmounted: bool,
    ) -> Result<(BlockDevice, Self), Failure> {
        let control =
            sys::open(c"/dev/mapper/control", Open::ReadWrite).map_err(Failure::NoMapper)?;
        let (name, minor) = create(&control).map_err(Failure::Refused)?;
        let made = (|| {
            start(&control, &name, &target, below)?;
            let path = format!("/dev/dm-{minor}");
            let open = sys::open(&c_path(&path)?, Open::Read)?;
            if until_unmounted {
                sys::remove_mapped(&control, &name, true)?;
            }
            Ok(BlockDevice { path, open })
        })();
        // A device that is of no use goes again.
        let made = made.inspect_err(|_| {
            let _ = sys::remove_mapped(&control, &name, false);
        });
        let device = made.map_err(Failure::Refused)?;
        let mapped = Self {
            control,
            name,
            target,
        };
        Ok((device, mapped))
    }

    /// Has the device show another one below from now on, with the same content. Reads that are under way end first.
    pub(crate) fn move_to(&self, below: &BlockDevice) -> Result<(), Errno> {
        start(&self.control, &self.name, &self.target, below)
    }
}

/// Gives a device its table, in place of the one that it has.
fn start(control: &Fd, name: &str, target: &Target, below: &BlockDevice) -> Result<(), Errno> {
    let numbers = below.open.stat()?.represents;
    let parameters = target.parameters_over(numbers);
    sys::start_mapped(
        control,
        name,
        target.size / SECTOR,
        target.kind,
        &parameters,
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_target_begins_at_the_first_sector() {
        let target = Target::linear(1024);
        assert_eq!((target.kind, target.size), ("linear", 1024));
        assert_eq!(target.parameters_over((43, 16)), "43:16 0");
    }
}
