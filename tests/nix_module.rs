//! The NixOS module: what each option does to the image's derivation, to the command line, to file systems and units.
//!
//! `tests/nix/evaluate.nix` evaluates the module among the options of NixOS that it touches, by a
//! stand-in for nixpkgs' lib, and where `NIXPKGS` names a folder with the real `lib` in it by that, too.

#[path = "nix_module/booted.rs"]
mod booted;
#[path = "nix_module/build.rs"]
mod build;
#[path = "nix_module/documented.rs"]
mod documented;
#[path = "nix_module/evaluation.rs"]
mod evaluation;
#[path = "nix_module/fetch.rs"]
mod fetch;
#[path = "nix_module/image.rs"]
mod image;
#[path = "nix_module/kexec_tree.rs"]
mod kexec_tree;
#[path = "nix_module/outputs.rs"]
mod outputs;
#[path = "nix_module/profiles.rs"]
mod profiles;
#[path = "nix_module/serve.rs"]
mod serve;
#[path = "nix_module/stage1_nixos.rs"]
mod stage1_nixos;
#[path = "nix_module/stage1_storeboot.rs"]
mod stage1_storeboot;
