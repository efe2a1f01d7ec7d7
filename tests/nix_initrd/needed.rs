//! An initrd of the files that are needed, as `makeInitrdNG` makes it: what is in it, and what is not.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot::{Context, Dlopen, Error, Needed, Priority, Ramdisk, Store};
use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
use storeboot_cpio::Reader;
use storeboot_tests::command::{Scratch, have, printed};
use storeboot_tests::fixture::{Manner, Recipe};

const PROGRAM: &str = "11111111111111111111111111111111-program";
const LIBRARY: &str = "22222222222222222222222222222222-library";
const UNITS: &str = "33333333333333333333333333333333-units";
const LOCALES: &str = "44444444444444444444444444444444-locales";
const CONFIGURATION: &str = "55555555555555555555555555555555-configuration";

/// Says that the program may load `libsometimes.so` by itself: <https://systemd.io/ELF_DLOPEN_METADATA/>.
const NOTE: &str = r#"
__asm__(".pushsection .note.dlopen,\"a\",%note\n .balign 4\n .long 4\n .long 2f-1f\n .long 0x407c0c0a\n .asciz \"FDO\"\n"
    "1: .asciz \"[{\\\"soname\\\":[\\\"libsometimes.so\\\"],\\\"feature\\\":\\\"some\\\",\\\"priority\\\":\\\"suggested\\\"}]\"\n"
    "2: .balign 4\n .popsection\n");
"#;

/// A program or library that the C compiler makes, without a library of its own.
fn compiled(folder: &Path, name: &str, source: &str, arguments: &[&str]) -> Vec<u8> {
    let file = folder.join(format!("{name}.c"));
    fs::write(&file, source).expect("a source file");
    let output = folder.join(name);
    let mut cc = Command::new("cc");
    cc.args(["-nostdlib", "-fPIC", "-o"])
        .arg(&output)
        .arg(&file);
    printed(cc.args(arguments));
    fs::read(&output).expect("what was compiled")
}

/// A store with a program, its libraries, and a unit that names much more than it needs.
fn store(folder: &Path) -> Store {
    let work = folder.join("work");
    fs::create_dir(&work).expect("a folder");
    let always = compiled(
        &work,
        "libalways.so",
        "int always(void) { return 0; }",
        &["-shared", "-Wl,-soname,libalways.so"],
    );
    let sometimes = compiled(
        &work,
        "libsometimes.so",
        "int sometimes(void) { return 0; }",
        &["-shared"],
    );
    let here = format!("-L{}", work.display());
    let places = format!("-Wl,-rpath,/nix/store/{LIBRARY}/none:/nix/store/{LIBRARY}/lib");
    let loader = format!("-Wl,--dynamic-linker=/nix/store/{LIBRARY}/lib/loader.so.1");
    let source = format!("{NOTE} int always(void); void start(void) {{ always(); }}");
    let program = compiled(
        &work,
        "program",
        &source,
        &["-pie", "-Wl,-e,start", &here, &places, &loader, "-lalways"],
    );

    let mut recipe = Recipe::default();
    recipe.program(format!("{LIBRARY}/lib/libalways.so.1.2"), always);
    recipe.symlink(format!("{LIBRARY}/lib/libalways.so"), "libalways.so.1.2");
    recipe.program(format!("{LIBRARY}/lib/libsometimes.so"), sometimes);
    recipe.program(format!("{LIBRARY}/lib/libnever.so"), "not looked at");
    recipe.program(format!("{LIBRARY}/lib/loader.so.1"), "the loader");
    recipe.program(format!("{PROGRAM}/bin/.run-wrapped"), program);
    recipe.program(format!("{PROGRAM}/bin/run"), "#!/bin/sh\n");
    recipe.program(format!("{PROGRAM}/bin/other"), "#!/bin/sh\n");
    recipe.file(
        format!("{UNITS}/run.service"),
        format!("Environment=LOCALE_ARCHIVE=/nix/store/{LOCALES}/archive\n"),
    );
    recipe.symlink(
        format!("{UNITS}/run.service.d"),
        format!("/nix/store/{CONFIGURATION}/etc"),
    );
    recipe.symlink(format!("{UNITS}/circle"), "circle");
    recipe.symlink(format!("{UNITS}/longer"), "longer/longer");
    recipe.symlink(format!("{UNITS}/outside"), "/run/outside");
    recipe.file(format!("{LOCALES}/archive"), "every language");
    recipe.file(format!("{CONFIGURATION}/etc/run.conf"), "a setting");
    recipe.file(format!("{CONFIGURATION}/share/manual"), "much to read");
    let fixture = recipe.write(folder, Manner::default());
    let json = fs::File::open(&fixture.path_info).expect("a closure");
    let closure = read_path_info(json, &StoreDir::default()).expect("a closure");
    Store::new(closure, StoreRoot::under(&fixture.root), &Context::new()).expect("a store")
}

