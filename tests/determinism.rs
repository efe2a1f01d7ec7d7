//! The same closure gives the same bytes in every environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use storeboot_squashfs::reader::{Image, InodeKind};
use storeboot_tests::command::{
    Scratch, as_nobody, bz_image, copy_storeboot, printed, ran, skipped, static_program,
};
use storeboot_tests::fixture::{Fixture, INIT, MANY, Manner, Recipe};
use storeboot_tests::listing::{Kind, Listing};

/// The inputs of a netboot directory, and a folder for outputs.
struct Inputs {
    scratch: Scratch,
    fixture: Fixture,
    /// A copy of the command that every user may run.
    program: PathBuf,
}

impl Inputs {
    fn new(scratch: Scratch, manner: Manner, recipe: Recipe) -> Self {
        let fixture = recipe.write(scratch.path(), manner);
        let program = scratch.join("storeboot");
        copy_storeboot(&program);
        let inputs = Self {
            scratch,
            fixture,
            program,
        };
        inputs.write("kernel", &bz_image("6.12.1"));
        inputs.write("stage1", &static_program());
        // The odd length makes padding necessary before the next segment.
        inputs.write("prepended", &[0xa5; 4099]);
        inputs
    }

    fn in_memory(recipe: Recipe) -> Self {
        Self::new(Scratch::new(), Manner::default(), recipe)
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.scratch.join(name), content).expect("a file");
    }

    /// The closure's arguments.
    fn closure(&self) -> Vec<OsString> {
        vec![
            "--path-info".into(),
            self.fixture.path_info.clone().into(),
            "--store-root".into(),
            self.fixture.root.clone().into(),
        ]
    }

    /// The arguments of `build`, but for the closure's.
    fn build(&self, layout: &str, output: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = [
            "build",
            "--quiet",
            "--segments",
            "--layout",
            layout,
            "--init",
            INIT,
        ]
        .map(OsString::from)
        .into();
        arguments.extend(["--compression", "zstd:1", "--block-size", "128K"].map(Into::into));
        arguments.extend(["--cmdline", "quiet console=ttyS0"].map(Into::into));
        for (option, name) in [
            ("--kernel", "kernel"),
            ("--stage1", "stage1"),
            ("--prepend", "prepended"),
        ] {
            arguments.extend([option.into(), self.scratch.join(name).into()]);
        }
        arguments.extend(["--output".into(), output.into()]);
        arguments
    }

    /// Builds with this command and returns the content of the netboot directory.
    fn netboot(&self, layout: &str, command: &mut Command) -> Listing {
        let out = self.scratch.folder_of_nobody("out");
        let output = out.join("netboot");
        printed(
            command
                .args(self.build(layout, &output))
                .args(self.closure()),
        );
        let listing = outcome(&output);
        fs::remove_dir_all(out).expect("it can go");
        listing
    }
}

/// Returns the content and permissions of an output, without owners and times, which storeboot does not set.
fn outcome(output: &Path) -> Listing {
    Listing::of_folder(output).map(|_, entry| {
        entry.owner = (0, 0);
        entry.mtime = 0;
    })
}

/// Waits until the clock shows another second, since most formats store whole seconds.
fn wait_for_another_second() {
    let second = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.expect("the clock is set").as_secs()
    };
    let start = second();
    while second() == start {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns a shell command that runs this script and then the program.
fn after(script: &str, program: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-euc", &format!("{script}; exec \"$0\" \"$@\"")])
        .arg(program);
    command
}

/// Returns commands that run in different environments. Each changes several things at once, to save time.
fn variations(program: &Path) -> Vec<(&'static str, Command)> {
    let mut one = after("umask 077; ulimit -n 64; set -- \"$@\" --jobs 1", program);
    one.envs([("LC_ALL", "C"), ("TZ", "Pacific/Kiritimati")])
        .envs([("SOURCE_DATE_EPOCH", "1700000000"), ("TMPDIR", "/var/tmp")]);
    let mut two = after("umask 000; set -- \"$@\" --jobs 2", program);
    two.envs([("LC_ALL", "tr_TR.UTF-8"), ("TZ", "America/St_Johns")])
        .envs([("SOURCE_DATE_EPOCH", "0"), ("RAYON_NUM_THREADS", "5")]);
    let mut seven = after("cd /; set -- \"$@\" --jobs 7", program);
    seven.env_clear().env("LC_ALL", "C.UTF-8");
    let mut variations = vec![
        ("the same again", Command::new(program)),
        ("umask 077, 1 job, C", one),
        ("umask 000, 2 jobs, Turkish", two),
        ("another folder, 7 jobs, no environment", seven),
    ];
    variations.extend(as_nobody(program).map(|command| ("another user", command)));
    variations
}

