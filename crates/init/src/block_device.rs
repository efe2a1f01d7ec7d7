//! A block device of a store image.

use alloc::string::String;

use crate::sys::Fd;

/// A block device that shows a store image. Keep it until the image is mounted: a device that goes after its last use
/// goes when this is dropped before.
#[derive(Debug)]
pub(crate) struct BlockDevice {
    /// The device node.
    pub path: String,
    /// Keeps it from going.
    pub open: Fd,
}
