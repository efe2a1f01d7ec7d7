//! Images of kernels, packed ones among them.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use storeboot::kernel::KernelImage;

fuzz_target!(|data: &[u8]| {
    let path = folder(data).join("kernel");
    if let Err(error) = KernelImage::read(&path) {
        assert!(!error.to_string().is_empty());
    }
});

/// A folder with this as its `kernel`.
fn folder(data: &[u8]) -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        folder.keep()
    });
    fs::write(folder.join("kernel"), data).expect("written");
    folder
}