#[test]
fn a_netboot_directory_is_always_the_same() {
    let inputs = Inputs::in_memory(Recipe::new());
    // The same tree, written in reverse order, with other permissions and times, on another file system.
    let manner = Manner {
        backwards: true,
        writable: true,
    };
    let on_disk = Scratch::under(&std::env::temp_dir());
    let other = Inputs::new(on_disk, manner, Recipe::new());
    if device(other.scratch.path()) == device(inputs.scratch.path()) {
        skipped("there is no tmpfs with room at /dev/shm, so no other file system to try");
    }
    for name in ["kernel", "stage1", "prepended"] {
        let file = File::options().write(true).open(other.scratch.join(name));
        file.and_then(|file| file.set_modified(UNIX_EPOCH + Duration::from_secs(77)))
            .expect("another time");
    }

    for layout in ["file", "in-place", "direct", "fetch"] {
        let expected = inputs.netboot(layout, &mut Command::new(&inputs.program));
        let names: Vec<&[u8]> = expected.entries.keys().map(Vec::as_slice).collect();
        for file in [
            "bzImage",
            "initrd",
            "kernelAppend",
            "kexec-boot",
            "manifest.json",
            "netboot.ipxe",
            "netboot-segments.ipxe",
            "segments",
        ] {
            assert!(names.contains(&file.as_bytes()), "{file} is missing");
        }
        wait_for_another_second();
        for (what, mut command) in variations(&inputs.program) {
            inputs
                .netboot(layout, &mut command)
                .assert_is(&expected, &format!("layout {layout}, {what}"));
        }
        other
            .netboot(layout, &mut Command::new(&other.program))
            .assert_is(
                &expected,
                &format!("layout {layout}, another tree elsewhere"),
            );
    }
}

/// Returns the device number of the file system.
fn device(path: &Path) -> u64 {
    fs::metadata(path).expect("it is there").dev()
}

/// The form of the closure and the order of its paths do not change the output.
#[test]
fn every_form_of_a_closure_makes_the_same() {
    let inputs = Inputs::in_memory(Recipe::new().without(&[MANY]));
    let root: [OsString; 2] = ["--store-root".into(), inputs.fixture.root.clone().into()];
    let build = |what: &str, closure: &[OsString]| {
        let output = inputs.scratch.join(format!("netboot-{what}"));
        printed(
            Command::new(&inputs.program)
                .args(inputs.build("file", &output))
                .args(closure)
                .args(&root),
        );
        outcome(&output)
    };
    let place = |name: &str, text: String| -> OsString {
        inputs.write(name, text.as_bytes());
        inputs.scratch.join(name).into()
    };
    let expected = build(
        "list",
        &[
            "--path-info".into(),
            inputs.fixture.path_info.clone().into(),
        ],
    );

    let infos = inputs.fixture.closure.as_array().expect("a list").clone();
    let mut backwards = infos.clone();
    backwards.reverse();
    for info in &mut backwards {
        info["references"].as_array_mut().expect("a list").reverse();
    }
    let file = place("backwards.json", Value::from(backwards).to_string());
    build("backwards", &["--path-info".into(), file.clone()])
        .assert_is(&expected, "the list backwards");
    build("graph", &["--graph".into(), file]).assert_is(&expected, "a graph in JSON");

    let map: serde_json::Map<String, Value> = infos
        .iter()
        .map(|info| {
            let mut rest = info.clone();
            let path = rest["path"].take();
            rest.as_object_mut().expect("an object").remove("path");
            // Newer versions of Nix also write a deriver.
            rest["deriver"] = json!("/nix/store/dddddddddddddddddddddddddddddddd-all.drv");
            (path.as_str().expect("a path").to_owned(), rest)
        })
        .collect();
    let file = place("map.json", Value::from(map).to_string());
    build("map", &["--path-info".into(), file]).assert_is(&expected, "the map");

    // The text form has no hashes and sizes, so storeboot computes them from the files.
    let mut graph = String::new();
    let mut registration = String::new();
    let mut paths = String::new();
    for info in &infos {
        let text = |name: &str| info[name].as_str().expect("text").to_owned();
        let references: Vec<&str> = info["references"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|path| path.as_str().expect("a path"))
            .collect();
        let tail = [references.len().to_string()]
            .into_iter()
            .chain(references.iter().map(ToString::to_string))
            .collect::<Vec<_>>()
            .join("\n");
        let (path, hash) = (text("path"), text("narHash"));
        graph += &format!("{path}\n\n{tail}\n");
        registration += &format!("{path}\n{hash}\n{}\n\n{tail}\n", info["narSize"]);
        paths += &format!("{path}\n");
    }
    let file = place("graph", graph);
    build("text", &["--graph".into(), file]).assert_is(&expected, "a graph in text");
    fs::create_dir(inputs.scratch.join("info")).expect("a folder");
    place("info/registration", registration);
    place("info/store-paths", paths);
    let folder = inputs.scratch.join("info").into();
    build("info", &["--closure-info".into(), folder]).assert_is(&expected, "closureInfo");
}

