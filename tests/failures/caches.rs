//! Caches that cannot be used, or only partly.

use std::fs;

use storeboot_tests::command::{names, unprivileged};

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
