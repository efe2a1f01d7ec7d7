//! A page cache that holds nothing of the files.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Writing 3 to it drops what is clean.
pub const DROP: &str = "/proc/sys/vm/drop_caches";

/// Has the kernel forget the content of files, and where they are.
///
/// # Errors
/// Where it is not allowed, as to all but root, and in most containers.
pub fn forget_files() -> Result<()> {
    // What is not written yet cannot be forgotten.
    let status = Command::new("sync").status().context("sync is needed")?;
    ensure!(status.success(), "sync: {status}");
    fs::write(DROP, "3").with_context(|| format!("cannot write {DROP}"))
}
