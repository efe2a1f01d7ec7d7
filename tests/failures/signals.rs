//! Signals that end a build, at different moments.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use storeboot_tests::command::{names, printed};
use storeboot_tests::fixture::SYSTEM;
use storeboot_tests::listing::Listing;

use super::attempt::{Attempt, World};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// The number of moments of a run at which a signal is sent.
const MOMENTS: u32 = 6;

/// A world where packing takes a while.
fn world() -> World {
    let world = World::new();
    let noise: Vec<u8> = (0_u32..1 << 18)
        .flat_map(|number| (number.wrapping_mul(2_654_435_761) >> 7).to_le_bytes())
        .collect();
    world.store_file(&format!("{SYSTEM}/share/noise"), noise);
    world
}

fn build(world: &World) -> Attempt<'_> {
    world.build().set("--compression", "zstd:12")
}

fn start(world: &World, attempt: &Attempt<'_>) -> Child {
    spawn(Command::new(world.path("storeboot")).args(attempt.arguments()))
}

fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started")
}

fn send(child: &Child, signal: i32) {
    // The process may have ended already, so a failure is fine.
    let script = r#"kill -s "$1" "$2" 2>/dev/null || true"#;
    let (signal, process) = (signal.to_string(), child.id().to_string());
    printed(Command::new("sh").args(["-c", script, "sh", &signal, &process]));
}

/// Waits for the process, and returns its status and its messages.
fn end(child: Child) -> (ExitStatus, String) {
    let output = child.wait_with_output().expect("it can be waited for");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status, said)
}

/// Returns all files below a folder, and their content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in names(folder) {
        let path = folder.join(name);
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            let content = fs::read(&path).expect("a file");
            files.insert(path, content);
        }
    }
    files
}

fn clear(folder: &Path) {
    for name in names(folder) {
        let path = folder.join(name);
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.expect("it can be removed");
    }
}

/// Measures the duration of a run without a signal.
fn duration(world: &World, attempt: &Attempt<'_>) -> Duration {
    let begun = Instant::now();
    let (status, said) = end(start(world, attempt));
    assert!(status.success(), "{said}");
    begun.elapsed()
}

#[test]
fn a_build_ended_by_a_signal_leaves_nothing_behind() {
    let world = world();
    for attempt in [build(&world), world.pack("squashfs")] {
        let whole = duration(&world, &attempt);
        let complete = files(&world.out);
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            for moment in 0..MOMENTS {
                clear(&world.out);
                let child = start(&world, &attempt);
                thread::sleep(whole * moment / MOMENTS);
                send(&child, signal);
                let (status, said) = end(child);
                assert_eq!(said, "", "{status}");
                let by_signal = status.signal() == Some(signal);
                assert!(status.success() || by_signal, "{status}");
                if names(&world.out).is_empty() {
                    assert!(by_signal);
                } else {
                    let left = files(&world.out);
                    assert!(left == complete, "not whole: {:?}", left.keys());
                }
            }
        }
        clear(&world.out);
    }
}

#[test]
fn an_old_output_stays_when_a_new_one_is_interrupted() {
    let world = world();
    let attempt = build(&world);
    let whole = duration(&world, &attempt);
    let output = world.out.join("netboot");
    let before = Listing::of_folder(&output);
    // This build would replace the output with a different one.
    let other = build(&world).set("--cmdline", "quiet");
    let child = start(&world, &other);
    thread::sleep(whole / 3);
    send(&child, SIGINT);
    let (status, said) = end(child);
    assert_eq!(names(&world.out), ["netboot"]);
    assert!(
        status.success() || status.signal() == Some(SIGINT),
        "{said}"
    );
    // On a fast machine, the new output may be complete before the signal.
    let now = Listing::of_folder(&output);
    if now == before {
        assert!(!status.success());
    } else {
        end(start(&world, &other));
        let untimed = |listing: Listing| listing.map(|_, entry| entry.mtime = 0);
        let new = Listing::of_folder(&output);
        untimed(now).assert_is(&untimed(new), "the new output");
    }
}

/// A process cannot handle this signal, so the next build cleans up.
#[test]
fn the_next_build_removes_the_files_of_a_killed_process() {
    let world = world();
    let cache = world.path("cache");
    for attempt in [
        build(&world),
        build(&world).set("--layout", "direct"),
        build(&world).set("--cache", &cache),
        world.layer().set("--compression", "zstd:12"),
        world.pack("cpio"),
        world.pack("squashfs").set("--cache", &cache),
    ] {
        clear(&world.out);
        let whole = duration(&world, &attempt);
        let complete = files(&world.out);
        // A full cache would leave nothing to do.
        let _ = fs::remove_dir_all(&cache);
        for moment in 1..MOMENTS {
            let child = start(&world, &attempt);
            thread::sleep(whole * moment / MOMENTS);
            send(&child, SIGKILL);
            end(child);
        }
        let (status, said) = end(start(&world, &attempt));
        assert!(status.success(), "{said}");
        let left = files(&world.out);
        assert!(left == complete, "not the same: {:?}", left.keys());
    }
}

#[test]
fn builds_into_one_folder_do_not_disturb_each_other() {
    let world = world();
    let attempts: Vec<Attempt> = (0..4)
        .map(|number| build(&world).set("--output", world.out.join(format!("netboot-{number}"))))
        .collect();
    let children: Vec<Child> = attempts
        .iter()
        .map(|attempt| start(&world, attempt))
        .collect();
    for child in children {
        let (status, said) = end(child);
        assert!(status.success(), "{said}");
    }
    let expected: Vec<OsString> = (0..4)
        .map(|number| format!("netboot-{number}").into())
        .collect();
    assert_eq!(names(&world.out), expected);
}
