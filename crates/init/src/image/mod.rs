//! Store images: recognised, checked, attached to loop devices.

mod attach;
mod search;
mod superblock;
mod verify;

pub(crate) use attach::{LoopDevice, attach};
pub(crate) use search::find;
pub(crate) use superblock::{Difference, check as check_superblock, compression_option};
pub(crate) use verify::verify;
