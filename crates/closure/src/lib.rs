//! Reads closures of Nix store paths in every form that Nix writes, checks and orders them, and writes their
//! registration.
//!
//! A [`Closure`] is a set of store paths closed under references, with each path's NAR hash and size where they are
//! known. Every way to make one checks it, so that no user of one has to check it again.
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
//! // Its files are not on this machine.
//! assert!(closure.check_present(&StoreRoot::under("/nowhere")).is_err());
//! # Ok::<(), storeboot_closure::Error>(())
//! ```
//!
//! # Where a closure comes from
//! [`read_graph`] reads exportReferencesGraph, [`read_closure_info`] nixpkgs' closureInfo, [`read_path_info`] `nix
//! path-info --json`, and [`read_registration`] `nix-store --dump-db`. [`from_roots`] asks Nix. [`Input`] is any of
//! them.
//!
//! A graph in the classic text form has neither hashes nor sizes: [`Closure::complete`] computes them from the files.
//!
//! # Types of another crate
//! [`StoreDir`] and [`StorePath`] are those of the crate nix-derivation, which is at version 0.6, and not types of our
//! own: it parses and prints store paths as Nix does, and programs that use it can pass on the paths that they have.
//! This crate is before 1.0, too, and a new minor version of nix-derivation comes with a new one of this crate. No
//! other type in a signature is of a crate before 1.0.

#![deny(missing_docs)]

mod closure;
mod closure_info;
mod complete;
mod error;
mod excerpt;
mod graph;
mod hash;
mod info;
mod input;
mod json;
mod limits;
pub mod nar;
mod nix;
mod order;
mod parse;
mod registration;
mod resolve;
mod store_root;
mod text;

pub use closure::Closure;
pub use closure_info::read_closure_info;
pub use error::Error;
pub use graph::read_graph;
pub use hash::NarHash;
pub use info::PathInfo;
pub use input::Input;
pub use json::{graph_from_value, read_path_info};
pub use nix::from_roots;
pub use nix_derivation::{StoreDir, StorePath};
pub use registration::Registration;
pub use resolve::resolve_root;
pub use store_root::StoreRoot;
pub use text::read_registration;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
