//! Hashing the files of a closure: with progress, on the caller's threads, until the caller cancels.

use std::collections::HashSet;
use std::fs;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use storeboot_closure::{Closure, Error, PathInfo, StoreDir, StorePath, StoreRoot};
use tempfile::TempDir;

/// Larger than what is hashed between two reports, some of them several times.
const SIZES: [usize; 5] = [0, 1 << 10, 3 << 20, 5 << 20, 4];

/// A closure whose hashes are not known, and the folder of its files.
fn closure() -> (TempDir, StoreRoot, Closure) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = StoreRoot::under(folder.path());
    let store_dir = StoreDir::default();
    let mut infos = Vec::new();
    for (number, size) in SIZES.into_iter().enumerate() {
        let path = StorePath::from_parts([number as u8; 20], "file").expect("a store path");
        let file = root.locate(&store_dir, &path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("created");
        fs::write(file, vec![7; size]).expect("written");
        infos.push(PathInfo::new(path, []));
    }
    let closure = Closure::new(store_dir, infos).expect("a closure");
    (folder, root, closure)
}

#[test]
fn the_progress_adds_up_to_the_size_of_all_nars() {
    let (_folder, root, mut closure) = closure();
    let mut plain = closure.clone();
    let (bytes, calls) = (AtomicU64::new(0), AtomicU64::new(0));
    let hashed = |count| {
        bytes.fetch_add(count, Ordering::Relaxed);
        calls.fetch_add(1, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    closure.complete_with(&root, &hashed).expect("hashed");
    assert_eq!(Some(bytes.into_inner()), closure.nar_size());
    let calls = calls.into_inner();
    assert!(calls >= SIZES.len() as u64 + 6, "only {calls} calls");

    plain.complete(&root).expect("hashed");
    assert_eq!(plain, closure);

    // All is known, so that there is nothing to hash.
    let hashed = |_| ControlFlow::Break(());
    closure
        .complete_with(&root, &hashed)
        .expect("nothing to do");
}

#[test]
fn a_break_cancels() {
    // At once, and in the middle of a large file.
    for limit in [0, 2 << 20] {
        let (_folder, root, mut closure) = closure();
        let bytes = AtomicU64::new(0);
        let hashed = |count| {
            if bytes.fetch_add(count, Ordering::Relaxed) + count > limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let error = closure.complete_with(&root, &hashed);
        assert!(matches!(error, Err(Error::Cancelled)), "{error:?}");
        assert_eq!(closure.nar_size(), None);
        // What was cancelled can be done later.
        closure.complete(&root).expect("hashed");
        assert!(closure.nar_size().is_some());
    }
}

#[test]
fn it_runs_on_the_threads_of_the_current_pool() {
    let (_folder, root, mut closure) = closure();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.expect("a thread");
    let threads = Mutex::new(HashSet::new());
    let hashed = |_| {
        let mut threads = threads.lock().expect("no panic");
        threads.insert(std::thread::current().id());
        ControlFlow::Continue(())
    };
    pool.install(|| closure.complete_with(&root, &hashed))
        .expect("hashed");
    let of_pool = pool.install(|| std::thread::current().id());
    assert_eq!(
        threads.into_inner().expect("no panic"),
        HashSet::from([of_pool])
    );
}
