//! Manual pages and shell completions, made from the arguments.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::say::print;

/// Writes `storeboot.1` and a page for each command to a folder, which it creates if needed.
pub fn manual(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder))
        .with_context(|| format!("cannot write manual pages to {}", folder.display()))
}

/// Prints the completion script for a shell.
pub fn completions(shell: Shell) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "storeboot", &mut text);
    print(String::from_utf8_lossy(&text))
}
