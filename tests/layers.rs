//! Layers: a build uses the images of a layer without packing them again, and refuses layers that do not fit.

#[path = "layers/boot.rs"]
mod boot;
#[path = "layers/nix.rs"]
mod nix;
#[path = "layers/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use storeboot::manifest::FileKind;
use storeboot::{Cache, Context, Error, Layer, Layout, Store, inspect, layer_paths, verify};
use storeboot_tests::command::{printed, storeboot};
use storeboot_tests::fixture::{INIT, SYSTEM};
use world::{BASE, FAST, KERNEL, World, names_in};

#[test]
fn layers_and_the_rest_make_one_store() {
    let world = World::new();
    let layers = world.two_layers();
    for layer in &layers {
        let verified = verify(layer, &Context::new()).expect("as described");
        assert_eq!((verified.images, verified.paths), (1, 1));
        let said = inspect(layer).expect("readable").to_string();
        assert!(said.starts_with("layer         1 store paths,"), "{said}");
    }
    for layout in [Layout::InPlace, Layout::File] {
        let output = world.path(&layout.to_string());
        let mut netboot = world.netboot();
        netboot.layout = Some(layout);
        netboot.layers = layers.to_vec();
        let manifest = netboot
            .build(
                &world.store(&[KERNEL, BASE, SYSTEM]),
                &output,
                &Context::new(),
            )
            .expect("built");
        let verified = verify(&output, &Context::new()).expect("as registered");
        assert_eq!((verified.images, verified.paths), (3, 3));
        assert!(
            inspect(&output)
                .expect("readable")
                .to_string()
                .contains("2.squashfs")
        );

        // The image with the registration is on top; below it are the layers, the highest first.
        let initrd = output.join("initrd");
        let found: Vec<BTreeSet<String>> = manifest
            .images
            .iter()
            .map(|image| names_in(&initrd, offset_of(image)))
            .collect();
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                set(&[SYSTEM, "nix-path-registration"]),
                set(&[BASE]),
                set(&[KERNEL])
            ]
        );
        for (layer, image) in layers.iter().zip(manifest.images.iter().rev()) {
            let offset = offset_of(image);
            let (offset, end) = (offset as usize, (offset + image.size) as usize);
            assert!(
                fs::read(layer.join("0.squashfs")).expect("there")
                    == fs::read(&initrd).expect("there")[offset..end],
                "{layout}: the layer was packed again"
            );
        }
    }
}

#[test]
fn a_layer_is_the_same_in_every_build() {
    let world = World::new();
    let [kernel, base] = world.two_layers();
    let cache = Cache::open(world.path("cache"), 1 << 30).expect("a cache");
    let cache = Arc::new(cache);
    let build = |name: &str, paths: &[&str], below: &[&str], jobs| {
        let mut layer = Layer::default();
        layer.below = world.paths(below);
        layer.compression = FAST;
        let context = Context::new()
            .jobs(NonZeroUsize::new(jobs).expect("a thread"))
            .cache(Arc::clone(&cache));
        let output = world.path(name);
        layer
            .build(&world.store(paths), &output, &context)
            .expect("built");
        output
    };
    // In the reverse order, with other numbers of threads, with an empty cache or a full one.
    let other_base = build("other-base", &[BASE, KERNEL], &[KERNEL], 1);
    let other_kernel = build("other-kernel", &[KERNEL], &[], 3);
    let warm_base = build("warm-base", &[BASE, KERNEL], &[KERNEL], 2);
    for (one, other) in [
        (&kernel, other_kernel),
        (&base, other_base),
        (&base, warm_base),
    ] {
        for file in ["layer.json", "0.squashfs"] {
            assert!(
                fs::read(one.join(file)).expect("there")
                    == fs::read(other.join(file)).expect("there"),
                "{file}"
            );
        }
    }
}

#[test]
fn a_layers_segment_keeps_its_name() {
    let world = World::new();
    let layers = world.two_layers();
    let segments = |name: &str, prepended: &str| {
        let mut netboot = world.netboot();
        netboot.layers = layers.to_vec();
        netboot.segments = true;
        netboot.prepend = vec![world.path(prepended)];
        let manifest = netboot
            .build(
                &world.store(&[KERNEL, BASE, SYSTEM]),
                &world.path(name),
                &Context::new(),
            )
            .expect("built");
        let segments = manifest.files.into_iter();
        segments
            .filter(|file| file.kind == FileKind::Segment)
            .map(|file| file.name)
            .collect::<BTreeSet<_>>()
    };
    // The segments before the layers have another size.
    fs::write(world.path("short"), [7; 100]).expect("written");
    fs::write(world.path("long"), [7; 10_000]).expect("written");
    let (one, other) = (segments("one", "short"), segments("other", "long"));
    // Stage 1, the image on top and the layers; neither the prepended file nor the index.
    assert_eq!((one.len(), one.intersection(&other).count()), (6, 4));
}

