//! Hostile closures, and links that lead about.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;

use object::elf::{DT_NEEDED, DT_RUNPATH};
use storeboot_cpio::Reader;

use super::elf::tests::program;
use super::*;
use crate::Progress;
use crate::store::tests::store_of;

const NAME: &str = "11111111111111111111111111111111-links";

/// What people are told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no thread panics").clone()
    }
}

impl Progress for Told {
    fn begin(&self, step: &str, _: Option<u64>) {
        self.note(step);
    }

    fn note(&self, text: &str) {
        self.0.lock().expect("no thread panics").push(text.into());
    }
}

/// The names in an initrd of some paths of the store path, without those of the folders that it is in.
fn packed(store: &Store, needed: &[&str], told: &Told) -> Result<BTreeSet<String>, Error> {
    let mut ramdisk = Ramdisk::new("none".parse().expect("a compression"));
    let source = |path: &&str| Needed::new(format!("/nix/store/{NAME}{path}"));
    ramdisk.needed = Some(needed.iter().map(source).collect());
    let mut initrd = Vec::new();
    ramdisk.write(Some(store), &mut initrd, &Context::new().progress(told))?;
    let mut reader = Reader::new(initrd.as_slice());
    let mut names = BTreeSet::new();
    while let Some(entry) = reader.next_entry().expect("sound") {
        let name = String::from_utf8_lossy(entry.name()).into_owned();
        if let Some(inside) = name.strip_prefix(&format!("nix/store/{NAME}/")) {
            names.insert(inside.to_owned());
        }
    }
    Ok(names)
}

fn link(place: &Path, name: &str, target: &str) {
    symlink(target, place.join(name)).expect("a link");
}

#[test]
fn links_through_links_come_to_an_end() {
    let (_scratch, store, place) = store_of(NAME);
    fs::create_dir(place.join("d")).expect("a folder");
    fs::write(place.join("d/file"), "").expect("a file");
    // Each leads twice through the one before.
    link(&place, "l00", "d");
    for number in 1..64 {
        let before = number - 1;
        let target = format!("l{before:02}/../l{before:02}");
        link(&place, &format!("l{number:02}"), &target);
    }
    let told = Told::default();
    let names = packed(&store, &[""], &told).expect("packed");
    assert_eq!(names.len(), 64 + 2);
    let sentence = format!("/nix/store/{NAME}/l63 leads through more than 40 links");
    let told = told.all();
    assert!(
        told.iter().any(|text| text.starts_with(&sentence)),
        "{told:?}"
    );
    // It needs 31 links.
    let sentence = format!("/nix/store/{NAME}/l04 leads");
    assert!(
        !told.iter().any(|text| text.starts_with(&sentence)),
        "{told:?}"
    );
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let (_scratch, store, place) = store_of(NAME);
    fs::create_dir(place.join("d")).expect("a folder");
    fs::write(place.join("d/file"), "").expect("a file");
    link(&place, "l01", "d");
    for number in 2..=41 {
        link(
            &place,
            &format!("l{number:02}"),
            &format!("l{:02}", number - 1),
        );
    }
    let told = Told::default();
    let has_file = |path| {
        let names = packed(&store, &[path], &told).expect("packed");
        names.contains("d/file")
    };
    assert!(has_file("/l40"));
    assert!(!has_file("/l41"));
}

#[test]
fn links_lead_where_they_lead_in_the_booted_system() {
    let (_scratch, store, place) = store_of(NAME);
    for name in ["a/b", "a/c", "e"] {
        fs::create_dir_all(place.join(name)).expect("a folder");
        fs::write(place.join(name).join("file"), "").expect("a file");
    }
    link(&place, "e/same", ".");
    link(&place, "a/b/above", "..");
    link(&place, "a/b/beside", "../../e/./same");
    link(&place, "a/whole", &format!("/nix//store/{NAME}/e"));
    link(&place, "top", "/nix/store");
    let names = |path: &str| packed(&store, &[path], &Told::default()).expect("packed");
    let expected = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let found: BTreeSet<String> = expected(&["e", "e/file", "e/same"]);
    assert_eq!(names("/e/same/same"), found);
    // What a link to the folder above is in is packed; not all that is there.
    let found = expected(&["a", "a/b", "a/b/above"]);
    assert_eq!(names("/a/b/above"), found);
    let found = expected(&["a", "a/b", "a/b/above", "a/c", "a/c/file"]);
    assert_eq!(names("/a/b/above/c"), found);
    let found = expected(&["a", "a/b", "a/b/beside", "e", "e/file", "e/same"]);
    assert_eq!(names("/a/b/beside"), found);
    let found = expected(&["a", "a/whole", "e", "e/file", "e/same"]);
    assert_eq!(names("/a/whole"), found);
    assert_eq!(names("/top"), expected(&["top"]));
}

#[test]
fn a_name_that_no_file_can_have_is_no_error() {
    let (_scratch, store, place) = store_of(NAME);
    // The program that a wrapper of this name would start has a name of 259 bytes.
    let name = "x".repeat(250);
    fs::write(place.join(&name), "").expect("a file");
    let names = packed(&store, &[""], &Told::default()).expect("packed");
    assert_eq!(names, [name].into());
}

#[test]
fn a_library_is_looked_at_once() {
    let (_scratch, store, place) = store_of(NAME);
    fs::create_dir(place.join("lib")).expect("a folder");
    fs::create_dir(place.join("bin")).expect("a folder");
    let library = program(&[(DT_NEEDED, "libnone.so")]);
    fs::write(place.join("lib/lib.so"), library).expect("a file");
    for (name, folder) in [("one", "$ORIGIN/../lib"), ("two", "$ORIGIN/../bin/../lib")] {
        let program = program(&[(DT_NEEDED, "lib.so"), (DT_RUNPATH, folder)]);
        fs::write(place.join("bin").join(name), program).expect("a file");
    }
    let told = Told::default();
    let names = packed(&store, &["/bin/one", "/bin/two"], &told).expect("packed");
    assert!(names.contains("lib/lib.so"), "{names:?}");
    let about = |text: &&String| text.contains("lib.so needs libnone.so");
    assert_eq!(told.all().iter().filter(about).count(), 1);
}

#[test]
fn too_many_libraries_are_an_error_that_names_the_file() {
    let (_scratch, store, place) = store_of(NAME);
    let many = vec![(DT_NEEDED, "lib.so"); 1025];
    fs::write(place.join("many"), program(&many)).expect("a file");
    let error = packed(&store, &[""], &Told::default()).expect_err("too many");
    assert_eq!(
        error.to_string(),
        format!("the initrd cannot hold /nix/store/{NAME}/many: it names more than 1024 libraries")
    );
}
