//! Caches that cannot be used, or only partly.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use storeboot_tests::command::{NOBODY, as_nobody, names, printed, unprivileged};

use super::attempt::{World, text};

#[test]
fn a_project_folder_is_refused_as_a_cache() {
    let world = World::new();
    let project = world.path("project");
    let source = project.join("v1/src/a.rs");
    fs::create_dir_all(source.parent().expect("a folder")).expect("a folder");
    fs::write(&source, "fn main() {}\n").expect("a file");
    for attempt in [world.build(), world.pack("cpio"), world.pack("squashfs")] {
        // The command refuses the folder before it reads the closure.
        attempt
            .set("--path-info", world.path("missing"))
            .set("--cache", &project)
            .set("--cache-size", "1")
            .fails([&text(&project), "CACHEDIR.TAG", "a new or an empty folder"]);
    }
    assert_eq!(names(&project), ["v1"]);
    assert!(source.exists());
}

#[test]
fn a_read_only_cache_is_used() {
    let world = World::new();
    let cache = world.path("cache");
    let pack = || world.pack("squashfs").set("--cache", &cache);
    pack().succeeds();
    let image = world.out.join("packed");
    let expected = fs::read(&image).expect("an image");
    fs::remove_file(&image).expect("it is there");
    // Another user may read it.
    let output = pack().by(unprivileged(&world.path("storeboot"))).run();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.starts_with("storeboot: warning: the output is complete, and the cache is not: "),
        "{said}"
    );
    // Each cause is printed once.
    assert_eq!(said.matches("Permission denied").count(), 1, "{said}");
    assert!(fs::read(&image).expect("an image") == expected);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
}

/// Who writes to a cache decides what is in the output. The command says so before it reads the closure.
#[test]
fn a_cache_that_others_can_write_to_is_refused() {
    let world = World::new();
    let cache = world.path("cache");
    fs::create_dir(&cache).expect("a folder");
    for (mode, who, hint) in [
        (
            0o775,
            "its group can write to it (mode 0775)",
            "chmod -R go-w",
        ),
        (
            0o1777,
            "every user can write to it (mode 1777)",
            "chmod -R o-w",
        ),
    ] {
        set_mode(&cache, mode);
        for attempt in [world.build(), world.pack("cpio"), world.pack("squashfs")] {
            let attempt = attempt.set("--path-info", world.path("missing"));
            attempt
                .set("--cache", &cache)
                .fails([&*text(&cache), who, hint]);
        }
        assert!(names(&cache).is_empty());
    }
}

#[test]
fn a_users_cache_is_refused_by_root() {
    let world = World::new();
    let Some(command) = as_nobody(&world.path("storeboot")) else {
        return;
    };
    let mine = world.path("mine");
    fs::create_dir(&mine).expect("a folder");
    chown(&mine, Some(NOBODY), Some(NOBODY)).expect("its owner");
    let pack = || world.pack("squashfs").set("--cache", &mine);
    pack().by(command).succeeds();
    let refused = [
        "belongs to user 65534, and this is user 0",
        "--cache-shared",
    ];
    pack().fails(refused.map(str::to_owned).into_iter().chain([text(&mine)]));
    // Asking for it does not make a user's own cache one of a group.
    pack()
        .flag("--cache-shared")
        .fails([&*text(&mine), "for one user"]);
}

#[test]
fn a_group_shares_a_cache_when_each_member_asks_for_it() {
    let world = World::new();
    let Some(command) = as_nobody(&world.path("storeboot")) else {
        return;
    };
    let cache = world.path("cache");
    fs::create_dir(&cache).expect("a folder");
    chown(&cache, None, Some(NOBODY)).expect("its group");
    set_mode(&cache, 0o2775);
    let image = world.out.join("packed");
    let pack = || world.pack("squashfs").set("--cache", &cache);
    pack().flag("--cache-shared").by(command).succeeds();
    let expected = fs::read(&image).expect("an image");
    fs::remove_file(&image).expect("it is there");
    pack().fails([
        &*text(&cache),
        "shared by a group",
        "--cache-shared uses it",
    ]);
    // Root takes what nobody packed: it reads nothing of the store's files.
    let stored = world.stored(storeboot_tests::fixture::FILE);
    set_mode(&stored, 0o644);
    fs::write(&stored, "changed").expect("it can be written");
    pack().flag("--cache-shared").succeeds();
    assert!(fs::read(&image).expect("an image") == expected);
    // What root adds, the group can use and remove.
    let unwritable = Command::new("find")
        .arg(&cache)
        .args(["-not", "(", "-group", "65534", "-perm", "-g+w", ")"])
        .output()
        .expect("find");
    assert_eq!(String::from_utf8_lossy(&unwritable.stdout), "");
    fs::remove_file(&image).expect("it is there");
    let command = as_nobody(&world.path("storeboot")).expect("as before");
    let attempt = pack().flag("--cache-shared").set("--cache-size", "0");
    attempt.by(command).succeeds();
    let left = printed(Command::new("find").arg(cache.join("v1")).args([
        "-name",
        "????????????????????????????????????????????????????????????*",
    ]));
    assert_eq!(String::from_utf8_lossy(&left), "");
}
