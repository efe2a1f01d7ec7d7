//! What is put together, what is left alone, and what is said where it cannot be.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::*;

const FILE: &str = "base/inner/large file";

/// A store and a folder of parts, removed when dropped.
struct World(PathBuf);

impl World {
    /// A file of 1 MiB and 10 bytes, of two parts.
    fn new(name: &str) -> Self {
        let name = std::format!("storeboot-parts-{name}-{}", std::process::id());
        let world = Self(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&world.0);
        fs::create_dir_all(world.file().parent().unwrap()).unwrap();
        world.unfinished();
        fs::create_dir_all(world.part("")).unwrap();
        world.list(FILE);
        fs::write(world.part("0"), b"first").unwrap();
        fs::write(world.part("1"), [7; 10]).unwrap();
        world
    }

    fn file(&self) -> PathBuf {
        self.0.join("store").join(FILE)
    }

    fn part(&self, name: &str) -> PathBuf {
        self.0.join("parts/base-0").join(name)
    }

    fn unfinished(&self) {
        fs::write(self.file(), "").unwrap();
        fs::set_permissions(self.file(), Permissions::from_mode(UNFINISHED.into())).unwrap();
    }

    fn list(&self, path: &str) {
        let part = |offset, size| Part { offset, size };
        let file = PartedFile {
            path: path.into(),
            executable: true,
            size: (1 << 20) + 10,
            parts: Vec::from([part(100, 5), part(1 << 20, 10)]),
        };
        fs::write(self.part(LIST), file.to_string()).unwrap();
    }

    fn put(&self) -> Result<(), String> {
        let path = |name| self.0.join(name).to_str().unwrap().to_string();
        let put = put_together_in(&path("parts"), &path("store"), &Console::plain());
        put.map_err(|error| error.to_string())
    }

    /// The sentence, which says what to do.
    fn fails(&self, needle: &str) {
        let error = self.put().expect_err(needle);
        assert!(error.contains(needle), "{error}");
        assert!(error.contains("build it anew"), "{error}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err()
}

#[test]
fn parts_become_a_file_with_holes_and_go() {
    let world = World::new("whole");
    let outer = fs::metadata(world.file().parent().unwrap()).unwrap();
    world.put().unwrap();
    let mut expected = std::vec![0; (1 << 20) + 10];
    expected[100..105].copy_from_slice(b"first");
    expected[1 << 20..].fill(7);
    assert!(fs::read(world.file()).unwrap() == expected);
    let stat = fs::metadata(world.file()).unwrap();
    assert_eq!(
        (stat.mode() & 0o7777, stat.mtime(), stat.mtime_nsec()),
        (0o555, 1, 0)
    );
    let after = fs::metadata(world.file().parent().unwrap()).unwrap();
    assert_eq!(
        (outer.mtime(), outer.mtime_nsec()),
        (after.mtime(), after.mtime_nsec())
    );
    assert!(is_gone(&world.0.join("parts")));
    // There is nothing to do any more.
    world.put().unwrap();
}

#[test]
fn a_file_of_another_archive_is_left_as_it_is() {
    let world = World::new("other");
    fs::remove_file(world.file()).unwrap();
    fs::write(world.file(), "theirs").unwrap();
    world.put().unwrap();
    assert_eq!(fs::read(world.file()).unwrap(), b"theirs");
    assert!(is_gone(&world.0.join("parts")));
}

#[test]
fn what_is_missing_is_named() {
    let world = World::new("missing");
    let named = world.file().display().to_string();
    fs::remove_file(world.part("1")).unwrap();
    world.fails("of the 10 bytes of its part");
    assert!(world.put().unwrap_err().starts_with(&named));
    // What was begun is not taken for the whole.
    world.fails("/0, none are there");
    fs::write(world.part("0"), b"first").unwrap();
    fs::write(world.part("1"), [7; 9]).unwrap();
    world.fails("/1, 9 are there");
    fs::remove_file(world.part(LIST)).unwrap();
    world.fails("list: no such file");
    world.list(FILE);
    fs::remove_file(world.file()).unwrap();
    world.fails("from its parts: no such file");
}

#[test]
fn nothing_is_written_outside_the_store() {
    let world = World::new("outside");
    let outside = world.0.join("outside");
    fs::create_dir(&outside).unwrap();
    let victim = outside.join("victim");
    fs::write(&victim, "").unwrap();
    fs::set_permissions(&victim, Permissions::from_mode(UNFINISHED.into())).unwrap();

    fs::write(
        world.part(LIST),
        "storeboot-parts 1\nfile 1 444 0 ../outside/victim\n",
    )
    .unwrap();
    world.fails("not one inside the store");
    symlink(&outside, world.0.join("store/link")).unwrap();
    world.list("link/victim");
    world.fails("from its parts: not a directory");
    // A link in the file's place is no file that was packed.
    symlink(&victim, world.0.join("store/direct")).unwrap();
    world.list("direct");
    world.put().unwrap();
    assert_eq!(fs::metadata(&victim).unwrap().len(), 0);
}

#[test]
fn a_part_that_is_a_link_is_none() {
    let world = World::new("link");
    fs::write(world.0.join("elsewhere"), "first").unwrap();
    fs::remove_file(world.part("0")).unwrap();
    symlink(world.0.join("elsewhere"), world.part("0")).unwrap();
    world.fails("/0, none are there");
    fs::remove_file(world.part(LIST)).unwrap();
    symlink("/dev/zero", world.part(LIST)).unwrap();
    world.fails("list: invalid argument");
    fs::remove_dir_all(world.0.join("parts")).unwrap();
    symlink(&world.0, world.0.join("parts")).unwrap();
    let error = world.put().unwrap_err();
    assert!(error.contains("cannot use the directory"), "{error}");
}
