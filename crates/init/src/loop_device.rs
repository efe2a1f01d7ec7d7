//! Loop devices: a block device of a store image in a file.

use alloc::format;

use crate::block_device::BlockDevice;
use crate::error::Error;
use crate::paths::c_path;
use crate::sys::{self, Errno, Fd, LoopInfo, Open};

/// squashfs reads in blocks of this many bytes and wants the last one whole.
const BLOCK: u64 = 1024;
/// How many free loop devices another process may take first before that is an error.
const TRIES: usize = 16;

/// Attaches `size` bytes of `file` from `offset` on as a read-only block device. Any offset will do: the kernel
/// copies from the file's pages and needs no alignment. With `until_unmounted`, the kernel detaches it once nothing has
/// it open or mounted.
pub(crate) fn attach(
    file: &Fd,
    offset: u64,
    size: u64,
    name: &str,
    until_unmounted: bool,
) -> Result<BlockDevice, Error> {
    if !size.is_multiple_of(BLOCK) {
        return Err(Error::ImageNotPadded {
            name: name.into(),
            size,
        });
    }
    let failed = |errno| Error::Attach {
        name: name.into(),
        errno,
    };
    let control = sys::open(c"/dev/loop-control", Open::ReadWrite).map_err(Error::NoLoop)?;
    let info = LoopInfo {
        offset,
        size,
        name,
        until_unmounted,
    };
    let mut last = Errno::EBUSY;
    for _ in 0..TRIES {
        let path = format!("/dev/loop{}", sys::free_number(&control).map_err(failed)?);
        let device = sys::open(&c_path(&path).map_err(failed)?, Open::Read).map_err(failed)?;
        match connect(&device, file, &info) {
            Ok(()) => {
                let shown = sys::size_in_bytes(&device).map_err(failed)?;
                if shown != size {
                    return Err(Error::ImageSize {
                        name: name.into(),
                        found: shown,
                        expected: size,
                    });
                }
                return Ok(BlockDevice { path, open: device });
            }
            Err(errno @ Errno::EBUSY) => last = errno,
            Err(errno) => return Err(failed(errno)),
        }
    }
    Err(failed(last))
}

fn connect(device: &Fd, file: &Fd, info: &LoopInfo<'_>) -> Result<(), Errno> {
    match sys::configure(device, file, info) {
        // Linux 5.7 and older do not know the one request that does it all.
        Err(Errno::ENOTTY | Errno::EINVAL) => sys::configure_in_two_steps(device, file, info),
        done => done,
    }
}
