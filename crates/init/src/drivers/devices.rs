//! The devices that the kernel has found, from sysfs.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::paths::{c_path, read_all};
use crate::sys::{self, Errno, Fd, Open};

/// How many devices are looked at. More is a machine that nobody has.
const MOST: usize = 1 << 16;
/// The largest file that is read: sysfs gives at most a page.
const PAGE: usize = 1 << 16;
/// Where transceivers (PHYs) of network cards are.
const TRANSCEIVERS: &[u8] = b"mdio_bus";
/// Pieces of memory are devices, too. A large machine has thousands, and none has a driver.
const MEMORY: &[u8] = b"memory";

/// Calls `each` with the modalias and the name of every device that has one: `pci:v00001AF4…` and
/// `pci device 0000:00:03.0`.
pub(super) fn for_each(sysfs: &str, mut each: impl FnMut(&str, &str)) {
    let mut left = MOST;
    let buses = format!("{sysfs}/bus");
    // A bus or a device that is gone, or has no such file, is not for us.
    let _ = for_each_name(&buses, |bus| {
        if bus.to_bytes() == MEMORY {
            return Ok(());
        }
        let bus_name = String::from_utf8_lossy(bus.to_bytes());
        let devices = format!("{buses}/{bus_name}/devices");
        let folder = sys::open(&c_path(&devices)?, Open::Directory)?;
        sys::for_each_entry(&folder, |device| {
            left = left.checked_sub(1).ok_or(Errno::E2BIG)?;
            let modalias = if bus.to_bytes() == TRANSCEIVERS {
                transceiver(&folder, device)
            } else {
                modalias(&folder, device)
            };
            if let Some(modalias) = modalias {
                let name = String::from_utf8_lossy(device.to_bytes());
                each(&modalias, &format!("{bus_name} device {name}"));
            }
            Ok(())
        })
    });
}

/// Calls `each` with the names in a folder. An error of one does not keep it from the next.
fn for_each_name(
    path: &str,
    mut each: impl FnMut(&CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let folder = sys::open(&c_path(path)?, Open::Directory)?;
    sys::for_each_entry(&folder, |name| {
        let _ = each(name);
        Ok(())
    })
}

/// A device's modalias. Some buses have it in the device's `uevent` only (auxiliary, mmc).
fn modalias(devices: &Fd, device: &CStr) -> Option<String> {
    match read(devices, device, "modalias") {
        Ok(text) => Some(text.trim_end_matches('\n').into()),
        Err(_) => {
            let text = read(devices, device, "uevent").ok()?;
            let mut lines = text.lines();
            lines
                .find_map(|line| line.strip_prefix("MODALIAS="))
                .map(Into::into)
        }
    }
    .filter(|modalias: &String| !modalias.is_empty())
}

/// The modalias of a transceiver, which the kernel only tells `modprobe`: the bits of its number.
fn transceiver(devices: &Fd, device: &CStr) -> Option<String> {
    let text = read(devices, device, "phy_id").ok()?;
    let number = u32::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()?;
    Some(format!("mdio:{number:032b}"))
}

fn read(devices: &Fd, device: &CStr, file: &str) -> Result<String, Errno> {
    let path = [device.to_bytes(), b"/", file.as_bytes()].concat();
    let path = alloc::ffi::CString::new(path).map_err(|_| Errno::EINVAL)?;
    let text: Vec<u8> = read_all(&sys::open_at(devices, &path, Open::Read)?, PAGE)?;
    String::from_utf8(text).map_err(|_| Errno::EINVAL)
}
