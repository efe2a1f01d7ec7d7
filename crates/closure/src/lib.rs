//! Closures of Nix store paths: read in every form Nix writes them, checked, ordered, registered.
//!
//! A [`Closure`] is a set of store paths closed under references, with each path's NAR hash and
//! size where they are known. There is no other way to make one than through its checks, so
//! whoever has one need not check again.
//!
//! ```
//! use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
//!
//! // What `nix path-info --json --recursive` printed.
//! let json = r#"{ "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello": {
//!     "narHash": "sha256-FePFYIlMuycIXPZbWi7LGEiMmZSX9FMbaQenWBzm1Sc=", "narSize": 226552,
//!     "references": [] } }"#;
//! let closure = read_path_info(json.as_bytes(), &StoreDir::default())?;
//! assert_eq!(closure.len(), 1);
//! assert_eq!(closure.nar_size(), Some(226_552));
//! // Nothing of it is on this machine.
//! assert!(closure.check_present(&StoreRoot::under("/nowhere")).is_err());
//! # Ok::<(), storeboot_closure::Error>(())
//! ```
//!
//! # Where a closure comes from
//! [`read_graph`] (exportReferencesGraph), [`read_closure_info`] (nixpkgs' closureInfo),
//! [`read_path_info`] (`nix path-info --json`), [`read_registration`] (`nix-store --dump-db`) and
//! [`from_roots`], which asks Nix; or [`Input`], which is any of them.
//!
//! A graph in the classic text form tells neither hashes nor sizes: [`Closure::complete`] fills
//! them in from the files.

#![deny(missing_docs)]

mod closure;
mod closure_info;
mod complete;
mod error;
mod hash;
mod info;
mod input;
mod json;
mod limits;
pub mod nar;
mod nix;
mod order;
mod registration;
mod resolve;
mod store_root;
mod text;

pub use closure::Closure;
pub use closure_info::read_closure_info;
pub use error::Error;
pub use hash::NarHash;
pub use info::PathInfo;
pub use input::Input;
pub use json::{graph_from_value, read_path_info};
pub use nix::from_roots;
pub use nix_derivation::{NixHash, StoreDir, StorePath};
pub use registration::Registration;
pub use resolve::resolve_root;
pub use store_root::StoreRoot;
pub use text::{read_graph, read_registration};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
