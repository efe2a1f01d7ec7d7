//! The files of a cache's entries. Only what was kept is found.
#![no_main]

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use storeboot_cache::{Cache, Key};
use tempfile::TempDir;

const MAX: usize = 1 << 20;

struct World {
    _folder: TempDir,
    cache: Cache,
    key: Key,
    entry: PathBuf,
    /// What a sound entry holds.
    sound: Vec<u8>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let cache = Cache::open(folder.path(), 1 << 30).expect("a cache");
        let key = Key::derive("fuzz", &[]);
        cache.put(&key, b"content");
        let digits = key.to_string();
        let entry = folder
            .path()
            .join("v1")
            .join(&digits[..2])
            .join(&digits[2..]);
        let sound = fs::read(&entry).expect("it was put there");
        World {
            sound,
            _folder: folder,
            cache,
            key,
            entry,
        }
    })
}

fuzz_target!(|data: &[u8]| {
    let World {
        cache,
        key,
        entry,
        sound,
        ..
    } = world();
    // Inputs that begin with 1 are changes to a sound entry, pairs of a place and a byte: or the check of its hash would
    // hide what comes after it.
    let mut changed = sound.clone();
    let data = match data {
        [1, changes @ ..] => {
            for change in changes.chunks_exact(2) {
                let place = usize::from(change[0]) % changed.len();
                changed[place] ^= change[1];
            }
            &changed[..]
        }
        data => data,
    };
    fs::write(entry, data).expect("written");
    let mut content = Vec::new();
    let found = cache.get_into(key, &mut content, MAX);
    assert!(!found || data.ends_with(&content));
    assert!(found == entry.exists(), "what is damaged is removed");
    fs::write(entry, data).expect("written");
    if let Some(mut entry) = cache.get(key) {
        let mut stream = Vec::new();
        entry.read_to_end(&mut stream).expect("readable");
        assert!(found && stream == content);
    }
});
