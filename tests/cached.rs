//! A cache makes builds faster and does not change their output, even if entries are damaged or missing, or if builds
//! that share the cache are killed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use storeboot_tests::command::{Scratch, bz_image, names, printed, static_program, storeboot};
use storeboot_tests::fixture::{CONTENTS, Fixture, INIT, MANY, Manner, Recipe, SYSTEM};

struct Inputs {
    scratch: Scratch,
    fixture: Fixture,
}

impl Inputs {
    fn new(recipe: Recipe) -> Self {
        let scratch = Scratch::new();
        let fixture = recipe.write(scratch.path(), Manner::default());
        fs::write(scratch.join("kernel"), bz_image("6.12.1")).expect("a file");
        fs::write(scratch.join("stage1"), static_program()).expect("a file");
        Self { scratch, fixture }
    }

    fn cache(&self) -> PathBuf {
        self.scratch.join("cache")
    }

    /// Returns the command that builds a netboot directory with several images in this folder.
    fn command(&self, output: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(storeboot());
        command.args(["build", "--quiet", "--init", INIT, "--layout", "in-place"]);
        command.args([
            "--compression",
            "zstd:10",
            "--block-size",
            "64K",
            "--image-limit",
            "4M",
        ]);
        let files: [(&str, PathBuf); 5] = [
            ("--kernel", self.scratch.join("kernel")),
            ("--stage1", self.scratch.join("stage1")),
            ("--path-info", self.fixture.path_info.clone()),
            ("--store-root", self.fixture.root.clone()),
            ("--output", output.into()),
        ];
        for (option, file) in files {
            command.args([OsString::from(option), file.into()]);
        }
        command.args(more);
        command
    }

    /// Builds and returns the initrd.
    fn build(&self, more: &[&str]) -> Vec<u8> {
        let output = self.scratch.join("netboot");
        printed(&mut self.command(&output, more));
        let initrd = fs::read(output.join("initrd")).expect("an initrd");
        fs::remove_dir_all(output).expect("it is there");
        initrd
    }

    fn build_cached(&self, jobs: &str) -> Vec<u8> {
        let cache = self.cache();
        let cache = cache.to_str().expect("a plain name");
        self.build(&["--jobs", jobs, "--cache", cache])
    }

