use std::fs;
use std::os::unix::fs::symlink;

use storeboot_closure::read_path_info;
use tempfile::TempDir;

use super::*;
use crate::{Needed, Ramdisk};

/// A store with one path, `name`, which holds nothing yet, and where its files are.
pub(crate) fn store_of(name: &str) -> (TempDir, Store, PathBuf) {
    let scratch = tempfile::tempdir().expect("a folder");
    let place = scratch.path().join("nix/store").join(name);
    fs::create_dir_all(&place).expect("a folder");
    let list = format!(
        r#"[{{ "path": "/nix/store/{name}", "narHash": "sha256-{}=", "narSize": 1, "references": [] }}]"#,
        "A".repeat(43)
    );
    let closure = read_path_info(list.as_bytes(), &StoreDir::default()).expect("a closure");
    let store =
        Store::new(closure, StoreRoot::under(scratch.path()), &Context::new()).expect("a store");
    (scratch, store, place)
}

const SYSTEM: &str = "11111111111111111111111111111111-system";

/// Why a path cannot be in an initrd.
fn refused(store: &Store, source: &str) -> Option<String> {
    let mut ramdisk = Ramdisk::new("none".parse().expect("a compression"));
    ramdisk.needed = Some(vec![Needed::new(source)]);
    let written = ramdisk.write(Some(store), Vec::new(), &Context::new());
    written.err().map(|error| error.to_string())
}

#[test]
fn several_slashes_are_as_good_as_one() {
    let (_scratch, store, place) = store_of(SYSTEM);
    // No machine has this file at its root.
    fs::create_dir(place.join("bin of this test")).expect("a folder");
    fs::write(place.join("bin of this test/start"), "").expect("a file");
    for source in ["/bin of this test/start", "//bin of this test///start"] {
        let source = format!("/nix/store/{SYSTEM}{source}");
        assert_eq!(refused(&store, &source), None, "{source}");
    }
    // Every machine has this one.
    let error = refused(&store, &format!("/nix/store/{SYSTEM}//bin/sh")).expect("no such file");
    assert!(error.contains("No such file"), "{error}");
}

#[test]
fn a_path_stays_in_its_store_path() {
    let (scratch, store, place) = store_of(SYSTEM);
    fs::write(scratch.path().join("outside"), "").expect("a file");
    fs::create_dir(place.join("bin")).expect("a folder");
    fs::write(place.join("bin/start"), "").expect("a file");
    symlink("bin", place.join("link")).expect("a link");
    for source in [
        "/../../../outside",
        "/bin/../bin/start",
        "/link/../bin/start",
        "//../../../outside",
    ] {
        let error = refused(&store, &format!("/nix/store/{SYSTEM}{source}")).expect(source);
        assert!(error.contains("leaves its store path"), "{error}");
    }
    for source in ["/nix/store/..", "/nix/store//", "/nix/store", "/etc/hosts"] {
        assert!(refused(&store, source).is_some(), "{source}");
    }
}