#[test]
fn a_layer_may_be_empty_or_several_images() {
    let world = World::new();
    let whole = world.store(&[KERNEL, BASE, SYSTEM]);
    let mut empty = Layer::default();
    empty.below = world.paths(&[KERNEL]);
    let nothing = world.path("nothing");
    empty
        .build(&world.store(&[KERNEL]), &nothing, &Context::new())
        .expect("built");
    assert_eq!(layer_paths(&nothing).expect("a layer"), BTreeSet::new());
    assert_eq!(verify(&nothing, &Context::new()).expect("sound").images, 0);

    // Three files of 1 MiB that do not compress.
    let mut cut = Layer::default();
    cut.compression = FAST;
    cut.image_limit = Some(5 << 19);
    let pieces = world.path("pieces");
    cut.build(&world.store(&[BASE]), &pieces, &Context::new())
        .expect("built");
    let images = verify(&pieces, &Context::new()).expect("sound").images;
    assert_eq!(images, 3);

    let mut netboot = world.netboot();
    netboot.layers = vec![nothing, pieces];
    let output = world.path("netboot");
    netboot
        .build(&whole, &output, &Context::new())
        .expect("built");
    let verified = verify(&output, &Context::new()).expect("as registered");
    assert_eq!((verified.images, verified.paths), (images + 1, 3));

    // With the whole closure in layers, the image on top holds only the registration.
    let all = world.layer("all", &[KERNEL, BASE, SYSTEM], &[]);
    netboot.layers = vec![all];
    let manifest = netboot
        .build(&whole, &output, &Context::new())
        .expect("built");
    let top = names_in(&output.join("initrd"), offset_of(&manifest.images[0]));
    assert_eq!(top, BTreeSet::from(["nix-path-registration".into()]));
}

/// Builds with these layers, and checks that the build fails with a message that contains all words.
#[track_caller]
fn refused(world: &World, layers: &[std::path::PathBuf], closure: &Store, words: &[&str]) {
    let mut netboot = world.netboot();
    netboot.layers = layers.to_vec();
    let output = world.path("refused");
    let error = netboot
        .build(closure, &output, &Context::new())
        .expect_err("refused");
    assert!(matches!(error, Error::Layer { .. }), "{error:?}");
    let sentence = error.to_string();
    for word in words {
        assert!(sentence.contains(word), "no {word:?} in {sentence:?}");
    }
    assert!(!output.exists(), "the failed build left an output");
}

#[test]
fn a_layer_of_another_closure_is_refused() {
    let world = World::new();
    let [kernel, base] = world.two_layers();
    refused(
        &world,
        std::slice::from_ref(&base),
        &world.store(&[KERNEL, SYSTEM]),
        &["/base.layer ", BASE, "not in the closure", "make it a root"],
    );

    let whole = world.store(&[KERNEL, BASE, SYSTEM]);
    // The same store path with other content.
    let other = world.path("other.layer");
    fs::create_dir(&other).expect("a folder");
    fs::copy(kernel.join("0.squashfs"), other.join("0.squashfs")).expect("a copy");
    let text = fs::read_to_string(kernel.join("layer.json")).expect("there");
    let mut description: Value = serde_json::from_str(&text).expect("JSON");
    description["paths"][0]["narHash"] = "ab".repeat(32).into();
    fs::write(other.join("layer.json"), description.to_string()).expect("written");
    let words = ["/other.layer ", "another /nix/store/", KERNEL];
    refused(&world, std::slice::from_ref(&other), &whole, &words);
    let words = [
        "/other.layer ",
        "another /nix/store/",
        KERNEL,
        "/kernel.layer",
    ];
    refused(&world, &[kernel.clone(), other], &whole, &words);

    description["storeDir"] = "/gnu/store".into();
    let elsewhere = world.path("elsewhere.layer");
    fs::create_dir(&elsewhere).expect("a folder");
    fs::write(elsewhere.join("layer.json"), description.to_string()).expect("written");
    refused(&world, &[elsewhere], &whole, &["/gnu/store"]);
}

