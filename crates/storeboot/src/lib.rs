//! Netboot directories: a kernel, an initrd that carries a whole Nix store, and the command line that joins them.
//!
//! A [`Store`] is a closure (see [`storeboot_closure`]) and the place of its files. It can be written by itself, as a
//! store image or an archive, or become part of a [`Netboot`] directory that a machine boots from.
//!
//! ```no_run
//! use storeboot::{Netboot, Silent, Store};
//! use storeboot_closure::{Input, StoreDir, StoreRoot};
//!
//! let root = StoreRoot::system();
//! let system = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-nixos-system";
//! let closure = Input::Roots(vec![system.into()]).read(&StoreDir::default(), &root)?;
//! let store = Store::new(closure, root)?;
//! let netboot = Netboot::new(
//!     format!("{system}/kernel"),
//!     format!("{system}/init"),
//!     "/usr/libexec/storeboot-init",
//! );
//! netboot.build(&store, "result".as_ref(), &Silent)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod archive;
mod boot_files;
pub mod compress;
mod digest;
mod drain;
mod error;
mod foreign;
mod frames;
mod init;
mod initrd;
mod inspect;
pub mod kernel;
mod layer;
mod layout;
pub mod manifest;
mod memory;
mod merged;
pub mod modules;
mod netboot;
pub mod nix_builder;
mod output;
mod pack;
mod progress;
mod ramdisk;
mod recipe;
mod scratch;
mod segment_files;
mod split;
mod stage1;
mod store;
mod verify;
mod walk;

pub use error::Error;
pub use frames::Frames;
pub use inspect::{ImageInfo, InitrdSegment, Inspection, LayerImage, Member, inspect};
pub use layer::{Layer, layer_paths};
pub use netboot::Netboot;
pub use output::write_file;
pub use pack::{Format, Pack};
pub use progress::{Progress, Silent};
pub use ramdisk::Ramdisk;
pub use scratch::abandon_outputs;
pub use store::{REGISTRATION, Store};
pub use storeboot_cache::{Cache, Stats as CacheStats};
pub use storeboot_index::Layout;
pub use storeboot_squashfs::{Compression, Options as ImageOptions};
pub use verify::{Verified, verify};
