//! One process and its entries: what was kept is found whole, and what is damaged is not found.

use std::error::Error as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use storeboot_cache::{Cache, Key};
use tempfile::TempDir;

const MAX: usize = 1 << 20;

fn cache(limit: u64) -> (TempDir, Cache) {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::open(folder.path(), limit).expect("opened");
    (folder, cache)
}

fn key(name: &str) -> Key {
    Key::derive("test", &[name.as_bytes()])
}

fn path(folder: &Path, key: &Key) -> PathBuf {
    let digits = key.to_string();
    folder.join("v1").join(&digits[..2]).join(&digits[2..])
}

/// Reads an entry in both ways, which have to agree.
fn read(cache: &Cache, key: &Key) -> Option<Vec<u8>> {
    let stream = cache.get(key).map(|mut entry| {
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("readable");
        assert_eq!(entry.len(), content.len() as u64);
        content
    });
    let mut content = b"of before".to_vec();
    let found = cache.get_into(key, &mut content, MAX);
    assert!(found || content.is_empty());
    assert_eq!(stream, found.then_some(content));
    stream
}

fn unfinished(folder: &Path) -> usize {
    fs::read_dir(folder.join("v1/new")).expect("there").count()
}

proptest! {
    #[test]
    fn what_is_kept_is_found(content: Vec<u8>, steps in prop::collection::vec(1..50_usize, 0..20)) {
        let (folder, cache) = cache(1 << 30);
        cache.put(&key("in one piece"), &content);
        let mut writer = cache.writer(&key("as a stream"));
        let mut rest = content.as_slice();
        for step in steps {
            let (now, later) = rest.split_at(step.min(rest.len()));
            writer.write_all(now).expect("never fails");
            rest = later;
        }
        writer.write_all(rest).expect("never fails");
        prop_assert!(writer.keep());
        for name in ["in one piece", "as a stream"] {
            prop_assert_eq!(read(&cache, &key(name)), Some(content.clone()));
        }
        prop_assert_eq!(unfinished(folder.path()), 0);
        prop_assert_eq!(cache.stats().failed, 0);
    }

    #[test]
    fn a_changed_entry_is_a_miss_and_goes(
        content in prop::collection::vec(any::<u8>(), 0..300),
        at: prop::sample::Index,
        change in 1..=255_u8,
        as_stream: bool,
    ) {
        let (folder, cache) = cache(1 << 30);
        let key = key("damaged");
        cache.put(&key, &content);
        let path = path(folder.path(), &key);
        let mut bytes = fs::read(&path).expect("there");
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        fs::write(&path, bytes).expect("written");
        if as_stream {
            prop_assert!(cache.get(&key).is_none());
        } else {
            prop_assert!(!cache.get_into(&key, &mut Vec::new(), MAX));
        }
        prop_assert!(!path.exists());
        prop_assert_eq!(cache.stats().damaged, 1);
        prop_assert_eq!(cache.stats().failed, 0);
    }
}

#[test]
fn a_torn_entry_is_a_miss_at_every_length() {
    let (folder, cache) = cache(1 << 30);
    let key = key("torn");
    cache.put(&key, b"the content of an entry");
    let path = path(folder.path(), &key);
    let whole = fs::read(&path).expect("there");
    for length in 0..whole.len() {
        for tail in [
            &b""[..],
            &vec![0; whole.len() - length],
            b"more than there was of it",
        ] {
            let torn = [&whole[..length], tail].concat();
            if torn == whole {
                continue;
            }
            fs::write(&path, &torn).expect("written");
            assert_eq!(
                read(&cache, &key),
                None,
                "{length} bytes and {}",
                tail.len()
            );
            assert!(!path.exists());
        }
    }
    fs::write(&path, [&whole[..], b"+"].concat()).expect("written");
    assert_eq!(read(&cache, &key), None);
}

#[test]
fn an_entry_under_another_name_is_a_miss() {
    let (folder, cache) = cache(1 << 30);
    let (one, other) = (key("one"), key("other"));
    cache.put(&one, b"content");
    cache.put(&other, b"content");
    fs::rename(path(folder.path(), &one), path(folder.path(), &other)).expect("renamed");
    assert_eq!(read(&cache, &other), None);
}