#[test]
fn a_damaged_layer_is_refused() {
    let world = World::new();
    let whole = world.store(&[KERNEL, BASE, SYSTEM]);
    let layer = world.layer("damaged.layer", &[BASE], &[]);
    let image = layer.join("0.squashfs");
    let sound = fs::read(&image).expect("there");

    let mut bytes = sound.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&image, &bytes).expect("written");
    let layers = std::slice::from_ref(&layer);
    refused(
        &world,
        layers,
        &whole,
        &["/damaged.layer ", "0.squashfs is damaged"],
    );
    assert!(verify(&layer, &Context::new()).is_err());

    fs::write(&image, &sound[..middle]).expect("written");
    let size = sound.len().to_string();
    refused(&world, layers, &whole, &["0.squashfs has", &size]);
    fs::write(&image, []).expect("written");
    refused(&world, layers, &whole, &["0.squashfs has 0 bytes"]);

    fs::write(&image, &sound).expect("written");
    let description = layer.join("layer.json");
    let text = fs::read_to_string(&description).expect("there");
    for (wrong, words) in [
        (text.replace("\"schema\": 1", "\"schema\": 2"), "schema 2"),
        (
            text.replace("0.squashfs", "../0.squashfs"),
            "not an image's name",
        ),
        (text[..text.len() / 2].into(), "layer.json"),
        (String::new(), "layer.json"),
    ] {
        fs::write(&description, wrong).expect("written");
        refused(&world, layers, &whole, &["/damaged.layer ", words]);
    }
    fs::write(&description, text).expect("written");
    verify(&layer, &Context::new()).expect("sound again");
}

#[test]
fn layers_that_stage_1_cannot_mount_are_refused() {
    let world = World::new();
    let whole = world.store(&[KERNEL, BASE, SYSTEM]);
    let [kernel, base] = world.two_layers();
    let mut netboot = world.netboot();
    netboot.layers = vec![kernel.clone(), base];
    netboot.layout = Some(Layout::Direct);
    let output = world.path("netboot");
    let error = netboot
        .build(&whole, &output, &Context::new())
        .expect_err("refused");
    assert!(
        error.to_string().contains("layout direct has none"),
        "{error}"
    );

    netboot.layout = None;
    netboot.image_limit = Some(2 << 20);
    let error = netboot
        .build(&whole, &output, &Context::new())
        .expect_err("refused");
    let sentence = error.to_string();
    assert!(
        sentence.contains("base.layer") && sentence.contains("an image may have 2097152"),
        "{sentence}"
    );

    netboot.image_limit = None;
    netboot.layers = vec![kernel; 128];
    let error = netboot
        .build(&whole, &output, &Context::new())
        .expect_err("refused");
    assert!(
        matches!(error, Error::TooManyImages { limit: 128 }),
        "{error}"
    );
}

#[test]
fn the_command_builds_and_uses_layers() {
    let world = World::new();
    let input = |command: &mut Command, paths: &[&str], name: &str| {
        command
            .arg("--quiet")
            .arg("--path-info")
            .arg(world.path_info(paths))
            .arg("--store-root")
            .arg(world.root())
            .args(["--compression", "zstd:1", "--output"])
            .arg(world.path(name));
        printed(command);
    };
    let command = |name: &str| {
        let mut command = Command::new(storeboot());
        command.arg(name);
        command
    };
    input(&mut command("layer"), &[KERNEL], "kernel");
    input(
        command("layer").arg("--below").arg(world.path("kernel")),
        &[KERNEL, BASE],
        "base",
    );
    // Build again to the same place.
    input(&mut command("layer"), &[KERNEL], "kernel");
    input(
        command("build")
            .args(["--init", INIT, "--layer"])
            .arg(world.path("kernel"))
            .arg("--layer")
            .arg(world.path("base"))
            .arg("--kernel")
            .arg(world.path("bzImage"))
            .arg("--stage1")
            .arg(world.path("stage1")),
        &[KERNEL, BASE, SYSTEM],
        "netboot",
    );
    for (name, said) in [
        ("base", "1 store paths in 1 store images are as registered"),
        (
            "netboot",
            "3 store paths in 3 store images are as registered",
        ),
    ] {
        let text = printed(command("verify").arg(world.path(name)));
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(said), "{text}");
    }
}

/// Where an image begins in the initrd.
fn offset_of(image: &storeboot::manifest::Image) -> u64 {
    image.offset.expect("it is in the initrd")
}
