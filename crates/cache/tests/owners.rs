//! Who can write to a cache decides what is found in it, so a folder and its entries count only if nobody else can.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use storeboot_cache::{Cache, Distrust, Error, Key};
use tempfile::TempDir;

const LIMIT: u64 = 1 << 30;
const NOBODY: u32 = 65534;

fn key() -> Key {
    Key::derive("test", &[])
}

fn entry(folder: &Path) -> PathBuf {
    let digits = key().to_string();
    folder.join("v1").join(&digits[..2]).join(&digits[2..])
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o7777
}

fn new() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    set_mode(folder.path(), 0o755);
    folder
}

/// Only root can give something to another user.
fn is_root() -> bool {
    fs::metadata("/proc/self").expect("it is mounted").uid() == 0
}

#[track_caller]
fn distrust(opened: Result<Cache, Error>, folder: &Path) -> Distrust {
    match opened {
        Err(Error::NotTrusted { path, why }) => {
            assert_eq!(path, folder);
            why
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_that_others_can_write_to_is_refused_and_gets_no_tag() {
    for (bits, group) in [
        (0o775, true),
        (0o2770, true),
        (0o777, false),
        (0o1777, false),
        (0o757, false),
    ] {
        let folder = new();
        set_mode(folder.path(), bits);
        let why = distrust(Cache::open(folder.path(), LIMIT), folder.path());
        let expected = match group {
            true => Distrust::Group { mode: bits },
            false => Distrust::Everybody { mode: bits },
        };
        assert_eq!(why, expected);
        assert!(why.to_string().contains(&format!("{bits:04o}")), "{why}");
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0);
    }
}

#[test]
fn a_cache_that_others_can_write_to_is_refused() {
    let folder = new();
    Cache::open(folder.path(), LIMIT)
        .expect("opened")
        .put(&key(), b"content");
    let v1 = folder.path().join("v1");
    for path in [folder.path().to_owned(), v1.clone(), v1.join("new")] {
        for bits in [0o775, 0o757] {
            set_mode(&path, bits);
            distrust(Cache::open(folder.path(), LIMIT), &path);
        }
        set_mode(&path, 0o755);
    }
    let cache = Cache::open(folder.path(), LIMIT).expect("opened");
    assert!(cache.get(&key()).is_some());
}

#[test]
fn another_users_cache_is_refused_by_root_too() {
    if !is_root() {
        return;
    }
    let folder = new();
    drop(Cache::open(folder.path(), LIMIT).expect("opened"));
    let v1 = folder.path().join("v1");
    for path in [folder.path().to_owned(), v1.clone(), v1.join("new")] {
        chown(&path, Some(NOBODY), None).expect("its owner");
        let why = distrust(Cache::open(folder.path(), LIMIT), &path);
        let expected = Distrust::Owner {
            owner: NOBODY,
            user: 0,
        };
        assert_eq!(why, expected);
        chown(&path, Some(0), None).expect("its owner");
    }
    Cache::open(folder.path(), LIMIT).expect("opened");
    // A link does not hide whose it is.
    chown(folder.path(), Some(NOBODY), None).expect("its owner");
    let scratch = new();
    let link = scratch.path().join("link");
    symlink(folder.path(), &link).expect("a link");
    distrust(Cache::open(&link, LIMIT), &link);
}

#[test]
fn an_entry_that_somebody_else_can_have_written_is_no_entry() {
    let folder = new();
    let cache = Cache::open(folder.path(), LIMIT).expect("opened");
    let path = entry(folder.path());
    let mut faults: Vec<Box<dyn Fn()>> = vec![
        Box::new(|| set_mode(&path, 0o664)),
        Box::new(|| set_mode(&path, 0o646)),
    ];
    if is_root() {
        faults.push(Box::new(|| {
            chown(&path, Some(NOBODY), None).expect("its owner");
        }));
    }
    for (number, fault) in faults.iter().enumerate() {
        cache.put(&key(), b"content");
        assert!(cache.get(&key()).is_some());
        fault();
        assert!(cache.get(&key()).is_none());
        assert_eq!(cache.stats().damaged, number as u64 + 1);
        assert!(!path.exists());
    }
    assert_eq!(cache.stats().failed, 0, "{:?}", cache.first_failure());
}

#[test]
fn neither_a_link_nor_a_pipe_is_an_entry() {
    let folder = new();
    let cache = Cache::open(folder.path(), LIMIT).expect("opened");
    cache.put(&key(), b"content");
    let path = entry(folder.path());
    let aside = folder.path().join("aside");
    fs::rename(&path, &aside).expect("moved");
    symlink(&aside, &path).expect("a link");
    assert!(cache.get(&key()).is_none());
    fs::remove_file(&path).expect("it is there");
    // Opening it to read would wait for a writer.
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo").success());
    assert!(cache.get(&key()).is_none());
    assert_eq!(cache.stats().failed, 2);
    // It is in the way of no new entry.
    cache.put(&key(), b"again");
    assert!(cache.get(&key()).is_some());
}

#[test]
fn a_shared_cache_has_to_be_asked_for() {
    let shared = new();
    Cache::open_shared(shared.path(), LIMIT)
        .expect("made")
        .put(&key(), b"content");
    let tag = fs::read_to_string(shared.path().join("CACHEDIR.TAG")).expect("there");
    assert!(tag.ends_with("\nstoreboot-cache 1 shared\n"), "{tag}");
    let why = distrust(Cache::open(shared.path(), LIMIT), shared.path());
    assert_eq!(why, Distrust::Shared);
    let cache = Cache::open_shared(shared.path(), LIMIT).expect("opened");
    assert!(cache.get(&key()).is_some());
    // Its group shares it, and no others do.
    set_mode(shared.path(), 0o2777);
    let why = distrust(Cache::open_shared(shared.path(), LIMIT), shared.path());
    assert_eq!(why, Distrust::Everybody { mode: 0o2777 });

    let private = new();
    drop(Cache::open(private.path(), LIMIT).expect("made"));
    let why = distrust(Cache::open_shared(private.path(), LIMIT), private.path());
    assert_eq!(why, Distrust::NotShared);
}

#[test]
fn members_of_the_group_can_write_to_all_of_a_shared_cache_and_to_nothing_of_another() {
    // Apart from these bits, the umask decides about a cache of one user.
    const WRITABLE: u32 = 0o022;
    for (open, mask, folders, files) in [
        (Cache::open as fn(PathBuf, u64) -> _, WRITABLE, 0, 0),
        (Cache::open_shared, 0o7777, 0o2775, 0o664),
    ] {
        let scratch = new();
        let folder = scratch.path().join("cache");
        let cache = open(folder.clone(), LIMIT).expect("made");
        cache.put(&key(), b"content");
        cache.evict();
        let v1 = folder.join("v1");
        let shard = entry(&folder);
        let shard = shard.parent().expect("a folder");
        for path in [&*folder, &v1, &v1.join("new"), shard] {
            assert_eq!(mode(path) & mask, folders, "{}", path.display());
        }
        for path in [folder.join("CACHEDIR.TAG"), v1.join("lock"), entry(&folder)] {
            assert_eq!(mode(&path) & mask, files, "{}", path.display());
        }
        assert_eq!(cache.stats().failed, 0, "{:?}", cache.first_failure());
    }
}

#[test]
fn any_folder_can_be_checked() {
    let folder = new();
    Cache::check_owner(folder.path()).expect("only this user can write to it");
    set_mode(folder.path(), 0o777);
    Cache::check_owner(folder.path()).expect_err("all can");
    assert!(matches!(
        Cache::check_owner(folder.path().join("missing")),
        Err(Error::Read { .. })
    ));
}