#[test]
fn an_entry_that_is_too_long_for_its_reader_stays() {
    let (_folder, cache) = cache(1 << 30);
    let key = key("long");
    cache.put(&key, &[7; 100]);
    assert!(!cache.get_into(&key, &mut Vec::new(), 99));
    assert!(cache.get_into(&key, &mut Vec::new(), 100));
}

#[test]
fn an_entry_stays_readable_when_it_is_removed() {
    let (_folder, cache) = cache(0);
    let key = key("gone");
    cache.put(&key, b"content");
    let mut entry = cache.get(&key).expect("kept");
    cache.evict();
    let mut content = Vec::new();
    entry.read_to_end(&mut content).expect("readable");
    assert_eq!(content, b"content");
    assert_eq!(read(&cache, &key), None);
}

#[test]
fn what_was_not_used_for_longest_is_evicted_first() {
    // Four entries of two disk blocks each, and room for two.
    let (folder, cache) = cache(4 * 4096);
    let keys: Vec<Key> = (0..4).map(|number| key(&number.to_string())).collect();
    for (age, key) in keys.iter().enumerate() {
        cache.put(key, &[1; 5000]);
        let file = File::open(path(folder.path(), key)).expect("there");
        let used = SystemTime::now() - Duration::from_secs(3600 * (1 + age as u64));
        file.set_modified(used).expect("set");
    }
    // The oldest one is used again.
    assert!(read(&cache, &keys[3]).is_some());
    cache.evict();
    let left: Vec<bool> = keys.iter().map(|key| read(&cache, key).is_some()).collect();
    assert_eq!(left, [true, false, false, true]);
    assert_eq!(cache.stats().failed, 0);
}

/// The parts of the name of a file that this machine writes: host, boot, process, time, count.
fn unfinished_name(folder: &Path, cache: &Cache) -> Vec<String> {
    let writer = cache.writer(&key("probe"));
    let entry = fs::read_dir(folder.join("v1/new"))
        .expect("there")
        .next()
        .expect("the writer's file")
        .expect("readable");
    let name = entry.file_name().into_string().expect("plain text");
    drop(writer);
    name.split('.').map(str::to_owned).collect()
}

#[test]
fn unfinished_files_are_removed_when_no_process_can_hold_them() {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    let (folder, cache) = cache(1 << 30);
    let new = folder.path().join("v1/new");
    let name = unfinished_name(folder.path(), &cache);
    let ours = |count: &str| [&name[..4], &[count.into()]].concat().join(".");
    let with = |part: usize, text: &str| {
        let mut name = name.clone();
        name[part] = text.into();
        name.join(".")
    };
    let other_boot = "0123456789abcdef0123456789abcdef";
    let cases = [
        (ours("100"), 2 * MINUTE, true),
        (ours("101"), HOUR, false),
        (with(1, other_boot), 23 * HOUR, true),
        (with(1, &other_boot.replace('0', "f")), 25 * HOUR, false),
        (with(0, "another-host"), 23 * HOUR, true),
        (with(0, "a-third-host"), 25 * HOUR, false),
        (with(1, "unknown"), 23 * HOUR, true),
        // Not our names.
        ("notes".into(), 1000 * HOUR, true),
        ("123-456-7".into(), 1000 * HOUR, true),
        (format!("{}.bak", ours("102")), 1000 * HOUR, true),
    ];
    let age = |file: &File, seconds| {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        file.set_modified(time).expect("set");
    };
    for (name, seconds, _) in &cases {
        let file = File::create_new(new.join(name)).expect("created");
        age(&file, *seconds);
    }
    // Locked, however old and whichever machine's.
    let mut writer = cache.writer(&key("slow"));
    writer.write_all(b"first half").expect("never fails");
    let held = File::create_new(new.join(with(0, "a-host-with-locks"))).expect("created");
    held.lock().expect("locked");
    for entry in fs::read_dir(&new).expect("there") {
        let name = entry.expect("readable").file_name();
        if !cases.iter().any(|(case, ..)| name == case.as_str()) {
            age(&File::open(new.join(name)).expect("there"), 1000 * HOUR);
        }
    }
    let folder_in_new = new.join(ours("103"));
    fs::create_dir(&folder_in_new).expect("created");

    cache.evict();
    for (name, seconds, stays) in &cases {
        assert_eq!(new.join(name).exists(), *stays, "{name} after {seconds} s");
    }
    assert!(new.join(with(0, "a-host-with-locks")).exists());
    assert!(folder_in_new.exists());
    assert!(writer.keep());
    assert_eq!(read(&cache, &key("slow")), Some(b"first half".to_vec()));
    assert_eq!(cache.stats().failed, 0, "{:?}", cache.first_failure());
}

