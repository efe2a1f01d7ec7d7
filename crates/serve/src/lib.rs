//! Serves netboot directories to machines that boot over the network.
//!
//! A [`Directory`] is what `storeboot build` wrote, with its files held open. [`Offers`] are the directories that can be
//! had, by their [`Id`]. A [`Machine`] is known by what it says of itself, and gets the script that [`script`] writes
//! for it. [`Watch`] knows how far each machine is.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod client;
mod desk;
pub mod dhcp;
mod directory;
mod error;
mod held;
pub mod http;
pub mod lines;
mod loaders;
mod machine;
pub mod metrics;
mod offers;
pub mod page;
mod print;
mod reach;
mod regular;
pub mod rules;
pub mod script;
mod server;
pub mod service;
mod size;
pub mod sources;
mod text;
pub mod tftp;
mod watch;

pub use desk::Desk;
pub use directory::{Directory, Id, Item};
pub use error::Error;
pub use loaders::{Loader, Loaders};
pub use machine::{BadMac, Mac, Machine, Platform};
pub use offers::Offers;
pub use print::{DhcpServer, print};
pub use reach::Reach;
pub use rules::{Choice, Job, Rules, RulesFile, Source};
pub use server::Server;
pub use sources::{Found, OnDemand, Sources};
pub use watch::{Progress, Sighting, Step, Totals, Watch};
