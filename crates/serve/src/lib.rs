//! Serves netboot directories to machines that boot over the network.
//!
//! A [`Directory`] is what `storeboot build` wrote, with its files held open. [`Offers`] are the directories that can be
//! had, by their [`Id`]. A [`Machine`] is known by what it says of itself, and gets the script that [`script`] writes
//! for it. [`Watch`] knows how far each machine is.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod directory;
mod error;
mod machine;
mod offers;
pub mod script;
mod watch;

pub use directory::{Directory, Id, Item};
pub use error::Error;
pub use machine::{Mac, Machine, Platform};
pub use offers::Offers;
pub use watch::{Progress, Sighting, Step, Watch};
