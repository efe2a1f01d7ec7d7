//! The requests to network block devices (`include/uapi/linux/nbd.h`): devices whose reads a process answers.

use linux_raw_sys::general as k;
use linux_raw_sys::ioctl as i;

use super::syscall::syscall;
use super::{Errno, Fd};

/// Bytes of a block, which the device's size is a multiple of: a sector, as loop devices have it.
pub const NBD_BLOCK: u64 = 512;
/// The device takes flags, and is read-only.
const FLAGS: usize = 1 << 0 | 1 << 1;

/// Has a device send its requests to a socket. It has its size once [`run_nbd`] runs.
pub fn connect_nbd(device: &Fd, socket: &Fd, size: u64) -> Result<(), Errno> {
    let blocks = size / NBD_BLOCK;
    for (request, argument) in [
        (i::NBD_SET_BLKSIZE, NBD_BLOCK as usize),
        (i::NBD_SET_SIZE_BLOCKS, blocks as usize),
        (i::NBD_SET_FLAGS, FLAGS),
        (i::NBD_SET_SOCK, socket.arg()),
    ] {
        ask(device, request, argument)?;
    }
    Ok(())
}

/// Lends this process to the kernel, which sends the requests. Returns when the device is disconnected.
pub fn run_nbd(device: &Fd) -> Result<(), Errno> {
    ask(device, i::NBD_DO_IT, 0)
}

/// Ends the connection: the socket's other end gets a request that says so.
pub fn disconnect_nbd(device: &Fd) -> Result<(), Errno> {
    ask(device, i::NBD_DISCONNECT, 0)
}

fn ask(device: &Fd, request: u32, argument: usize) -> Result<(), Errno> {
    // SAFETY: these requests take numbers, and no memory.
    unsafe { syscall(k::__NR_ioctl, [device.arg(), request as usize, argument]) }.map(drop)
}
