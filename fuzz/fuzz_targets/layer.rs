//! Descriptions of layers.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use storeboot::{Inspection, inspect, layer_paths};

fuzz_target!(|data: &[u8]| {
    let folder = folder(data);
    match inspect(folder) {
        Ok(Inspection::Layer { paths, images, .. }) => {
            assert_eq!(layer_paths(folder).expect("the same").len(), paths);
            for image in images {
                let inside = Path::new("/folder").join(&image.file);
                assert!(
                    inside.starts_with("/folder") && image.file.split('/').all(|part| part != ".."),
                    "{image:?}"
                );
            }
        }
        Ok(other) => panic!("{other}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

/// A folder with this as its `layer.json`.
fn folder(data: &[u8]) -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        folder.keep()
    });
    fs::write(folder.join("layer.json"), data).expect("written");
    folder
}
