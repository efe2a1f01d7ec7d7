//! A folder becomes a cache only when it is empty, and stays one by its mark.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use storeboot_cache::{Cache, Error, Key};

const TAG: &str = "CACHEDIR.TAG";

fn open(folder: &Path) -> Result<Cache, Error> {
    Cache::open(folder, 1 << 30)
}

/// Opens a folder that is no cache. The error names the folder and has this word.
#[track_caller]
fn refused(folder: &Path, word: &str) {
    let error = open(folder).expect_err("it is no cache");
    let text = error.to_string();
    assert!(matches!(error, Error::NotACache { .. }), "{text}");
    assert_eq!(error.path(), folder);
    assert!(error.io_error().is_none());
    let shown = folder.display().to_string();
    assert!(text.contains(&shown) && text.contains(word), "{text}");
}

#[test]
fn a_new_cache_has_the_tag_that_backup_programs_know() {
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = scratch.path().join("a/new/one");
    open(&folder).expect("opened");
    let tag = fs::read_to_string(folder.join(TAG)).expect("there");
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
    assert!(tag.ends_with("\nstoreboot-cache 1\n"));
    open(&folder).expect("opened again");
    assert_eq!(fs::read_to_string(folder.join(TAG)).expect("there"), tag);
}

#[test]
fn a_folder_with_something_else_is_refused_and_stays_as_it_is() {
    let digits = "5".repeat(62);
    for file in ["a.rs", ".hidden", "v1/src/a.rs", &format!("v1/ab/{digits}")] {
        let scratch = tempfile::tempdir().expect("a folder");
        let path = scratch.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(&path, "mine").expect("written");
        let first = Path::new(file).iter().next().expect("a name");
        refused(scratch.path(), first.to_str().expect("text"));
        assert_eq!(fs::read_to_string(&path).expect("there"), "mine");
        let left = fs::read_dir(scratch.path()).expect("there").count();
        assert_eq!(left, 1, "{file}");
    }
}

#[test]
fn a_cache_of_another_program_or_version_is_refused() {
    let signature = "Signature: 8a477f597d28d172789f06886806bc55\n";
    for (content, word) in [
        (
            format!("{signature}# by another program\n"),
            "another program",
        ),
        (format!("{signature}storeboot-cache 2\n"), "another version"),
        ("not the signature".into(), "signature"),
    ] {
        let scratch = tempfile::tempdir().expect("a folder");
        let tag = scratch.path().join(TAG);
        fs::write(&tag, &content).expect("written");
        refused(scratch.path(), word);
        assert_eq!(fs::read_to_string(&tag).expect("there"), content);
        assert!(!scratch.path().join("v1").exists());
    }
    let scratch = tempfile::tempdir().expect("a folder");
    fs::create_dir(scratch.path().join(TAG)).expect("created");
    refused(scratch.path(), "not a regular file");
}

#[test]
fn a_tag_that_was_cut_off_is_completed_in_an_empty_folder_only() {
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = scratch.path();
    open(folder).expect("opened");
    let tag = fs::read(folder.join(TAG)).expect("there");
    for length in [0, 1, 43, tag.len() - 1] {
        fs::write(folder.join(TAG), &tag[..length]).expect("written");
        refused(folder, "v1");
        fs::remove_dir_all(folder.join("v1")).expect("there");
        open(folder).expect("opened");
        assert!(
            fs::read(folder.join(TAG)).expect("there") == tag,
            "{length}"
        );
    }
}

#[test]
fn what_is_put_beside_the_tag_later_does_not_matter() {
    let scratch = tempfile::tempdir().expect("a folder");
    open(scratch.path()).expect("opened");
    fs::write(scratch.path().join("notes"), "mine").expect("written");
    let cache = Cache::open(scratch.path(), 0).expect("opened");
    cache.put(&Key::derive("test", &[]), b"content");
    cache.evict();
    assert_eq!(cache.stats().failed, 0, "{:?}", cache.first_failure());
    assert!(scratch.path().join("notes").exists());
}

#[test]
fn an_empty_folder_can_be_opened_many_times_at_once() {
    const AT_ONCE: usize = 8;
    for round in 0..200 {
        let scratch = tempfile::tempdir().expect("a folder");
        // Half of the time the folder has to be made, too.
        let folder = scratch.path().join(["", "new"][round % 2]);
        let barrier = Barrier::new(AT_ONCE);
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    barrier.wait();
                    let cache = open(&folder).expect("opened");
                    let key = Key::derive("test", &[]);
                    cache.put(&key, b"content");
                    assert!(cache.get(&key).is_some());
                    assert_eq!(cache.stats().failed, 0, "{:?}", cache.first_failure());
                });
            }
        });
    }
}
