//! The requests to the device mapper (`include/uapi/linux/dm-ioctl.h`).

use alloc::vec::Vec;

use linux_raw_sys::general as k;

use super::syscall::syscall;
use super::{Errno, Fd};

/// Bytes of `struct dm_ioctl`, which every request begins with, and where its fields are.
const HEADER: usize = 312;
const VERSION: usize = 0;
const DATA_SIZE: usize = 12;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const FLAGS: usize = 28;
const DEVICE: usize = 40;
const NAME: usize = 48;
/// Bytes for the name, its NUL included.
const NAME_ROOM: usize = 128;

/// Bytes of `struct dm_target_spec`, which stands before a target's parameters, and where its fields are.
const TARGET: usize = 40;
const LENGTH: usize = 8;
const KIND: usize = 24;
/// Bytes for the kind of target, its NUL included.
const KIND_ROOM: usize = 16;

/// The version of the requests: the kernel takes what is as old as its own major version.
const MAJOR: u32 = 4;
const READ_ONLY: u32 = 1 << 0;
const DEFERRED_REMOVE: u32 = 1 << 17;

/// The requests' numbers: `_IOWR(DM_IOCTL, number, struct dm_ioctl)`, the same on both architectures.
const fn request(number: usize) -> usize {
    3 << 30 | HEADER << 16 | 0xfd << 8 | number
}
const DEV_CREATE: usize = request(3);
const DEV_REMOVE: usize = request(4);
const DEV_SUSPEND: usize = request(6);
const TABLE_LOAD: usize = request(9);

/// One request, as bytes: the header and what follows it.
struct Request(Vec<u8>);

impl Request {
    fn new(name: &str, flags: u32) -> Result<Self, Errno> {
        if name.is_empty() || name.len() >= NAME_ROOM {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut request = Self(alloc::vec![0; HEADER]);
        request.put(VERSION, &MAJOR.to_ne_bytes());
        request.put(DATA_START, &(HEADER as u32).to_ne_bytes());
        request.put(FLAGS, &flags.to_ne_bytes());
        request.put(NAME, name.as_bytes());
        Ok(request)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Adds the only target of a table, which is as long as the device.
    fn target(&mut self, sectors: u64, kind: &str, parameters: &str) -> Result<(), Errno> {
        if kind.len() >= KIND_ROOM {
            return Err(Errno::ENAMETOOLONG);
        }
        let start = self.0.len();
        self.0.resize(start + TARGET, 0);
        self.put(start + LENGTH, &sectors.to_ne_bytes());
        self.put(start + KIND, kind.as_bytes());
        self.0.extend_from_slice(parameters.as_bytes());
        self.0.push(0);
        self.put(TARGET_COUNT, &1_u32.to_ne_bytes());
        Ok(())
    }

    /// Asks the kernel, whose answer takes the place of the request.
    fn send(&mut self, control: &Fd, request: usize) -> Result<(), Errno> {
        let size = u32::try_from(self.0.len()).map_err(|_| Errno::E2BIG)?;
        self.put(DATA_SIZE, &size.to_ne_bytes());
        let to = self.0.as_mut_ptr() as usize;
        // SAFETY: the kernel reads and writes at most as many bytes as `data_size` says, which is the buffer's length,
        // and the buffer lives until the call returns.
        unsafe { syscall(k::__NR_ioctl, [control.arg(), request, to]) }.map(drop)
    }
}

/// Makes a device of this name, without a table, and returns its minor number.
pub fn create_mapped(control: &Fd, name: &str) -> Result<u32, Errno> {
    let mut request = Request::new(name, 0)?;
    request.send(control, DEV_CREATE)?;
    let mut device = [0; 8];
    device.copy_from_slice(&request.0[DEVICE..DEVICE + 8]);
    let device = u64::from_ne_bytes(device);
    // The kernel's numbering: the low byte of the minor number, the major number, the rest of the minor number.
    Ok((device & 0xff | device >> 12 & 0xf_ff00) as u32)
}

/// Gives a device its table, of one read-only target, and starts it.
pub fn start_mapped(
    control: &Fd,
    name: &str,
    sectors: u64,
    kind: &str,
    parameters: &str,
) -> Result<(), Errno> {
    let mut request = Request::new(name, READ_ONLY)?;
    request.target(sectors, kind, parameters)?;
    request.send(control, TABLE_LOAD)?;
    // Without the flag that suspends, this resumes.
    Request::new(name, 0)?.send(control, DEV_SUSPEND)
}

/// Removes a device: at once, or with `when_closed` as soon as nothing has it open or mounted.
pub fn remove_mapped(control: &Fd, name: &str, when_closed: bool) -> Result<(), Errno> {
    let flags = if when_closed { DEFERRED_REMOVE } else { 0 };
    Request::new(name, flags)?.send(control, DEV_REMOVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that a C compiler makes of the kernel's header.
    #[test]
    fn requests_have_the_kernels_numbers() {
        assert_eq!(DEV_CREATE, 0xc138_fd03);
        assert_eq!(TABLE_LOAD, 0xc138_fd09);
    }

    #[test]
    fn a_table_is_laid_out_as_the_kernel_reads_it() {
        let mut request = Request::new("name", READ_ONLY).unwrap();
        request.target(8, "verity", "1 7:0").unwrap();
        let bytes = &request.0;
        assert_eq!(bytes.len(), HEADER + TARGET + 6);
        assert_eq!(bytes[VERSION..VERSION + 4], 4_u32.to_ne_bytes());
        assert_eq!(bytes[TARGET_COUNT..TARGET_COUNT + 4], 1_u32.to_ne_bytes());
        assert_eq!(bytes[NAME..NAME + 5], *b"name\0");
        assert_eq!(
            bytes[HEADER + LENGTH..HEADER + LENGTH + 8],
            8_u64.to_ne_bytes()
        );
        assert_eq!(bytes[HEADER + KIND..HEADER + KIND + 7], *b"verity\0");
        assert_eq!(bytes[HEADER + TARGET..], *b"1 7:0\0");
    }

    #[test]
    fn names_that_have_no_room_are_refused() {
        for name in [std::string::String::new(), "n".repeat(NAME_ROOM)] {
            assert_eq!(Request::new(&name, 0).err(), Some(Errno::ENAMETOOLONG));
        }
        assert!(Request::new(&"n".repeat(NAME_ROOM - 1), 0).is_ok());
    }
}
