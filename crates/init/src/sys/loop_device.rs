//! The requests to loop devices.

use linux_raw_sys::general as k;
use linux_raw_sys::loop_device as l;

use super::syscall::syscall;
use super::{Errno, Fd};

/// The request for a block device's size, the same on both architectures.
const BLKGETSIZE64: usize = linux_raw_sys::ioctl::BLKGETSIZE64 as usize;

/// What a loop device is to show: `size` bytes of a file from `offset` on, read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopInfo<'a> {
    /// Where it starts in the file.
    pub offset: u64,
    /// How much of the file it shows.
    pub size: u64,
    /// What tools like `losetup` show as the file's name; cut to 63 bytes.
    pub name: &'a str,
    /// Whether it detaches the file once nothing has it open or mounted.
    pub until_unmounted: bool,
}

impl LoopInfo<'_> {
    fn raw(&self) -> l::loop_info64 {
        // SAFETY: the structure is made of integers only, for which zeros are valid.
        let mut raw: l::loop_info64 = unsafe { core::mem::zeroed() };
        raw.lo_offset = self.offset;
        raw.lo_sizelimit = self.size;
        raw.lo_flags = l::LO_FLAGS_READ_ONLY as u32;
        if self.until_unmounted {
            raw.lo_flags |= l::LO_FLAGS_AUTOCLEAR as u32;
        }
        // The last byte stays NUL.
        let room = raw.lo_file_name.len() - 1;
        for (to, from) in raw.lo_file_name[..room].iter_mut().zip(self.name.bytes()) {
            *to = from;
        }
        raw
    }
}

/// The number of a free loop device, from `/dev/loop-control`, which makes one if there is none.
pub fn free_number(control: &Fd) -> Result<usize, Errno> {
    // SAFETY: this request takes no argument.
    unsafe {
        syscall(
            k::__NR_ioctl,
            [control.arg(), l::LOOP_CTL_GET_FREE as usize, 0],
        )
    }
}

/// Attaches in one step (Linux 5.8).
pub fn configure(device: &Fd, file: &Fd, info: &LoopInfo<'_>) -> Result<(), Errno> {
    // SAFETY: the structure is made of integers only, for which zeros are valid.
    let mut config: l::loop_config = unsafe { core::mem::zeroed() };
    config.fd = file.number();
    config.info = info.raw();
    let config = &raw const config as usize;
    // SAFETY: the kernel reads a `loop_config` there, and it lives until the call returns.
    unsafe {
        syscall(
            k::__NR_ioctl,
            [device.arg(), l::LOOP_CONFIGURE as usize, config],
        )
    }
    .map(drop)
}

/// Attaches as kernels before 5.8 do.
pub fn configure_in_two_steps(device: &Fd, file: &Fd, info: &LoopInfo<'_>) -> Result<(), Errno> {
    let raw = info.raw();
    let raw = &raw const raw as usize;
    // SAFETY: the first request takes a file's number, the second reads a `loop_info64`, which lives long enough,
    // and the third takes no argument.
    unsafe {
        syscall(
            k::__NR_ioctl,
            [device.arg(), l::LOOP_SET_FD as usize, file.arg()],
        )?;
        let set = syscall(
            k::__NR_ioctl,
            [device.arg(), l::LOOP_SET_STATUS64 as usize, raw],
        );
        if set.is_err() {
            let _ = syscall(k::__NR_ioctl, [device.arg(), l::LOOP_CLR_FD as usize, 0]);
        }
        set.map(drop)
    }
}

/// How many bytes a block device has.
pub fn size_in_bytes(device: &Fd) -> Result<u64, Errno> {
    let mut size = 0_u64;
    let to = &raw mut size as usize;
    // SAFETY: the kernel writes one 64-bit number there.
    unsafe { syscall(k::__NR_ioctl, [device.arg(), BLKGETSIZE64, to]) }?;
    Ok(size)
}
