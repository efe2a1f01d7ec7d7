//! System calls that fail, one at a time: strace makes the kernel refuse them. Each run ends in a sentence and leaves
//! nothing behind, or succeeds with the right bytes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use storeboot_tests::command::{have, names, ran, skip_for_want_of};
use storeboot_tests::fixture::SYSTEM;
use storeboot_tests::listing::Listing;

use super::attempt::{Attempt, World, check, content, text};

/// The calls that fail, and with which error: those that read the store and the inputs, and those that write outputs,
/// temporary files and the cache.
const FAULTS: [(&str, &str); 12] = [
    ("openat", "EIO"),
    ("openat", "EMFILE"),
    ("read,pread64", "EIO"),
    ("statx,newfstatat,fstat", "EIO"),
    ("getdents64", "EIO"),
    ("readlink,readlinkat", "EIO"),
    ("write,writev,pwrite64", "EIO"),
    ("fsync,fdatasync,syncfs,sync_file_range", "EIO"),
    ("ftruncate,fallocate,fchmod,utimensat", "EIO"),
    ("mkdir,mkdirat,symlink,symlinkat,linkat", "EIO"),
    ("rename,renameat,renameat2", "EIO"),
    ("clone,clone3", "EAGAIN"),
];
/// strace tells so of each call that it refused.
const REFUSED: &str = "(INJECTED)";

/// strace, with the program to run, and what it refuses.
fn strace(world: &World, inject: &str, log: &Path) -> Command {
    let (calls, _) = inject.split_once(':').expect("calls and what happens");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "--seccomp-bpf", "-o"])
        .arg(log)
        .args(["-e", &format!("trace={calls}")])
        .args(["-e", &format!("inject={inject}")])
        .arg(world.path("storeboot"));
    strace
}

/// How many calls strace refused.
fn refused(log: &Path) -> usize {
    let log = fs::read(log).expect("strace's log");
    String::from_utf8_lossy(&log).matches(REFUSED).count()
}

/// Whether strace works here.
fn can_trace(world: &World) -> bool {
    if !have(&["strace"]) {
        return false;
    }
    let log = world.path("log");
    let mut strace = strace(world, "flock:error=ENOLCK", &log);
    let works = ran(strace.arg("--version")).status.success();
    if !works {
        skip_for_want_of("strace may not trace here");
    }
    works
}

/// The runs whose calls fail. The output has one name in all, and so has the cache.
fn attempts(world: &World) -> Vec<Attempt<'_>> {
    let attempts = [
        world.pack("squashfs"),
        world.layer(),
        world.build().set("--layout", "in-place"),
        world.build().set("--layout", "direct"),
    ];
    attempts
        .map(|attempt| {
            attempt
                .set("--output", output(world))
                .set("--cache", world.path("cache"))
                .set("--jobs", "2")
        })
        .into()
}

/// Where the output of each run is.
fn output(world: &World) -> PathBuf {
    world.out.join("output")
}

/// Checks a run in which this many calls failed.
fn sound(world: &World, result: &Output, refused: usize, expected: &Listing, what: &str) {
    let said = String::from_utf8_lossy(&result.stderr);
    if result.status.success() {
        assert!(
            said.lines()
                .all(|line| line.starts_with("storeboot: warning: ")),
            "{what}: {said}"
        );
        content(&output(world)).assert_is(expected, what);
        world.clear_outputs();
    } else if !said.contains("error while loading shared libraries") {
        check(result, [""]);
    }
    let left = names(&world.out);
    // strace counts the calls of each thread. So one may fail at work, and another one when that is cleared away. The
    // next run does it.
    let later = refused > 1 && left.iter().all(|name| text(name).ends_with(".unfinished"));
    assert!(left.is_empty() || later, "{what}: {left:?} is left; {said}");
}

#[test]
fn any_system_call_that_fails_ends_in_a_sentence() {
    let world = World::new();
    if !can_trace(&world) {
        return;
    }
    symlink("doc", world.stored(SYSTEM).join("share/link")).expect("a link");
    world.fixture.describe_again();
    let log = world.path("log");
    let cache = world.path("cache");
    let mut runs = [0; FAULTS.len()];
    for number in 0..attempts(&world).len() {
        let attempt = || attempts(&world).swap_remove(number);
        attempt().succeeds();
        let expected = content(&output(&world));
        world.clear_outputs();
        for ((calls, error), runs) in FAULTS.into_iter().zip(&mut runs) {
            // The first ones, and then fewer and fewer.
            let mut when = 1;
            loop {
                fs::remove_dir_all(&cache).expect("the run before made it");
                let inject = format!("{calls}:error={error}:when={when}");
                let arguments = attempt().arguments();
                let result = attempt().by(strace(&world, &inject, &log)).run();
                let what = format!("{inject}: {arguments:?}");
                let refused = refused(&log);
                sound(&world, &result, refused, &expected, &what);
                if refused == 0 {
                    break;
                }
                *runs += 1;
                // What is left, of the cache too, is no hindrance, and goes.
                attempt().succeeds();
                assert_eq!(names(&world.out), ["output"], "after {what}");
                content(&output(&world)).assert_is(&expected, &what);
                world.clear_outputs();
                when += 1 + when / 4;
            }
        }
    }
    assert!(
        runs.iter().all(|&runs| runs > 0),
        "some calls are never made: {runs:?}"
    );
}

#[test]
fn without_any_locks_the_output_is_the_same() {
    let world = World::new();
    if !can_trace(&world) {
        return;
    }
    let log = world.path("log");
    for number in 0..attempts(&world).len() {
        let attempt = || attempts(&world).swap_remove(number);
        attempt().succeeds();
        let expected = content(&output(&world));
        world.clear_outputs();
        for error in ["ENOLCK", "EOPNOTSUPP", "ENOSYS", "EINVAL"] {
            fs::remove_dir_all(world.path("cache")).expect("the run before made it");
            let inject = format!("flock,fcntl:error={error}");
            for run in ["first", "second"] {
                let what = format!("{error}, {run}");
                let result = attempt().by(strace(&world, &inject, &log)).run();
                assert!(result.status.success(), "{what}: {result:?}");
                sound(&world, &result, refused(&log), &expected, &what);
            }
        }
    }
}
