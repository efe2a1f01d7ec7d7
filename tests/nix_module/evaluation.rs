//! Systems with the module in them, evaluated.

use std::env;
use std::sync::Once;

use serde_json::Value;
use storeboot_tests::command::{have, skipped};
use storeboot_tests::debian::evaluate;

/// The value of an expression, by each lib that there is. In it, `system` makes a system of a module, and `with_` of
/// the further arguments of `tests/nix/evaluate.nix`.
///
/// Where there is no Nix, there is nothing to look at, which is said.
pub fn evaluated(expression: &str) -> Vec<Value> {
    if !have(&["nix-instantiate"]) {
        return Vec::new();
    }
    let by = |nixpkgs: &str| {
        evaluate(&format!(
            "let
                with_ = more: module: import ./tests/nix/evaluate.nix ({{ nixpkgs = {nixpkgs}; modules = [ module ]; }} // more);
                system = with_ {{ }};
            in {expression}"
        ))
    };
    let mut found = vec![by("null")];
    if let Some(folder) = env::var_os("NIXPKGS") {
        let folder = folder.into_string().expect("NIXPKGS is text");
        found.push(by(&format!("/. + {folder:?}")));
    } else {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            skipped("the NixOS module is evaluated by a stand-in only; NIXPKGS may name a folder with nixpkgs' lib in it");
        });
    }
    found
}
