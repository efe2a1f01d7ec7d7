//! Archives of a store in both forms, solid and per-path, have the same content. Each form gives the same bytes with
//! any number of jobs and any state of the cache.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use storeboot_cpio::Reader;
use storeboot_tests::command::{Scratch, bz_image, printed, ran, static_program, storeboot};
use storeboot_tests::fixture::{CONTENTS, Fixture, INIT, MANY, Manner, Recipe};
use storeboot_tests::listing::Listing;

const LARGE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-large";

struct Inputs {
    scratch: Scratch,
    fixture: Fixture,
}

impl Inputs {
    /// Makes a store with a path that is large enough to be packed on all threads.
    fn new() -> Self {
        let mut recipe = Recipe::new().without(&[MANY]);
        let mut state = 1_u32;
        let content: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // These bytes compress to less than half their size.
            (state >> 28) as u8
        })
        .take(20 << 20)
        .collect();
        recipe.file(format!("{LARGE}/content"), content);
        Self::of(recipe)
    }

    fn of(recipe: Recipe) -> Self {
        let scratch = Scratch::new();
        let manner = Manner {
            writable: true,
            ..Manner::default()
        };
        let fixture = recipe.write(scratch.path(), manner);
        fs::write(scratch.join("kernel"), bz_image("6.12.1")).expect("a kernel");
        fs::write(scratch.join("stage1"), static_program()).expect("a stage 1");
        Self { scratch, fixture }
    }

    fn command(&self, arguments: &[&str], output: &Path) -> Command {
        let mut command = Command::new(storeboot());
        command
            .args(arguments)
            .args(["--quiet", "--output"])
            .arg(output)
            .args(["--path-info".into(), self.fixture.path_info.clone()])
            .args(["--store-root".into(), self.fixture.root.clone()]);
        command
    }

    /// Packs an archive.
    fn pack(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.scratch.join("packed");
        let said = ran(self
            .command(&["pack", "--format", "cpio"], &output)
            .args(arguments));
        let stderr = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && stderr.is_empty(), "{stderr}");
        fs::read(&output).expect("an archive")
    }

    /// Builds a netboot directory in layout `direct`.
    fn build(&self, arguments: &[&str]) -> Listing {
        let output = self.scratch.join("netboot");
        let files = ["--kernel", "kernel", "--stage1", "stage1"].map(OsString::from);
        printed(
            self.command(&["build", "--layout", "direct", "--init", INIT], &output)
                .current_dir(self.scratch.path())
                .args(files)
                .args(arguments),
        );
        Listing::of_folder(&output).map(|_, entry| entry.mtime = 0)
    }

    fn cache(&self) -> PathBuf {
        self.scratch.join("cache")
    }

    /// Returns the files of the cache's entries.
    fn entries(&self) -> Vec<PathBuf> {
        let list = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).expect("a folder");
            entries
                .map(|entry| entry.expect("readable").path())
                .collect()
        };
        let shards = list(&self.cache().join("v1"));
        let shards = shards.iter().filter(|path| path.is_dir());
        shards.flat_map(|shard| list(shard)).collect()
    }
}

/// A change to an entry of the cache.
type Damage = fn(&mut Vec<u8>);

/// Returns name, mode and content of all members of concatenated archives.
fn members(mut archives: &[u8]) -> Vec<(Vec<u8>, u32, Vec<u8>)> {
    let mut members = Vec::new();
    while !archives.is_empty() {
        let mut reader = Reader::new(archives);
        while let Some(mut entry) = reader.next_entry().expect("an archive") {
            let (name, mode) = (entry.name().to_vec(), entry.header().mode);
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).expect("its content");
            members.push((name, mode, content));
        }
        let length = usize::try_from(reader.position()).expect("it is in memory");
        archives = &archives[length..];
    }
    members
}

#[test]
fn both_forms_have_the_same_content() {
    let inputs = Inputs::new();
    let solid = inputs.pack(&[]);
    let by_path = inputs.pack(&["--archives", "per-path"]);
    assert!(solid != by_path);
    let (solid, by_path) = (members(&solid), members(&by_path));
    assert_eq!(solid.len(), by_path.len());
    assert!(solid == by_path, "other members");
}

#[test]
fn archives_by_path_are_the_same_with_any_jobs() {
    let inputs = Inputs::new();
    for compression in ["zstd:1", "zstd:7", "xz:0", "gzip:1", "lz4:1", "none"] {
        let arguments = [
            "--archives",
            "per-path",
            "--compression",
            compression,
            "--jobs",
        ];
        let pack = |jobs| inputs.pack(&[&arguments[..], &[jobs]].concat());
        let expected = pack("1");
        for jobs in ["2", "7"] {
            assert!(pack(jobs) == expected, "{compression} with {jobs} jobs");
        }
    }
}

