//! Several threads and processes on one folder. The processes are this test binary, started again for one test.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use storeboot_cache::{Cache, Key};

const MAX: usize = 1 << 20;
const KEYS: u64 = 40;
/// Names the folder to a process that was started for it.
const FOLDER: &str = "STOREBOOT_CACHE_TEST_FOLDER";

fn key(number: u64) -> Key {
    Key::derive("test", &[&number.to_le_bytes()])
}

/// The content of the entry with this number, in every process.
fn content(number: u64) -> Vec<u8> {
    let length = 1 + (number * 7919) % 60_000;
    (0..length).map(|at| (at * number) as u8).collect()
}

/// Finds or makes every entry, many times over; panics on one that is wrong.
fn use_all(cache: &Cache, rounds: u64, first: u64) {
    let mut found = Vec::new();
    for step in 0..rounds * KEYS {
        let number = (first + step) % KEYS;
        if cache.get_into(&key(number), &mut found, MAX) {
            assert_eq!(found, content(number), "entry {number}");
        } else {
            cache.put(&key(number), &content(number));
        }
        if step % 16 == 0 {
            cache.evict();
        }
    }
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "another_process", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("started")
}

/// Runs in the processes of [`start`]. Does nothing in a run of all tests.
#[test]
fn another_process() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        // Too small for all entries, so that some are always missing.
        let cache = Cache::open(folder, 600_000).expect("opened");
        use_all(&cache, 40, u64::from(std::process::id()));
        assert_eq!(cache.stats().failed, 0, "{:?}", cache.first_failure());
    }
}

#[test]
fn threads_share_a_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::open(folder.path(), 600_000).expect("opened");
    thread::scope(|scope| {
        for thread in 0..4 {
            let cache = &cache;
            scope.spawn(move || use_all(cache, 20, thread * 3));
        }
    });
    let stats = cache.stats();
    assert_eq!(stats.failed, 0, "{:?}", cache.first_failure());
    assert_eq!(stats.damaged, 0);
    assert!(stats.hits > 0 && stats.kept > 0, "{stats:?}");
}

#[test]
fn processes_share_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let children: Vec<Child> = (0..4).map(|_| start(folder.path())).collect();
    for mut child in children {
        assert!(child.wait().expect("waited for").success());
    }
    let new = fs::read_dir(folder.path().join("v1/new")).expect("there");
    assert_eq!(new.count(), 0);
}

#[test]
fn killed_processes_leave_nothing_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..20_u64 {
        let mut children: Vec<Child> = (0..2).map(|_| start(folder.path())).collect();
        thread::sleep(Duration::from_millis(3 * round));
        for child in &mut children {
            child.kill().expect("killed");
            child.wait().expect("waited for");
        }
        let cache = Cache::open(folder.path(), 600_000).expect("opened");
        // Panics on a wrong entry.
        use_all(&cache, 1, round);
        assert_eq!(cache.stats().failed, 0, "{:?}", cache.first_failure());
        assert_eq!(cache.stats().damaged, 0);
    }
}
