//! Turns arguments into the store, the cache and the path of stage 1.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use storeboot::{Cache, Context, Store};
use storeboot_closure::{Input as ClosureInput, StoreDir, StoreRoot};

use crate::arguments::{self, Input, Stage1};
use crate::failure::with_causes;
use crate::say::say;

/// Reads the closure that the arguments name.
pub fn store(input: &Input, context: &Context<'_>) -> Result<Store> {
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
    Ok(Store::new(closure, root, context)?)
}

/// Opens the cache, if the arguments name one.
pub fn cache(argument: &arguments::Cache) -> Result<Option<Arc<Cache>>> {
    let Some(folder) = &argument.folder else {
        return Ok(None);
    };
    let open = match argument.shared {
        true => Cache::open_shared,
        false => Cache::open,
    };
    Ok(Some(Arc::new(open(folder, argument.size)?)))
}

/// Warns about entries that the cache could not read or keep.
pub fn check(cache: Option<Arc<Cache>>) {
    let Some(cache) = cache else { return };
    if let Some(failure) = cache.first_failure() {
        say(format_args!(
            "storeboot: warning: the output is complete, and the cache is not: {} ({} such failures)",
            with_causes(failure),
            cache.stats().failed
        ));
    }
}

/// Returns the path of the stage 1 program: the argument, or `storeboot-init` in the folder of this command.
pub fn stage1(argument: &Stage1) -> Result<PathBuf> {
    if let Some(path) = &argument.stage1 {
        return Ok(path.clone());
    }
    let command = std::env::current_exe().context("cannot find out where this command is")?;
    let path = command.with_file_name("storeboot-init");
    ensure!(
        path.exists(),
        "the program of stage 1 is not at {}; name it with --stage1",
        path.display()
    );
    Ok(path)
}
