//! Stores that are not at `/nix/store`.

use std::fs;
use std::path::Path;

use storeboot::{Context, Error, Format, Layer, Netboot, Pack, Store, write_file};
use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
use tempfile::TempDir;

const SYSTEM: &str = "/gnu/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-system";

fn store(root: &Path) -> Store {
    let path = root.join(&SYSTEM[1..]);
    fs::create_dir_all(&path).expect("a folder");
    fs::write(path.join("init"), "#!/bin/sh\n").expect("a file");
    let list = format!(r#"[{{ "path": "{SYSTEM}", "references": [] }}]"#);
    let store_dir = StoreDir::new("/gnu/store").expect("a store directory");
    let closure = read_path_info(list.as_bytes(), &store_dir).expect("a closure");
    Store::new(closure, StoreRoot::under(root), &Context::new()).expect("a store")
}

#[test]
fn they_are_packed_and_not_booted() {
    let [root, out] = [(); 2].map(|()| TempDir::new().expect("a folder"));
    let (store, context) = (store(root.path()), Context::new());
    let output = out.path().join("out");

    let netboot = Netboot::new("/no/kernel", format!("{SYSTEM}/init"), "/no/stage1");
    let built = netboot.build(&store, &output, &context).map(drop);
    let layer = Layer::default().build(&store, &output, &context);
    for refused in [built, layer] {
        let Err(Error::StoreDir { store_dir }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(store_dir, "/gnu/store");
    }
    assert!(!output.exists());

    for format in [Format::Squashfs, Format::Cpio] {
        let pack = Pack::new(format);
        write_file(&output, |file| pack.write(&store, file, &context)).expect("a file");
    }
}
