//! Manifests of netboot directories, and the iPXE scripts that are made of their names.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use storeboot::{Inspection, inspect, machine_script};

fuzz_target!(|data: &[u8]| {
    let manifest = match inspect(folder(data)) {
        Ok(Inspection::Netboot(manifest)) => manifest,
        Ok(other) => panic!("{other}"),
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for file in &manifest.files {
        let inside = Path::new("/folder").join(&file.name);
        assert!(inside.starts_with("/folder") && file.name.split('/').all(|part| part != ".."));
    }
    if let Ok(script) = machine_script(&manifest, "http://192.0.2.1/a/", "", &[]) {
        assert!(script.starts_with("#!ipxe\n"));
        let begin = |word: &str| script.lines().filter(|line| line.starts_with(word)).count();
        assert!(begin("kernel ") <= 1 && begin("initrd ") <= 1, "{script}");
        assert!(!script.contains(|char: char| char.is_control() && char != '\n'));
    }
});

/// A folder with this as its `manifest.json`.
fn folder(data: &[u8]) -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        folder.keep()
    });
    fs::write(folder.join("manifest.json"), data).expect("written");
    folder
}
