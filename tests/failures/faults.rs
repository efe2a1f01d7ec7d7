//! Disks that are full or broken, files that change while they are read, too few open files. Each run ends in a
//! sentence and leaves nothing behind, or succeeds with the right bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use storeboot_tests::command::{have, is_root, names, ran, skipped, with_mounts};
use storeboot_tests::fixture::SYSTEM;

use super::attempt::{World, check, content};

/// A file of this many bytes makes packing take more than one write.
const NOISE: usize = 600 << 10;

fn noise(length: usize) -> Vec<u8> {
    let next = |state: &u64| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    };
    std::iter::successors(Some(1_u64), next)
        .map(|state| (state >> 40) as u8)
        .take(length)
        .collect()
}

fn noisy_world() -> World {
    let world = World::new();
    world.store_file(&format!("{SYSTEM}/share/noise"), noise(NOISE));
    world
}

/// What the script below says of a run: the exit status, the names that are left beside the output, what was said.
struct Run {
    status: i32,
    left: String,
    said: String,
}

/// Runs the program on disks of more and more bytes, each time on a new one, until it succeeds. That takes a few MiB.
const WALK: &str = r#"
    size=32
    while :; do
        mount -t tmpfs -o size="$size"k none "$SMALL"
        mkdir "$SMALL/out" "$SMALL/tmp"
        status=0
        said=$(TMPDIR="$SMALL/tmp" "$0" "$@" 2>&1) || status=$?
        printf '%s\037%s\037%s\036' "$status" "$(ls -A "$SMALL/out" "$SMALL/tmp" | grep -v : | xargs)" "$said"
        if [ "$status" = 0 ]; then
            rm -rf "$RESULT"
            [ ! -e "$SMALL/out/output" ] || cp -r "$SMALL/out" "$RESULT"
        fi
        umount "$SMALL"
        if [ "$status" = 0 ] && [ -z "$said" ]; then break; fi
        size=$((size + 96))
        if [ "$size" -gt 65536 ]; then echo "64 MiB are too few: $said" >&2; exit 1; fi
    done"#;

fn runs(output: &Output) -> Vec<Run> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the script failed: {said}");
    let text = String::from_utf8_lossy(&output.stdout);
    let runs = text.split_terminator('\u{1e}').map(|run| {
        let mut fields = run.split('\u{1f}').map(str::to_owned);
        let mut field = || fields.next().expect("three fields");
        Run {
            status: field().parse().expect("a number"),
            left: field(),
            said: field(),
        }
    });
    runs.collect()
}

/// The command of [`WALK`], or `None` where nothing can be mounted.
fn walk(world: &World) -> Option<Command> {
    let small = world.path("small");
    // It may be there already.
    let _ = fs::create_dir(&small);
    let mut command = with_mounts(WALK, &world.path("storeboot"))?;
    command
        .env("SMALL", &small)
        .env("RESULT", world.path("result"));
    Some(command)
}

#[test]
fn a_disk_that_fills_up_at_any_write_ends_in_a_sentence() {
    let world = noisy_world();
    let small = world.path("small");
    let cache = small.join("cache");
    for with_cache in [false, true] {
        for attempt in world.attempts() {
            let Some(command) = walk(&world) else { return };
            let mut attempt = attempt.set("--output", small.join("out/output"));
            if with_cache {
                attempt = attempt.set("--cache", &cache);
            }
            let arguments = attempt.arguments();
            let mut runs = runs(&attempt.by(command).run());
            assert!(runs.len() > 4, "{arguments:?}: only {} sizes", runs.len());
            let last = runs.pop().expect("a run");
            assert_eq!((last.status, &*last.left), (0, "output"), "{arguments:?}");
            for run in runs {
                let said = run.said;
                // The output may fit where not all of the cache does.
                if with_cache && run.status == 0 {
                    assert!(said.starts_with("storeboot: warning: "), "{said}");
                    assert_eq!(run.left, "output", "{arguments:?}");
                    continue;
                }
                assert_eq!(run.status, 1, "{arguments:?}: {said}");
                assert!(
                    said.starts_with("storeboot: ") && said.contains("No space left on device"),
                    "{arguments:?}: {said}"
                );
                assert!(!said.contains('\n'), "not one sentence: {said}");
                assert_eq!(run.left, "", "{arguments:?}: {said}");
            }
        }
    }
}

