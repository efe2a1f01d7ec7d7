//! From the arguments to a store, and to the program of stage 1.

use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use storeboot::Store;
use storeboot_closure::{Input as ClosureInput, StoreDir, StoreRoot};

use crate::arguments::{Input, Stage1};

/// Reads the closure.
pub fn store(input: &Input) -> Result<Store> {
    let root = StoreRoot {
        root: input.store_root.clone(),
    };
    let source = &input.source;
    let from = if let Some(file) = &source.path_info {
        ClosureInput::PathInfo(file.clone())
    } else if let Some(folder) = &source.closure_info {
        ClosureInput::ClosureInfo(folder.clone())
    } else if let Some(file) = &source.graph {
        ClosureInput::Graph(file.clone())
    } else {
        ClosureInput::Roots(source.root.clone())
    };
    let closure = from.read(&StoreDir::default(), &root)?;
    Ok(Store::new(closure, root)?)
}

/// The program named, or the one beside this command.
pub fn stage1(argument: &Stage1) -> Result<PathBuf> {
    if let Some(path) = &argument.stage1 {
        return Ok(path.clone());
    }
    let command = std::env::current_exe()
        .map_err(|error| anyhow!("cannot find out where this command is: {error}"))?;
    let path = command.with_file_name("storeboot-init");
    ensure!(
        path.exists(),
        "the program of stage 1 is not at {}; name it with --stage1",
        path.display()
    );
    Ok(path)
}
