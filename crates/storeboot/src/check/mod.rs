//! Looks at what was built, and checks it.
//!
//! [`inspect()`] tells what is in a netboot directory, an initrd, a layer or a store image; [`verify()`] compares it
//! with the hashes that it carries; [`compare()`] tells how two netboot directories differ; [`sign()`] says who made
//! one, and [`verify_signed`] checks that, too.

mod compare;
mod contents;
mod index;
mod inspect;
mod manifest_file;
mod overlay;
mod places;
mod registration;
mod segments;
mod sign;
mod verify;

pub use compare::{Comparison, FileChange, PackageChange, StorePathSize, compare};
pub use inspect::{Inspection, LayerImage, inspect};
pub use manifest_file::read_manifest;
pub use sign::sign;
pub use verify::{Verified, verify, verify_signed};
