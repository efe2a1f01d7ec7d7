//! `--cache` accepts only a folder that storeboot made. It refuses any other folder and does not change it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A closure of one path, and a folder for the cache and the output.
struct Sample {
    folder: tempfile::TempDir,
}

impl Sample {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = "/nix/store/00000000000000000000000000000000-hello";
        let file = folder.path().join(&path[1..]);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, "hello\n".repeat(1000)).expect("a file");
        fs::write(folder.path().join("graph"), format!("{path}\n\n0\n")).expect("a file");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Packs with a cache whose size limit is zero.
    fn pack(&self, cache: &Path) -> Output {
        Command::new(assert_cmd::cargo::cargo_bin!("storeboot"))
            .args(["pack", "--quiet", "--format", "squashfs", "--graph"])
            .arg(self.path("graph"))
            .arg("--store-root")
            .arg(self.folder.path())
            .arg("--output")
            .arg(self.path("image"))
            .args(["--cache-size", "0", "--cache"])
            .arg(cache)
            .output()
            .expect("it runs")
    }
}

#[test]
fn a_folder_with_other_files_is_refused_before_any_work() {
    for file in ["v1/src/a.rs", "v1/ab/notes", "notes", "v1/lock"] {
        let sample = Sample::new();
        let cache = sample.path("project");
        let file = cache.join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, "fn main() {}\n").expect("a file");

        let output = sample.pack(&cache);
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
    let sample = Sample::new();
    let cache = sample.path("a/new/folder");
    for _ in 0..2 {
        let output = sample.pack(&cache);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said, "");
        assert!(cache.join("CACHEDIR.TAG").exists());
    }
}
