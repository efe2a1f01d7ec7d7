//! An initrd: segments one after the other.
//!
//! [`writer`] writes segments and keeps account of them, [`stage1_segment`] makes the ones with stage 1 and the index,
//! [`drivers_segment`] the one with device drivers, [`segments`] reads them back, and [`other_initrd`] reads an initrd that brings a stage 1 of its own.

pub(crate) mod drivers_segment;
pub(crate) mod other_initrd;
pub(crate) mod program;
pub(crate) mod segments;
pub(crate) mod stage1_segment;
pub(crate) mod writer;

pub(crate) use writer::{InitrdWriter, PAGE};
