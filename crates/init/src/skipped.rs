//! Tests that this machine cannot run.

use std::format;
use std::io::{Write as _, stderr};

/// Says that a test is skipped, and why. Fails in CI, which has what the tests need.
pub fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    // Not `eprintln!`: the harness hides that where a test passes.
    let _ = stderr().write_all(format!("\nSKIPPED: {why}\n").as_bytes());
}
