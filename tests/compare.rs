//! What two netboot directories differ in, and the bill of materials of one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use cyclonedx_bom::models::bom::{Bom, SpecVersion};
use cyclonedx_bom::validation::Validate;
use serde_json::Value;
use storeboot::compress::ZstdLevel;
use storeboot::manifest::{FileKind, Manifest};
use storeboot::{Comparison, Compression, Context, Layout, Netboot, Store, compare, verify};
use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
use storeboot_tests::command::{Scratch, bz_image, printed, static_program, storeboot};
use storeboot_tests::fixture::{INIT, Manner, Recipe, SYSTEM};

const HELLO_1: &str = "11111111111111111111111111111111-hello-1.0";
const HELLO_2: &str = "22222222222222222222222222222222-hello-1.1";
const EXTRA: &str = "33333333333333333333333333333333-gtk+-3-doc";

struct World {
    scratch: Scratch,
}

impl World {
    fn new() -> Self {
        let scratch = Scratch::new();
        fs::write(scratch.join("stage1"), static_program()).expect("a file");
        Self { scratch }
    }

    /// Builds a netboot directory of the system, of files of 100 bytes in these store paths, and of a kernel.
    fn build(&self, name: &str, paths: &[&str], kernel: &str, layout: Layout) -> PathBuf {
        let folder = self.scratch.join(format!("{name}-world"));
        fs::create_dir(&folder).expect("a folder");
        let mut recipe = Recipe::default();
        recipe.program(format!("{SYSTEM}/init"), "#!/bin/sh\n");
        for path in paths {
            recipe.file(format!("{path}/file"), [7; 100]);
        }
        let fixture = recipe.write(&folder, Manner::default());
        let image = folder.join("bzImage");
        fs::write(&image, bz_image(kernel)).expect("a file");
        let json = File::open(&fixture.path_info).expect("a description");
        let closure = read_path_info(json, &StoreDir::default()).expect("a closure");
        let context = Context::new();
        let root = StoreRoot::under(&fixture.root);
        let store = Store::new(closure, root, &context).expect("a store");
        let mut netboot = Netboot::new(image, INIT, self.scratch.join("stage1"));
        netboot.layout = Some(layout);
        netboot.compression = Some(Compression::Zstd(ZstdLevel::MIN));
        netboot.sbom = true;
        let output = self.scratch.join(name);
        netboot.build(&store, &output, &context).expect("built");
        output
    }
}

fn compared(before: &Path, after: &Path) -> Comparison {
    compare(before, after, &Context::new()).expect("netboot directories")
}

#[test]
fn directories_are_compared_by_their_store_paths() {
    let world = World::new();
    for layout in [Layout::File, Layout::InPlace, Layout::Direct] {
        let before = world.build(&format!("a-{layout}"), &[HELLO_1], "6.12.1", layout);
        let after = world.build(&format!("b-{layout}"), &[HELLO_2, EXTRA], "6.12.2", layout);
        let found = compared(&before, &after);
        assert!(!found.is_same());
        assert_eq!(found.same_paths, 1, "{found}");
        assert_eq!(found.kernel, ["6.12.1", "6.12.2"]);
        assert_eq!(found.same_images, 0);
        let [gtk, hello] = &found.packages[..] else {
            panic!("{found}");
        };
        assert_eq!((&*gtk.name, &gtk.before[..]), ("gtk+", &[][..]));
        assert_eq!(gtk.after[0].path, format!("/nix/store/{EXTRA}"));
        assert_eq!(hello.name, "hello");
        assert_eq!(hello.before[0].version, "1.0");
        assert_eq!(hello.after[0].version, "1.1");
        assert_eq!(hello.before[0].nar_size, hello.after[0].nar_size);
        let names: Vec<&str> = found.files.iter().map(|file| &*file.name).collect();
        assert_eq!(names, ["bzImage", "initrd", "sbom.cdx.json"]);

        let same = compared(&before, &before);
        assert!(same.is_same() && same.packages.is_empty());
        assert_eq!((same.same_paths, same.same_images), (2, same.images[0]));
    }
}

#[test]
fn layouts_of_one_store_have_the_same_store_paths() {
    let world = World::new();
    let place = world.build("place", &[HELLO_1], "6.12.1", Layout::InPlace);
    let direct = world.build("direct", &[HELLO_1], "6.12.1", Layout::Direct);
    let found = compared(&place, &direct);
    assert!(found.packages.is_empty(), "{found}");
    assert_eq!((found.same_paths, found.images), (2, [1, 0]));
    assert!(!found.is_same());
}

#[test]
fn the_command_tells_people_and_programs() {
    let world = World::new();
    let before = world.build("a", &[HELLO_1], "6.12.1", Layout::InPlace);
    let after = world.build("b", &[HELLO_2], "6.12.1", Layout::InPlace);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(storeboot());
        command.arg("compare").args(arguments);
        let said = printed(command.args([&before, &after]));
        String::from_utf8(said).expect("text")
    };
    let text = run(&[]);
    for line in [
        "store paths   1 the same, 1 only before, 1 only after\n",
        "store images  1 -> 1, 0 the same to the byte\n",
        "package       hello: 1.0 -> 1.1, +0 bytes\n",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    assert!(!text.contains("kernel  "), "{text}");
    let json: Value = serde_json::from_str(&run(&["--json"])).expect("JSON");
    assert_eq!(json["packages"][0]["after"][0]["version"], "1.1");
}

#[test]
fn a_bill_of_materials_names_all_that_is_booted() {
    let world = World::new();
    let folder = world.build("a", &[HELLO_1, EXTRA], "6.12.1", Layout::InPlace);
    let path = folder.join("sbom.cdx.json");
    let text = fs::read(&path).expect("a bill");
    let bill = Bom::parse_from_json_v1_5(&text[..]).expect("CycloneDX");
    let result = bill.validate_version(SpecVersion::V1_5);
    assert!(result.passed(), "{result:?}");
    let components = bill.components.expect("components").0;
    let names = components.iter().map(|component| {
        let version = component.version.as_ref().map(ToString::to_string);
        (component.name.to_string(), version.unwrap_or_default())
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    let expected = [
        ("gtk+", "3-doc"),
        ("hello", "1.0"),
        ("linux", "6.12.1"),
        ("system", ""),
    ];
    let expected = expected.map(|(name, version)| (name.to_owned(), version.to_owned()));
    assert_eq!(names, expected);
    assert_eq!(bill.dependencies.expect("dependencies").0.len(), 3);

    // The manifest has it, so that `verify` and `serve` know it.
    let manifest = fs::read_to_string(folder.join("manifest.json")).expect("a manifest");
    let manifest = Manifest::from_json(&manifest).expect("a manifest");
    assert!(
        manifest
            .files
            .iter()
            .any(|file| file.kind == FileKind::Sbom)
    );
    verify(&folder, &Context::new()).expect("as in the manifest");
    let again = world.build("b", &[HELLO_1, EXTRA], "6.12.1", Layout::InPlace);
    assert!(fs::read(again.join("sbom.cdx.json")).expect("a bill") == text);
}