#[test]
fn the_state_of_the_cache_does_not_change_the_archive() {
    let inputs = Inputs::new();
    let cache = inputs.cache();
    let cache = cache.to_str().expect("text");
    let damage: [(&str, Damage); 4] = [
        ("as it is", |_| ()),
        ("a byte changed", |entry| {
            let middle = entry.len() / 2;
            entry[middle] ^= 1;
        }),
        ("cut off", |entry| entry.truncate(entry.len() - 1)),
        ("empty", Vec::clear),
    ];
    for (archives, compression) in [
        ("solid", "zstd:1"),
        ("per-path", "zstd:1"),
        ("per-path", "lz4:1"),
        ("per-path", "xz:0"),
    ] {
        let arguments = ["--archives", archives, "--compression", compression];
        let with = |more: &[&str]| inputs.pack(&[&arguments[..], more].concat());
        let expected = with(&[]);
        let form = format!("{archives} {compression}");
        assert!(with(&["--cache", cache]) == expected, "{form}, cold");
        let keeps = archives == "per-path";
        assert_eq!(inputs.entries().is_empty(), !keeps, "{form}");
        // xz is slow, so it is tested with fewer kinds of damage.
        let damages = match (keeps, compression) {
            (false, _) => 1,
            (true, "xz:0") => 2,
            (true, _) => 4,
        };
        for (what, change) in damage.iter().take(damages) {
            for entry in inputs.entries() {
                let mut bytes = fs::read(&entry).expect("an entry");
                change(&mut bytes);
                fs::write(&entry, bytes).expect("an entry");
            }
            let jobs = if *what == "cut off" { "1" } else { "3" };
            let packed = with(&["--cache", cache, "--jobs", jobs]);
            assert!(packed == expected, "{form}, entries {what}");
        }
        assert!(with(&["--cache", cache, "--cache-size", "0"]) == expected);
        assert_eq!(inputs.entries(), [] as [PathBuf; 0]);
    }
}

#[test]
fn a_netboot_directory_is_the_same_with_and_without_a_cache() {
    let inputs = Inputs::new();
    let cache = inputs.cache();
    let cache = ["--cache", cache.to_str().expect("text")];
    for archives in ["solid", "per-path"] {
        let arguments = ["--archives", archives, "--compression", "zstd:1"];
        let expected = inputs.build(&arguments);
        for (state, jobs) in [("cold", "3"), ("full", "1"), ("full", "2")] {
            let more = [&arguments[..], &cache, &["--jobs", jobs]].concat();
            let what = format!("{archives}, a cache that is {state}, {jobs} jobs");
            inputs.build(&more).assert_is(&expected, &what);
        }
        let output = inputs.scratch.join("netboot");
        printed(Command::new(storeboot()).arg("verify").arg(&output));
        // The manifest lists one segment for any number of archives.
        let manifest = fs::read_to_string(output.join("manifest.json")).expect("a manifest");
        assert_eq!(manifest.matches("\"kind\": \"store\"").count(), 1);
    }
}

#[test]
fn a_path_that_did_not_change_is_not_read() {
    let inputs = Inputs::new();
    let cache = inputs.cache();
    let arguments = [
        "--archives",
        "per-path",
        "--compression",
        "zstd:1",
        "--cache",
        cache.to_str().expect("text"),
    ];
    let expected = inputs.pack(&arguments);
    // The store path is emptied, so reading it would change the output.
    let content = inputs.fixture.root.join("nix/store").join(CONTENTS);
    for entry in fs::read_dir(&content).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            fs::remove_dir_all(path).expect("removed");
        } else {
            fs::remove_file(path).expect("removed");
        }
    }
    assert!(inputs.pack(&arguments) == expected);
    let without_cache = [&arguments[..4], &["--no-check"]].concat();
    assert!(
        inputs.pack(&without_cache) != expected,
        "it was not read without the cache"
    );
}

#[test]
fn a_cache_that_cannot_be_written_gives_a_warning_and_the_same_archive() {
    let inputs = Inputs::new();
    let expected = inputs.pack(&["--archives", "per-path", "--compression", "zstd:1"]);
    let cache = inputs.cache();
    drop(storeboot::Cache::open(&cache, 1 << 30).expect("a cache"));
    // A file in the place of an entry's folder makes writing fail, also for root.
    for shard in 0..=255 {
        fs::write(cache.join(format!("v1/{shard:02x}")), "").expect("a file");
    }
    let output = inputs.scratch.join("packed");
    let said = ran(inputs
        .command(&["pack", "--format", "cpio"], &output)
        .args([
            "--archives",
            "per-path",
            "--compression",
            "zstd:1",
            "--cache",
        ])
        .arg(&cache));
    assert!(said.status.success());
    assert!(fs::read(&output).expect("an archive") == expected);
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains("warning") && stderr.contains("/cache/v1/"),
        "{stderr}"
    );
}

#[test]
fn a_killed_process_leaves_a_usable_cache() {
    const KILLS: u32 = 50;

    let inputs = Inputs::of(Recipe::new().without(&[MANY]));
    let cache = inputs.cache();
    let output = inputs.scratch.join("packed");
    let forms: [&[&str]; 2] = [
        &[
            "pack",
            "--format",
            "cpio",
            "--archives",
            "per-path",
            "--compression",
            "zstd:3",
        ],
        &["pack", "--format", "squashfs", "--compression", "zstd:3"],
    ];
    for form in forms {
        printed(&mut inputs.command(form, &output));
        let expected = fs::read(&output).expect("packed");
        let with_cache = || {
            let mut command = inputs.command(form, &output);
            command.arg("--cache").arg(&cache);
            command
        };
        let start = Instant::now();
        printed(&mut with_cache());
        let whole = start.elapsed();
        for kill in 0..KILLS {
            if kill % 5 == 0 {
                fs::remove_dir_all(&cache).expect("a cache");
            }
            let mut child = with_cache().spawn().expect("started");
            thread::sleep(whole * kill / KILLS);
            child.kill().expect("killed, or through");
            child.wait().expect("waited for");
            printed(&mut with_cache());
            assert!(
                fs::read(&output).expect("packed") == expected,
                "{form:?}, killed after {kill} fiftieths of its time"
            );
        }
    }
}