#[test]
fn a_cache_on_a_full_disk_changes_no_output() {
    let world = noisy_world();
    for attempt in world.attempts() {
        let output = world.out.join("output");
        let arguments = attempt.arguments();
        let attempt = attempt.set("--output", &output);
        let without = ran(Command::new(world.path("storeboot")).args(attempt.arguments()));
        assert!(without.status.success());
        let expected = content(&output);
        world.clear_outputs();
        let Some(command) = walk(&world) else { return };
        let attempt = attempt.set("--cache", world.path("small/cache"));
        for run in runs(&attempt.by(command).run()) {
            assert_eq!(run.status, 0, "{arguments:?}: {}", run.said);
            let warned = run.said.starts_with("storeboot: warning: ") && !run.said.contains('\n');
            assert!(run.said.is_empty() || warned, "{}", run.said);
        }
        content(&output).assert_is(&expected, "with a cache on a full disk");
        world.clear_outputs();
    }
}

/// The file system is whole where it has its names and broken where it has the data: reading ends in EIO.
#[test]
fn a_file_that_cannot_be_read_to_its_end_is_named() {
    let world = noisy_world();
    if !is_root() {
        return skipped("only root can mount a disk from a file");
    }
    if !have(&["mkfs.ext4"]) {
        return;
    }
    let [disk, broken] = ["disk", "broken"].map(|name| world.path(name));
    fs::create_dir(&broken).expect("a folder");
    let script = r#"
        truncate -s 8M "$DISK"
        mkfs.ext4 -q -F "$DISK"
        mount -o loop "$DISK" "$BROKEN"
        head -c 3145728 /dev/urandom >"$BROKEN/file"
        cp "$NOISE" "$BROKEN/noise"
        umount "$BROKEN"
        mount -o loop,ro "$DISK" "$BROKEN"
        trap 'umount "$NOISE" "$BROKEN"' EXIT
        mount --bind "$BROKEN/noise" "$NOISE"
        truncate -s "$LEFT" "$DISK"
        echo 3 >/proc/sys/vm/drop_caches
        ! cat "$NOISE" >/dev/null 2>&1 || exit 77
        "$0" "$@""#;
    let noise = world.stored(SYSTEM).join("share/noise");
    for attempt in world.attempts() {
        let Some(mut command) = with_mounts(script, &world.path("storeboot")) else {
            return;
        };
        let variables: [(&str, &Path); 3] =
            [("DISK", &disk), ("BROKEN", &broken), ("NOISE", &noise)];
        command.envs(variables).env("LEFT", "1M");
        let result = attempt.by(command).run();
        match result.status.code() {
            Some(77) => return skipped("the disk's file is still in memory, so nothing is broken"),
            Some(32) => return skipped("no disk can be mounted from a file here"),
            _ => check(&result, ["-system/share/noise", "Input/output error"]),
        }
        assert!(names(&world.out).is_empty());
    }
}

/// The disk takes all that is written into memory, and fails when the data are to reach it: only a sync tells.
#[test]
fn a_disk_that_fails_behind_the_page_cache_ends_in_a_sentence() {
    let world = noisy_world();
    if !is_root() {
        return skipped("only root can mount a disk from a file");
    }
    if !have(&["mkfs.ext4"]) {
        return;
    }
    let small = world.path("small");
    fs::create_dir(&small).expect("a folder");
    // The disk is a sparse file, on a file system that has no room for the data.
    let script = r#"
        mount -t tmpfs -o size=2M none "$SMALL"
        truncate -s 64M "$SMALL/disk"
        mkfs.ext4 -q -F -O ^has_journal "$SMALL/disk"
        mkdir "$SMALL/broken"
        mount -o loop "$SMALL/disk" "$SMALL/broken" || exit 32
        mkdir "$SMALL/broken/out"
        sync
        cat /dev/zero >"$SMALL/filler" 2>/dev/null || true
        status=0
        "$0" "$@" || status=$?
        ls -A "$SMALL/broken/out"
        exit "$status""#;
    for attempt in world.attempts() {
        let Some(mut command) = with_mounts(script, &world.path("storeboot")) else {
            return;
        };
        command.env("SMALL", &small);
        let attempt = attempt.set("--output", small.join("broken/out/output"));
        let result = attempt.by(command).run();
        if result.status.code() == Some(32) {
            return skipped("no disk can be mounted from a file here");
        }
        // Nothing on stdout: nothing is left in the folder.
        check(
            &result,
            ["cannot write", "output", "No space left on device"],
        );
    }
}

