//! Store images: recognised by their superblock, searched for, and checked.

mod search;
mod superblock;
mod verify;

pub(crate) use search::find;
pub(crate) use superblock::{Difference, check as check_superblock, compression_option};
pub(crate) use verify::verify;