fn pack(inputs: &Inputs, arguments: &[&str], jobs: &str) -> Vec<u8> {
    let output = inputs
        .scratch
        .join(format!("packed-{}", arguments.join("-")));
    printed(
        Command::new(&inputs.program)
            .args(["pack", "--quiet", "--jobs", jobs])
            .args(arguments)
            .args(inputs.closure())
            .args([OsStr::new("--output"), output.as_os_str()]),
    );
    let packed = fs::read(&output).expect("a file");
    fs::remove_file(output).expect("it was there");
    packed
}

/// Compressions, and the numbers of jobs to compare with one job. Slow compressions have only one such number.
const COMPRESSIONS: [(&str, &[&str]); 6] = [
    ("zstd:1", &["2", "7"]),
    ("zstd:7", &["2", "7"]),
    ("xz:0", &["3"]),
    ("gzip:1", &["3"]),
    ("lz4:3", &["2", "7"]),
    ("none", &["7"]),
];

fn packs_the_same_with_any_jobs(format: &str, more: &[&str], compressions: &[(&str, &[&str])]) {
    let inputs = Inputs::in_memory(Recipe::new());
    let mut all = Vec::new();
    for (compression, jobs) in compressions {
        let arguments = [&["--format", format, "--compression", compression], more].concat();
        let expected = pack(&inputs, &arguments, "1");
        for jobs in *jobs {
            assert!(
                pack(&inputs, &arguments, jobs) == expected,
                "{format} {compression} is another with {jobs} jobs"
            );
        }
        assert!(
            !all.contains(&expected),
            "{compression} makes no difference"
        );
        all.push(expected);
    }
}

#[test]
fn a_store_image_is_the_same_with_any_jobs() {
    packs_the_same_with_any_jobs("squashfs", &[], &COMPRESSIONS);
}

#[test]
fn a_store_image_of_small_blocks_is_the_same_with_any_jobs() {
    packs_the_same_with_any_jobs("squashfs", &["--block-size", "16K"], &COMPRESSIONS[..1]);
}

#[test]
fn an_archive_is_the_same_with_any_jobs() {
    packs_the_same_with_any_jobs("cpio", &[], &COMPRESSIONS);
}

/// The split into several images does not depend on the number of jobs, and loses nothing.
#[test]
fn several_images_are_the_same_with_any_jobs() {
    let inputs = Inputs::in_memory(Recipe::new());
    let program = &inputs.program;
    for layout in ["file", "in-place"] {
        let build = |jobs: &str| {
            let script = format!("set -- \"$@\" --image-limit 4M --jobs {jobs}");
            inputs.netboot(layout, &mut after(&script, program))
        };
        let expected = build("1");
        for jobs in ["2", "7"] {
            build(jobs).assert_is(&expected, &format!("layout {layout}, {jobs} jobs"));
        }
        check_union(&inputs, &expected);
    }
}

/// A profile with small and large files, equal ones, holes, two store paths, and a file that is not there.
const PROFILE: &str = "storeboot profile 1
system/init
contents/second/large
contents/text-131073-more
contents/first/small
contents/noise-4096
contents/sparse-before-tail\t0-4096
contents/zeros-4096
contents/empty
contents/gone
gone-1.0/bin/gone
";

