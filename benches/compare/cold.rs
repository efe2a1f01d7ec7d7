//! Empties the page cache.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Writing 3 to this file drops clean caches.
pub const DROP: &str = "/proc/sys/vm/drop_caches";

/// Makes the kernel drop the content of files and its cache of names.
///
/// # Errors
/// If the kernel refuses, as it does for users other than root and in most containers.
pub fn forget_files() -> Result<()> {
    // The kernel does not drop pages that are not written yet.
    let status = Command::new("sync").status().context("sync is needed")?;
    ensure!(status.success(), "sync: {status}");
    fs::write(DROP, "3").with_context(|| format!("cannot write {DROP}"))
}