    /// Checks that a build with the cache fails with a message that names this store path, and writes no output.
    fn assert_fails_naming(&self, store_path: &str) {
        let cache = self.cache();
        let more = ["--cache", cache.to_str().expect("a plain name")];
        let output = self.scratch.join("netboot");
        let failed = self.command(&output, &more).output().expect("it runs");
        let said = String::from_utf8_lossy(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{said}");
        assert!(said.contains(store_path), "{said}");
        assert!(!output.exists());
    }

    /// Returns the files of the cache's entries, sorted.
    fn entries(&self) -> Vec<PathBuf> {
        let list = |folder: &Path| -> Vec<PathBuf> {
            let found = fs::read_dir(folder).expect("a folder");
            found.map(|entry| entry.expect("an entry").path()).collect()
        };
        let is_shard =
            |path: &PathBuf| path.is_dir() && path.file_name().is_some_and(|name| name.len() == 2);
        let shards = list(&self.cache().join("v1"));
        let mut entries: Vec<PathBuf> = shards
            .iter()
            .filter(|path| is_shard(path))
            .flat_map(|shard| list(shard))
            .collect();
        entries.sort();
        entries
    }
}

#[test]
fn the_initrd_is_the_same_with_a_cold_a_warm_and_a_damaged_cache() {
    let inputs = Inputs::new(Recipe::new().without(&[MANY]));
    let expected = inputs.build(&[]);
    assert!(inputs.build_cached("2") == expected, "a cold cache");
    let entries = inputs.entries();
    assert!(entries.len() > 20, "only {} entries", entries.len());
    assert!(inputs.build_cached("7") == expected, "a warm cache");
    assert_eq!(inputs.entries(), entries, "it was complete");

    for (number, entry) in entries.iter().enumerate() {
        let mut content = fs::read(entry).expect("an entry");
        match number % 4 {
            0 => fs::remove_file(entry).expect("it is there"),
            1 => {
                let place = number * 37 % content.len();
                content[place] ^= 0x10;
                fs::write(entry, content).expect("it can be written");
            }
            2 => fs::write(entry, &content[..number * 11 % content.len()])
                .expect("it can be written"),
            _ => {}
        }
    }
    assert!(inputs.build_cached("1") == expected, "a damaged cache");
    assert_eq!(inputs.entries(), entries, "it is complete again");
}

#[test]
fn an_initrd_by_a_profile_is_the_same_with_a_cold_and_a_warm_cache() {
    let inputs = Inputs::new(Recipe::new().without(&[MANY]));
    let profile = inputs.scratch.join("profile");
    let text = "storeboot profile 1\ncontents/first/small\ncontents/second/large\nsystem/init\n";
    fs::write(&profile, text).expect("a file");
    let cache = inputs.cache();
    let [profile, cache] = [&profile, &cache].map(|path| path.to_str().expect("a plain name"));
    let expected = inputs.build(&["--profile", profile]);
    assert!(inputs.build(&[]) != expected, "it makes a difference");
    // The first build fills the cache by recipes that know of no profile.
    inputs.build(&["--cache", cache]);
    for jobs in ["1", "7"] {
        let built = inputs.build(&["--profile", profile, "--cache", cache, "--jobs", jobs]);
        assert!(built == expected, "{jobs} jobs");
    }
}

#[test]
fn a_store_path_that_did_not_change_is_not_read() {
    let inputs = Inputs::new(Recipe::new().without(&[MANY]));
    let expected = inputs.build_cached("2");
    let folder = inputs.fixture.root.join("nix/store").join(CONTENTS);
    fs::remove_dir_all(&folder).expect("it is there");
    // The store path must exist, but its content is not read.
    fs::create_dir(&folder).expect("a folder");
    assert!(inputs.build_cached("2") == expected);

    // Without the cache's entry, the store path must be read.
    for entry in inputs.entries() {
        if fs::metadata(&entry).expect("an entry").len() > 16 << 10 {
            fs::remove_file(entry).expect("it is there");
        }
    }
    inputs.assert_fails_naming(CONTENTS);
}

#[test]
fn a_store_path_with_a_wrong_hash_is_not_cached() {
    let inputs = Inputs::new(Recipe::new().without(&[MANY]));
    let expected = inputs.build(&[]);
    let init = inputs.fixture.root.join(INIT.trim_start_matches('/'));
    let right = fs::read(&init).expect("a file");
    let add = |text: &[u8]| {
        File::options()
            .append(true)
            .open(&init)
            .and_then(|mut file| file.write_all(text))
    };
    add(b"changed").expect("it can be written");

    inputs.assert_fails_naming(SYSTEM);

    fs::write(&init, right).expect("it can be written");
    assert!(inputs.build_cached("2") == expected);
}

/// Kills builds that share a cache at random moments, a hundred times. The next build must have the right output.
#[test]
fn killed_builds_do_not_damage_the_cache() {
    let inputs = Inputs::new(Recipe::new().without(&[MANY, CONTENTS]));
    let expected = inputs.build(&[]);
    let start = Instant::now();
    assert!(inputs.build_cached("2") == expected);
    let usual = start.elapsed();
    let cache = inputs.cache();
    let more = [
        "--jobs",
        "2",
        "--cache",
        cache.to_str().expect("a plain name"),
    ];

    // The moments differ between runs; the result must not.
    for round in 0..50u32 {
        // Remove some entries, different ones each time, so that the builds have work to do.
        for (number, entry) in inputs.entries().iter().enumerate() {
            if !(number as u32 + round).is_multiple_of(3) {
                fs::remove_file(entry).expect("it is there");
            }
        }
        let outputs = ["one", "other"].map(|name| inputs.scratch.join(name));
        let mut builds = outputs.each_ref().map(|output| {
            let mut command = inputs.command(output, &more);
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts")
        });
        for (number, build) in builds.iter_mut().enumerate() {
            std::thread::sleep(usual * (round * 7 % 50) / 50 / (number as u32 + 1));
            // The process may have ended already.
            let _ = build.kill();
            build.wait().expect("it ends");
        }
        for output in outputs.iter().filter(|output| output.exists()) {
            let initrd = fs::read(output.join("initrd")).expect("an output is whole or not there");
            assert!(
                initrd == expected,
                "round {round}: a build that was not killed in time"
            );
            fs::remove_dir_all(output).expect("it is there");
        }
        assert!(inputs.build_cached("2") == expected, "round {round}");
    }
    // Eviction removes unfinished entries of killed builds ten minutes after the last write, or after a day if another
    // machine wrote them.
    let new = cache.join("v1/new");
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
    let left = names(&new);
    // There may be no such file, if every build was killed between two entries.
    let elsewhere = "another-host.0123456789abcdef0123456789abcdef.1.2.3";
    fs::write(new.join(elsewhere), "half an entry").expect("a file");
    let left = left.into_iter().chain([elsewhere.into()]);
    for name in left {
        let file = File::options().write(true).open(new.join(name));
        file.and_then(|file| file.set_modified(two_days_ago))
            .expect("another time");
    }
    assert!(inputs.build_cached("2") == expected);
    assert_eq!(names(&new).len(), 0);
}