/// What an initrd holds in the store, by names without `nix/store`, and the bytes of each.
fn packed(store: &Store, needed: Vec<Needed>) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut ramdisk = Ramdisk::new("none".parse().expect("a compression"));
    ramdisk.needed = Some(needed);
    let mut initrd = Vec::new();
    ramdisk
        .write(Some(store), &mut initrd, &Context::new())
        .expect("an initrd");
    let mut reader = Reader::new(initrd.as_slice());
    let mut members = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(mut entry) = reader.next_entry().expect("sound") {
        let name = PathBuf::from(String::from_utf8_lossy(entry.name()).into_owned());
        let folder = name.parent().expect("a folder").to_owned();
        assert!(folders.contains(&folder), "{name:?} before its folder");
        folders.push(name.clone());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("sound");
        if let Ok(name) = name.strip_prefix("nix/store") {
            let twice = members.insert(name.to_owned(), content);
            assert!(twice.is_none(), "{name:?} is there twice");
        }
    }
    members
}

fn names(members: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<String> {
    let names = members.keys().map(|name| name.display().to_string());
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_program_comes_with_what_it_loads_and_a_unit_without_what_it_names() {
    if !have(&["cc"]) {
        return;
    }
    let folder = Scratch::new();
    let store = store(folder.path());
    let members = packed(
        &store,
        vec![
            Needed::new(format!("/nix/store/{PROGRAM}/bin/run")),
            Needed::new(format!("/nix/store/{UNITS}")),
        ],
    );
    let mut expected = vec![
        PROGRAM.to_owned(),
        format!("{PROGRAM}/bin"),
        // What nixpkgs' wrapper of this name starts.
        format!("{PROGRAM}/bin/.run-wrapped"),
        format!("{PROGRAM}/bin/run"),
        LIBRARY.to_owned(),
        format!("{LIBRARY}/lib"),
        format!("{LIBRARY}/lib/libalways.so"),
        format!("{LIBRARY}/lib/libalways.so.1.2"),
        format!("{LIBRARY}/lib/loader.so.1"),
        UNITS.to_owned(),
        format!("{UNITS}/circle"),
        format!("{UNITS}/longer"),
        format!("{UNITS}/outside"),
        format!("{UNITS}/run.service"),
        format!("{UNITS}/run.service.d"),
        CONFIGURATION.to_owned(),
        format!("{CONFIGURATION}/etc"),
        format!("{CONFIGURATION}/etc/run.conf"),
    ];
    expected.sort();
    let mut found = names(&members);
    found.sort();
    assert_eq!(found, expected);
    let content = |name: String| &members[Path::new(&name)];
    assert_eq!(
        content(format!("{CONFIGURATION}/etc/run.conf")),
        b"a setting"
    );
    assert_eq!(content(format!("{UNITS}/outside")), b"/run/outside");
}

#[test]
fn libraries_that_a_program_loads_by_itself_are_taken_by_priority_or_feature() {
    if !have(&["cc"]) {
        return;
    }
    let folder = Scratch::new();
    let store = store(folder.path());
    let library = format!("{LIBRARY}/lib/libsometimes.so");
    for (use_priority, feature, taken) in [
        (Priority::Suggested, "another", true),
        (Priority::Recommended, "another", false),
        (Priority::Required, "some", true),
    ] {
        let mut needed = Needed::new(format!("/nix/store/{PROGRAM}/bin/run"));
        needed.dlopen = Some(Dlopen {
            use_priority,
            features: [feature.to_owned()].into(),
        });
        let members = packed(&store, vec![needed]);
        let found = names(&members).contains(&library);
        assert_eq!(found, taken, "{use_priority:?}, {feature}");
    }
}

#[test]
fn what_is_needed_and_missing_is_an_error() {
    if !have(&["cc"]) {
        return;
    }
    let folder = Scratch::new();
    let store = store(folder.path());
    for source in [
        format!("/nix/store/{PROGRAM}/bin/nothing"),
        "/nix/store/99999999999999999999999999999999-elsewhere".into(),
        "/etc/hosts".into(),
    ] {
        let mut ramdisk = Ramdisk::new("none".parse().expect("a compression"));
        ramdisk.needed = Some(vec![Needed::new(&source)]);
        let error = ramdisk
            .write(Some(&store), Vec::new(), &Context::new())
            .expect_err("it is missing");
        assert!(
            matches!(&error, Error::Content { path, .. } if *path == source),
            "{error}"
        );
    }
}