#[test]
fn eviction_removes_nothing_but_entries() {
    let (folder, cache) = cache(0);
    let others = tempfile::tempdir().expect("a folder");
    let v1 = folder.path().join("v1");
    let digits = "5".repeat(62);
    fs::write(others.path().join("file"), "mine").expect("written");
    fs::write(others.path().join(&digits), "mine").expect("written");
    for path in [
        format!("src/{digits}"),
        "src/a.rs".into(),
        "ab/a.rs".into(),
        "AB/".to_owned() + &digits,
        format!("ab/{}", &digits[1..]),
        format!("ab/{digits}5"),
        format!("ab/{}F", &digits[1..]),
        format!("ab/deeper/{digits}"),
        format!("deeper/ab/{digits}"),
        digits.clone(),
        format!("../ab/{digits}"),
        "../notes".into(),
    ] {
        let path = v1.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, "mine").expect("written");
    }
    fs::create_dir_all(v1.join(format!("ac/{digits}"))).expect("created");
    // Links with the names of entries and of their folders.
    symlink(others.path().join("file"), v1.join(format!("ab/{digits}"))).expect("linked");
    symlink(others.path(), v1.join("ad")).expect("linked");
    let before = files(folder.path());
    assert_eq!(
        before.len(),
        17,
        "with the folder, the links and the tag: {before:?}"
    );

    let key = key("an entry");
    cache.put(&key, b"content");
    assert!(files(folder.path()).len() > before.len());
    cache.evict();
    let mut after = files(folder.path());
    let shard = path(folder.path(), &key);
    let made = [v1.join("lock"), shard.with_file_name("")];
    after.retain(|path| !made.contains(path));
    assert_eq!(after, before);
    assert_eq!(files(others.path()).len(), 2);
    assert_eq!(read(&cache, &key), None);
    assert_eq!(cache.stats().failed, 0, "{:?}", cache.first_failure());
}

/// What is below the folder, apart from folders with something in them.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("there") {
        let entry = entry.expect("readable");
        if entry.file_type().expect("readable").is_dir() {
            let below = files(&entry.path());
            let empty = below.is_empty();
            found.extend(below);
            if !empty {
                continue;
            }
        }
        found.push(entry.path());
    }
    found.sort();
    found
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let (folder, cache) = cache(1 << 30);
    let mut writer = cache.writer(&key("dropped"));
    writer.write_all(b"half").expect("never fails");
    drop(writer);
    assert_eq!(unfinished(folder.path()), 0);
    assert_eq!(read(&cache, &key("dropped")), None);
    assert_eq!(cache.stats().failed, 0);
}

#[test]
fn a_cache_that_cannot_be_written_counts_failures() {
    let (folder, cache) = cache(1 << 30);
    // A file where the folder was: this fails for root, too.
    let new = folder.path().join("v1/new");
    fs::remove_dir(&new).expect("empty");
    fs::write(&new, "").expect("written");
    cache.put(&key("block"), b"content");
    let mut writer = cache.writer(&key("stream"));
    writer.write_all(b"content").expect("never fails");
    assert!(!writer.keep());
    assert_eq!(cache.stats().failed, 2);
    assert_eq!(cache.stats().kept, 0);
    let failure = cache.first_failure().expect("counted");
    assert!(failure.path().starts_with(&new), "{failure}");
    assert!(failure.io_error().is_some(), "{failure}");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("written");
    let error = Cache::open(folder.path().join("file"), 0).expect_err("a file");
    let path = folder.path().join("file");
    assert_eq!(error.path(), path);
    // The cause is the source and not a part of the text.
    let source = error.source().expect("a cause").to_string();
    let text = error.to_string();
    assert!(text.contains(path.to_str().expect("text")), "{text}");
    assert!(!text.contains(&source), "{text}: {source}");
}