#[test]
fn an_image_by_a_profile_is_the_same_with_any_jobs_and_holds_the_same() {
    let inputs = Inputs::in_memory(Recipe::new());
    inputs.write("profile", PROFILE.as_bytes());
    let profile = inputs.scratch.join("profile");
    let profile = profile.to_str().expect("a plain name");
    let plain = ["--format", "squashfs", "--compression", "zstd:1"];
    for block_size in ["16K", "1M"] {
        let plain = [&plain[..], &["--block-size", block_size]].concat();
        let sorted = [&plain[..], &["--profile", profile]].concat();
        let output = |arguments: &[&str], jobs: &str| {
            let name = inputs.scratch.join("image");
            let ran = ran(Command::new(&inputs.program)
                .args(["pack", "--jobs", jobs])
                .args(arguments)
                .args(inputs.closure())
                .args([OsStr::new("--output"), name.as_os_str()]));
            assert!(ran.status.success());
            let image = fs::read(&name).expect("a file");
            (image, String::from_utf8_lossy(&ran.stderr).into_owned())
        };
        let (expected, said) = output(&sorted, "1");
        assert!(said.contains(": 8 files of "), "{said}");
        assert!(
            said.contains("; 2 of its files are not in this store"),
            "{said}"
        );
        for jobs in ["2", "7"] {
            assert!(output(&sorted, jobs).0 == expected, "{jobs} jobs");
        }
        let (other, _) = output(&plain, "2");
        assert!(other != expected, "the profile makes no difference");
        assert!(listed(&expected) == listed(&other), "the content differs");
    }
}

/// What is in an image, by the reader: paths, kinds and contents.
fn listed(image: &[u8]) -> Vec<(Vec<u8>, String, Vec<u8>)> {
    let mut image = Image::open(std::io::Cursor::new(image)).expect("an image");
    let mut walk = image.walk();
    let mut all = Vec::new();
    while let Some(found) = walk.next(&mut image).expect("it is sound") {
        let (kind, content) = match &found.inode.kind {
            InodeKind::File(file) => {
                let mut content = Vec::new();
                std::io::copy(&mut image.read(file), &mut content).expect("it is sound");
                ("file".into(), content)
            }
            InodeKind::Directory(_) => ("directory".into(), Vec::new()),
            other => (format!("{other:?}"), Vec::new()),
        };
        all.push((found.path.clone(), kind, content));
    }
    all
}

#[test]
fn several_images_by_a_profile_are_the_same_with_any_jobs() {
    let inputs = Inputs::in_memory(Recipe::new());
    inputs.write("profile", PROFILE.as_bytes());
    let build = |jobs: &str| {
        let profile = inputs.scratch.join("profile");
        let script = format!(
            "set -- \"$@\" --image-limit 4M --jobs {jobs} --profile {}",
            profile.display()
        );
        inputs.netboot("in-place", &mut after(&script, &inputs.program))
    };
    let expected = build("1");
    for jobs in ["2", "7"] {
        build(jobs).assert_is(&expected, &format!("{jobs} jobs"));
    }
    check_union(&inputs, &expected);
}

#[test]
fn what_is_no_profile_is_refused_with_its_line() {
    let inputs = Inputs::in_memory(Recipe::new().without(&[MANY]));
    inputs.write("profile", b"storeboot profile 1\nsystem/../../etc/shadow\n");
    let output = inputs.scratch.join("image");
    let refused = ran(Command::new(&inputs.program)
        .args(["pack", "--format", "squashfs", "--profile"])
        .arg(inputs.scratch.join("profile"))
        .args(inputs.closure())
        .args([OsStr::new("--output"), output.as_os_str()]));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("line 2: a name leads out of its store path"),
        "{said}"
    );
    assert!(!output.exists());
}

/// Checks that all images together hold the store, and that each entry except directories is in one image.
fn check_union(inputs: &Inputs, netboot: &Listing) {
    let content = |name: &[u8]| match &netboot.entries[name].kind {
        Kind::File(content) => content.clone(),
        other => panic!("{other:?}"),
    };
    let initrd = content(b"initrd");
    let manifest: Value = serde_json::from_slice(&content(b"manifest.json")).expect("JSON");
    let images = manifest["images"].as_array().expect("a list");
    assert!(images.len() > 2, "only {} images", images.len());
    let mut seen: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
    for image in images {
        let number = |name: &str| image[name].as_u64().expect("a number") as usize;
        let (offset, size) = (number("offset"), number("size"));
        let bytes = std::io::Cursor::new(&initrd[offset..offset + size]);
        let mut image = Image::open(bytes).expect("an image");
        let mut walk = image.walk();
        while let Some(found) = walk.next(&mut image).expect("it is sound") {
            let directory = matches!(found.inode.kind, InodeKind::Directory(_));
            let before = seen.insert(found.path.clone(), directory);
            assert!(
                before.is_none() || before == Some(true) && directory,
                "{} is in two images",
                found.path.escape_ascii()
            );
        }
    }
    let expected = inputs.fixture.recipe.listing(b"").entries;
    assert!(
        seen.keys().eq(expected.keys()),
        "{} entries, should be {}",
        seen.len(),
        expected.len()
    );
}
