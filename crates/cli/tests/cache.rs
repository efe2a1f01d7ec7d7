//! `--cache` accepts only a folder that storeboot made. It refuses any other folder and does not change it.

use std::fs;
use std::path::Path;
use std::process::Output;

mod support;

use support::Sample;

/// A sample of 6 kB, which compresses.
fn sample() -> Sample {
    Sample::new(&"hello\n".repeat(1000))
}

/// Packs with a cache whose size limit is zero.
fn pack(sample: &Sample, cache: &Path) -> Output {
    sample
        .pack()
        .args(["--quiet", "--cache-size", "0", "--cache"])
        .arg(cache)
        .output()
        .expect("it runs")
}

#[test]
fn a_folder_with_other_files_is_refused_before_any_work() {
    for file in ["v1/src/a.rs", "v1/ab/notes", "notes", "v1/lock"] {
        let sample = sample();
        let cache = sample.path("project");
        let file = cache.join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, "fn main() {}\n").expect("a file");

        let output = pack(&sample, &cache);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for word in [cache.to_str().expect("text"), "CACHEDIR.TAG", "--cache"] {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
        assert!(!sample.path("image").exists());
        assert_eq!(
            fs::read_to_string(&file).expect("it is still there"),
            "fn main() {}\n"
        );
        assert!(!cache.join("CACHEDIR.TAG").exists());
    }
}

#[test]
fn a_new_folder_becomes_a_cache_and_is_used_again() {
    let sample = sample();
    let cache = sample.path("a/new/folder");
    for _ in 0..2 {
        let output = pack(&sample, &cache);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said, "");
        assert!(cache.join("CACHEDIR.TAG").exists());
    }
}
