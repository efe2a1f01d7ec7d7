//! Builds a netboot directory from a running NixOS system, to boot other machines into the same system.
//!
//! ```sh
//! cargo run --release -p storeboot --example netboot_directory -- /run/current-system storeboot-init netboot
//! ```
//!
//! The arguments are the system, the stage 1 program, and the directory to write. The example asks Nix for the system's
//! closure, unless two more arguments give it: a file with the output of `nix path-info --json --recursive`, and the
//! folder that holds `nix/store`.

use std::error::Error;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use storeboot::{Context, Netboot, Store, verify};
use storeboot_closure::{Input, StoreDir, StoreRoot, resolve_root};

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let result = match arguments.as_slice() {
        [system, stage1, output] => {
            let closure = Input::Roots(vec![system.clone()]);
            run(system, stage1, output, &closure, StoreRoot::system())
        }
        [system, stage1, output, path_info, root] => {
            let closure = Input::PathInfo(path_info.clone());
            run(system, stage1, output, &closure, StoreRoot::under(root))
        }
        _ => {
            eprintln!(
                "usage: netboot_directory SYSTEM STOREBOOT_INIT OUTPUT [PATH_INFO_JSON STORE_ROOT]"
            );
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netboot_directory: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    system: &Path,
    stage1: &Path,
    output: &Path,
    closure: &Input,
    root: StoreRoot,
) -> Result<(), Box<dyn Error>> {
    let store_dir = StoreDir::default();
    // `/run/current-system` is a link, and the booted machine has only the store paths.
    let path = resolve_root(system, &store_dir, &root)?;
    let toplevel = root.locate(&store_dir, &path);
    let context = Context::new();
    let store = Store::new(closure.read(&store_dir, &root)?, root.clone(), &context)?;
    let init = format!("{}/init", store.closure().render(&path));

    let kernel = follow(&toplevel.join("kernel"), &root)?;
    let mut netboot = Netboot::new(kernel, init, stage1);
    let modules = toplevel.join("kernel-modules");
    if fs::symlink_metadata(&modules).is_ok() {
        netboot.modules = Some(follow(&modules, &root)?);
    }
    // The system's own kernel arguments. A system other than NixOS may have none.
    let parameters = toplevel.join("kernel-params");
    if parameters.exists() {
        let text = fs::read_to_string(&parameters)
            .map_err(|error| format!("cannot read {}: {error}", parameters.display()))?;
        netboot.command_line = text.trim().to_owned();
    }

    let manifest = netboot.build(&store, output, &context)?;
    // Find damage by disk or memory now, and not on a machine that does not boot.
    let verified = verify(output, &context)?;
    println!(
        "{}: layout {}, {} files verified, boots with {} MiB",
        output.display(),
        manifest.layout,
        verified.files,
        manifest.memory >> 20
    );
    Ok(())
}

/// Follows links as on the booted machine, where the store is at `/nix/store`.
fn follow(path: &Path, root: &StoreRoot) -> Result<PathBuf, String> {
    let mut current = path.to_owned();
    for _ in 0..40 {
        let failed = |error| format!("cannot find {}: {error}", path.display());
        let metadata = fs::symlink_metadata(&current).map_err(failed)?;
        if !metadata.is_symlink() {
            return Ok(current);
        }
        let target = fs::read_link(&current).map_err(failed)?;
        current = match (&root.root, target.is_absolute()) {
            (Some(root), true) => root.join(
                target
                    .components()
                    .filter(|part| *part != Component::RootDir)
                    .collect::<PathBuf>(),
            ),
            _ => current.with_file_name("").join(target),
        };
    }
    Err(format!("{} is a cycle of links", path.display()))
}