/// Runs something again and again beside `act`.
fn beside(disturb: impl Fn() + Sync, act: impl FnOnce()) {
    /// Ends the disturbance when a test fails, too.
    struct Ended<'a>(&'a AtomicBool);
    impl Drop for Ended<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                disturb();
            }
        });
        let _ended = Ended(&ended);
        act();
    });
}

/// An output is right or not there, however a file changes while it is read. The NAR's hash is made in a second reading:
/// what changes between both is found by `verify`, which reads the output.
fn right_or_named(world: &World, expected: &Path, named: &[&str]) {
    for _ in 0..12 {
        let output = world.pack("squashfs").run();
        if output.status.success() {
            let image = world.out.join("packed");
            let found = fs::read(&image).expect("an image");
            if found != fs::read(expected).expect("an image") {
                let mut verify = Command::new(world.path("storeboot"));
                let verified = ran(verify.args(["verify", "--quiet"]).arg(&image));
                check(&verified, named);
            }
            fs::remove_file(image).expect("it is there");
        } else {
            check(&output, named);
        }
        assert!(names(&world.out).is_empty());
    }
}

fn packed(world: &World) -> PathBuf {
    let expected = world.path("expected");
    world.pack("squashfs").succeeds();
    fs::rename(world.out.join("packed"), &expected).expect("renamed");
    expected
}

#[test]
fn a_file_that_changes_while_it_is_read_is_packed_right_or_named() {
    let world = noisy_world();
    let expected = packed(&world);
    let noise = world.stored(SYSTEM).join("share/noise");
    let right = fs::read(&noise).expect("a file");
    let disturb = || {
        // Shorter, longer, with other bytes, and as it was.
        fs::write(&noise, &right[..NOISE / 2]).expect("a file");
        fs::write(&noise, [&right[..], b"more"].concat()).expect("a file");
        fs::write(&noise, vec![0x5a; NOISE]).expect("a file");
        fs::write(&noise, &right).expect("a file");
        thread::yield_now();
    };
    beside(disturb, || right_or_named(&world, &expected, &[SYSTEM]));
    fs::write(&noise, &right).expect("a file");
    world.pack("squashfs").succeeds();
    assert!(
        fs::read(world.out.join("packed")).expect("an image")
            == fs::read(expected).expect("an image")
    );
}

#[test]
fn a_file_that_vanishes_while_it_is_read_is_packed_right_or_named() {
    let world = noisy_world();
    let expected = packed(&world);
    let [there, away] = ["share", "../away"].map(|name| world.stored(SYSTEM).join(name));
    let disturb = || {
        fs::rename(&there, &away).expect("renamed");
        fs::rename(&away, &there).expect("renamed");
        thread::yield_now();
    };
    beside(disturb, || right_or_named(&world, &expected, &[SYSTEM]));
    world.pack("squashfs").succeeds();
}

/// With few open files a run succeeds with the same bytes, or says that there are too few.
#[test]
fn too_few_open_files_end_in_a_sentence() {
    let world = noisy_world();
    for attempt in [
        world.pack("squashfs"),
        world.pack("cpio"),
        world.layer(),
        world.build().set("--layout", "in-place"),
        world
            .build()
            .set("--layout", "direct")
            .set("--archives", "per-path"),
    ] {
        let attempt = attempt
            .set("--output", world.out.join("output"))
            .set("--cache", world.path("cache"));
        let arguments = attempt.arguments();
        let (mut too_few, mut enough) = (0, 0);
        for limit in (4..40).step_by(3) {
            let script = format!(r#"ulimit -n {limit}; exec "$0" "$@""#);
            let mut command = Command::new("sh");
            command.args(["-euc", &script]).arg(world.path("storeboot"));
            let output = ran(command.args(&arguments));
            let said = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                enough += 1;
                let ours = said.is_empty() || said.starts_with("storeboot: warning: ");
                assert!(ours, "{limit}: {said}");
                world.clear_outputs();
            } else {
                too_few += 1;
                check(&output, ["Too many open files"]);
            }
            assert!(names(&world.out).is_empty(), "{limit}: {arguments:?}");
        }
        assert!(too_few > 0 && enough > 0, "{too_few}, {enough}");
    }
}
