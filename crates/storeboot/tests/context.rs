//! Builds that are cancelled, and builds that share a program.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use storeboot::{
    Archives, Cancel, Context, Error, Format, Layer, Pack, Progress, Store, verify, write_file,
};
use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
use tempfile::TempDir;

/// A store of several paths, the files of which do not compress.
fn store(root: &Path) -> Store {
    let mut noise = Vec::new();
    let mut state = 1_u64;
    while noise.len() < 3 << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    let mut infos = Vec::new();
    for letter in ["a", "b", "c", "d"] {
        let name = format!("{}-path", letter.repeat(32));
        let path = root.join("nix/store").join(&name);
        fs::create_dir_all(&path).expect("a folder");
        noise.extend_from_slice(letter.as_bytes());
        fs::write(path.join("noise"), &noise).expect("a file");
        infos.push(format!(
            r#"{{ "path": "/nix/store/{name}", "references": [] }}"#
        ));
    }
    let list = format!("[{}]", infos.join(","));
    let closure = read_path_info(list.as_bytes(), &StoreDir::default()).expect("a closure");
    Store::new(closure, StoreRoot::under(root), &Context::new()).expect("a store")
}

/// Cancels once this many bytes are done.
struct CancelAt(u64, Cancel);

impl Progress for CancelAt {
    fn reached(&self, bytes: u64) {
        if bytes >= self.0 {
            self.1.cancel();
        }
    }
}

fn names(folder: &Path) -> usize {
    fs::read_dir(folder).expect("a folder").count()
}

fn packs() -> Vec<Pack> {
    let mut packs = vec![Pack::new(Format::Squashfs), Pack::new(Format::Cpio)];
    let mut per_path = Pack::new(Format::Cpio);
    per_path.archives = Archives::PerPath;
    packs.push(per_path);
    for pack in &mut packs {
        pack.compression = Some("zstd:1".parse().expect("a compression"));
    }
    packs
}

#[test]
fn a_cancelled_build_ends_with_its_error_and_leaves_nothing() {
    let root = TempDir::new().expect("a folder");
    let out = TempDir::new().expect("a folder");
    let store = store(root.path());
    for at in [0, 1 << 20, 9 << 20] {
        for pack in packs() {
            let cancel = Cancel::new();
            let progress = CancelAt(at, cancel.clone());
            let context = Context::new().progress(&progress).cancel(cancel);
            let path = out.path().join("out");
            let result = write_file(&path, |file| pack.write(&store, file, &context));
            assert!(
                matches!(result, Err(Error::Cancelled)),
                "{pack:?}: {result:?}"
            );
            assert_eq!(names(out.path()), 0, "{pack:?}");
        }
        let cancel = Cancel::new();
        let progress = CancelAt(at, cancel.clone());
        let context = Context::new().progress(&progress).cancel(cancel);
        let result = Layer::default().build(&store, &out.path().join("layer"), &context);
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        assert_eq!(names(out.path()), 0);
    }
}

#[test]
fn a_verification_is_cancelled_too() {
    let root = TempDir::new().expect("a folder");
    let out = TempDir::new().expect("a folder");
    let layer = out.path().join("layer");
    Layer::default()
        .build(&store(root.path()), &layer, &Context::new())
        .expect("built");
    let cancel = Cancel::new();
    let progress = CancelAt(1 << 20, cancel.clone());
    let context = Context::new().progress(&progress).cancel(cancel);
    let result = verify(&layer, &context);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    verify(&layer, &Context::new()).expect("it is sound");
}

/// Waits until the other build has been cancelled.
struct WaitFor<'a>(&'a Barrier, std::sync::Once);

impl Progress for WaitFor<'_> {
    fn reached(&self, _bytes: u64) {
        self.1.call_once(|| {
            self.0.wait();
        });
    }
}

#[test]
fn a_cancelled_build_does_not_touch_another_of_the_same_program() {
    let root = TempDir::new().expect("a folder");
    let out = TempDir::new().expect("a folder");
    let store = store(root.path());
    let pack = &packs()[0];
    let [first, second] = ["first", "second"].map(|name| out.path().join(name));
    let cancelled = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            let cancel = Cancel::new();
            let progress = CancelAt(0, cancel.clone());
            let context = Context::new().progress(&progress).cancel(cancel);
            let result = write_file(&first, |file| pack.write(&store, file, &context));
            assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
            cancelled.wait();
        });
        let progress = WaitFor(&cancelled, std::sync::Once::new());
        let context = Context::new().progress(&progress);
        write_file(&second, |file| pack.write(&store, file, &context)).expect("packed");
    });
    assert!(!first.exists());
    assert_eq!(names(out.path()), 1);
}

#[test]
fn the_bytes_do_not_depend_on_the_context() {
    let root = TempDir::new().expect("a folder");
    let out = TempDir::new().expect("a folder");
    let store = store(root.path());
    for pack in packs() {
        let packed = |context: &Context<'_>| {
            let path = out.path().join("out");
            write_file(&path, |file| pack.write(&store, file, context)).expect("packed");
            fs::read(path).expect("there")
        };
        let one = packed(&Context::new().jobs(NonZeroUsize::MIN));
        let shared = Context::new().jobs(NonZeroUsize::new(3).expect("three"));
        assert!(packed(&shared) == one, "{pack:?}");
        // The same threads again.
        assert!(packed(&shared) == one, "{pack:?}");
    }
}
