//! Packs a closure into a store image, with a cache for the next time.
//!
//! ```sh
//! nix path-info --json --recursive ./result >path-info.json
//! cargo run --release -p storeboot --example pack_closure -- path-info.json store.squashfs ~/.cache/storeboot
//! ```
//!
//! A fourth argument is the folder that holds `nix/store`, where that is not `/`.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use storeboot::{Cache, Context, Format, Pack, Progress, Store, write_file};
use storeboot_closure::{Input, StoreDir, StoreRoot};

/// The size limit of the cache in bytes. The entries that were used longest ago are removed first.
const CACHE_SIZE: u64 = 20 << 30;

/// Prints a line for each step.
struct Lines;

impl Progress for Lines {
    fn begin(&self, step: &str, total: Option<u64>) {
        match total {
            Some(bytes) => eprintln!("{step}, {} MiB …", bytes >> 20),
            None => eprintln!("{step} …"),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (path_info, image, cache, root) = match arguments.as_slice() {
        [path_info, image, cache] => (path_info, image, cache, StoreRoot::system()),
        [path_info, image, cache, root] => (path_info, image, cache, StoreRoot::under(root)),
        _ => {
            eprintln!("usage: pack_closure PATH_INFO_JSON IMAGE CACHE_FOLDER [STORE_ROOT]");
            return ExitCode::from(2);
        }
    };
    match run(path_info, image, cache, root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pack_closure: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(path_info: &str, image: &str, cache: &str, root: StoreRoot) -> Result<(), Box<dyn Error>> {
    let closure = Input::PathInfo(path_info.into()).read(&StoreDir::default(), &root)?;
    let cache = Arc::new(Cache::open(cache, CACHE_SIZE)?);
    let context = Context::new().cache(Arc::clone(&cache)).progress(&Lines);
    let store = Store::new(closure, root, &context)?;

    let mut pack = Pack::new(Format::Squashfs);
    pack.compression = Some("zstd:15".parse()?);
    // The image appears under its name when it is complete, and not at all when something fails.
    write_file(image.as_ref(), |file| pack.write(&store, file, &context))?;

    let stats = cache.stats();
    println!(
        "{image}: {} store paths; {} pieces came from the cache, {} are new",
        store.closure().len(),
        stats.hits,
        stats.kept
    );
    // A failing cache does not stop the build, so the program asks for failures.
    if let Some(failure) = cache.first_failure() {
        eprintln!("the image is complete, and the cache is not: {failure}");
    }
    Ok(())
}
