//! A store that is fetched while the system runs: the index tells stage 1 how many of an image's first bytes a boot
//! needs, every build tells the same, and without it nothing tells of them.

// tests/layers.rs uses the rest of it.
#[allow(dead_code)]
#[path = "layers/world.rs"]
mod world;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storeboot::manifest::{Image, Manifest};
use storeboot::{Cache, Context, Layer, Layout, Netboot, inspect, verify};
use storeboot_tests::fixture::SYSTEM;
use storeboot_tests::index::index;
use storeboot_tests::qemu::Kernel;
use world::{BASE, FAST, KERNEL, World};

const ALL: [&str; 3] = [KERNEL, BASE, SYSTEM];

/// The second of three equally large files is what a boot reads, and the program of stage 2.
const PROFILE: &str = "storeboot profile 1\nsystem/init\nbase/data-1\n";

/// A build by the profile.
fn netboot(world: &World, stream: bool) -> Netboot {
    let profile = world.path("boot.profile");
    fs::write(&profile, PROFILE).expect("a file");
    let mut netboot = world.netboot();
    netboot.layout = Some(Layout::Fetch);
    netboot.profile = Some(profile);
    netboot.stream = stream;
    netboot
}

fn build(
    world: &World,
    name: &str,
    netboot: &Netboot,
    context: &Context<'_>,
) -> (PathBuf, Manifest) {
    let output = world.path(name);
    let manifest = netboot.build(&world.store(&ALL), &output, context);
    (output, manifest.expect("built"))
}

fn bytes(folder: &Path, image: &Image) -> Vec<u8> {
    fs::read(folder.join(&image.path)).expect("an image")
}

/// Where a file of the store begins in an image, if it is there as it is.
fn place(world: &World, image: &[u8], name: &str) -> usize {
    let file = fs::read(world.root().join("nix/store").join(BASE).join(name)).expect("a file");
    let mut windows = image.windows(file.len());
    let found = windows.position(|window| window == file);
    found.expect("what does not compress is stored as it is")
}

#[test]
fn stage_1_is_told_where_the_files_of_the_profile_end() {
    let world = World::new();
    let (folder, manifest) = build(&world, "stream", &netboot(&world, true), &Context::new());
    let [image] = manifest.images.as_slice() else {
        panic!("{:?}", manifest.images);
    };
    let told = index(&folder, &manifest).images[0].hot;
    let hot = told.expect("hot bytes");
    assert_eq!(image.hot_size, told);
    let content = bytes(&folder, image);
    let first = place(&world, &content, "data-1");
    assert!(
        first + (1 << 20) <= hot as usize,
        "{first}, {hot} bytes are hot"
    );
    for other in ["data-0", "data-2"] {
        let at = place(&world, &content, other);
        assert!(
            at >= hot as usize,
            "{other} is at {at}, {hot} bytes are hot"
        );
    }
    // Nothing but these two files and the superblock.
    assert!(hot < (1 << 20) + 8192, "{hot}");

    let verified = verify(&folder, &Context::new()).expect("as built");
    assert_eq!(verified.paths, ALL.len());
    let said = inspect(&folder).expect("readable").to_string();
    let line = format!("hot           its first {hot} bytes, which stage 2 waits for\n");
    assert!(said.contains(&line), "{said}");
}

#[test]
fn without_it_nothing_tells_of_it() {
    let world = World::new();
    let (stream, with) = build(&world, "stream", &netboot(&world, true), &Context::new());
    let (plain, without) = build(&world, "plain", &netboot(&world, false), &Context::new());
    let told = index(&plain, &without).to_string();
    assert!(!told.contains("hot"), "{told}");
    let text = fs::read_to_string(plain.join("manifest.json")).expect("a manifest");
    assert!(!text.contains("hot"), "{text}");
    let said = inspect(&plain).expect("readable").to_string();
    assert!(!said.contains("hot "), "{said}");
    // The images are the same.
    let [with, without] = [&with.images[0], &without.images[0]];
    assert_eq!(with.sha256, without.sha256);
    assert!(bytes(&stream, with) == bytes(&plain, without));
}

#[test]
fn every_build_tells_the_same() {
    let world = World::new();
    let threads = |number| Context::new().jobs(NonZeroUsize::new(number).expect("a thread"));
    let cache = Arc::new(Cache::open(world.path("cache"), 1 << 30).expect("a cache"));
    let cached = || threads(2).cache(Arc::clone(&cache));
    for image_limit in [None, Some(3 << 20)] {
        let mut netboot = netboot(&world, true);
        netboot.image_limit = image_limit;
        // The tree lies behind the tables, and moves nothing.
        netboot.verity = image_limit.is_some();
        let (folder, first) = build(&world, "first", &netboot, &threads(1));
        let initrd = |folder: &Path| fs::read(folder.join("initrd")).expect("an initrd");
        assert!(first.images.iter().all(|image| image.hot_size.is_some()));
        assert_eq!(first.images.len() > 1, image_limit.is_some());
        for context in [threads(2), threads(7), cached(), cached()] {
            let (other, manifest) = build(&world, "other", &netboot, &context);
            assert_eq!(manifest, first);
            assert!(initrd(&other) == initrd(&folder));
            for image in &first.images {
                assert!(bytes(&folder, image) == bytes(&other, image));
            }
        }
    }
}

#[test]
fn an_image_of_a_layer_brings_its_hot_bytes_along() {
    let world = World::new();
    let mut netboot = netboot(&world, true);
    let layer = |name: &str, names: &[&str], below: &[&str], profile: Option<&PathBuf>| {
        let output = world.path(name);
        let mut layer = Layer::default();
        layer.below = world.paths(below);
        layer.compression = FAST;
        layer.profile = profile.cloned();
        let built = layer.build(&world.store(names), &output, &Context::new());
        built.expect("built");
        output
    };
    let profile = netboot.profile.clone();
    let kernel = layer("kernel.layer", &[KERNEL], &[], None);
    let base = layer("base.layer", &[KERNEL, BASE], &[KERNEL], profile.as_ref());
    let text = |layer: &Path| fs::read_to_string(layer.join("layer.json")).expect("a description");
    assert!(!text(&kernel).contains("hotSize"));
    let said = inspect(&base).expect("readable").to_string();
    assert!(said.contains(" bytes, what a boot profile names"), "{said}");

    netboot.layers = vec![kernel, base.clone()];
    let (folder, manifest) = build(&world, "stream", &netboot, &Context::new());
    let hot: Vec<_> = index(&folder, &manifest)
        .images
        .iter()
        .map(|image| image.hot)
        .collect();
    // The system above, the base, and the kernel, which is fetched whole first.
    let [Some(system), Some(of_base), None] = hot[..] else {
        panic!("{hot:?}");
    };
    assert!(system < 8192, "{system}");
    assert!(
        ((1 << 20)..(1 << 20) + 8192).contains(&of_base),
        "{of_base}"
    );
    assert!(text(&base).contains(&format!("\"hotSize\": {of_base}")));
    verify(&folder, &Context::new()).expect("as built");

    // Another build takes the layer and tells nothing.
    netboot.stream = false;
    let (folder, manifest) = build(&world, "plain", &netboot, &Context::new());
    assert!(!index(&folder, &manifest).to_string().contains("hot"));

    let more = text(&base).replace(&format!("{of_base}"), &u64::MAX.to_string());
    fs::write(base.join("layer.json"), more).expect("a description");
    for error in [
        netboot
            .build(&world.store(&ALL), &world.path("never"), &Context::new())
            .expect_err("more than the image"),
        verify(&base, &Context::new()).expect_err("more than the image"),
    ] {
        assert!(error.to_string().contains("are to be hot"), "{error}");
    }
}

#[test]
fn verify_finds_an_index_that_tells_another_number() {
    let world = World::new();
    let (folder, manifest) = build(&world, "stream", &netboot(&world, true), &Context::new());
    let hot = manifest.images[0].hot_size.expect("hot bytes");
    let path = folder.join("manifest.json");
    let text = fs::read_to_string(&path).expect("a manifest");
    for (other, reason) in [
        (hot + 1, "its index names other store images"),
        (manifest.images[0].size + 1, "are to be hot"),
    ] {
        let changed = text.replace(
            &format!("\"hotSize\": {hot}"),
            &format!("\"hotSize\": {other}"),
        );
        assert_ne!(changed, text);
        fs::write(&path, changed).expect("a manifest");
        let error = verify(&folder, &Context::new()).expect_err("a fault");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn debians_kernels_have_what_stage_1_serves_by() {
    let world = World::new();
    for series in ["6.1", "6.12"] {
        let Some(kernel) = Kernel::debian(series) else {
            continue;
        };
        let modules = |stream: bool| {
            let mut netboot = netboot(&world, stream);
            netboot.kernel = kernel.image().into();
            netboot.modules = Some(kernel.folder().into());
            netboot.network_modules = vec!["virtio_net".into()];
            let (folder, manifest) = build(&world, "debian", &netboot, &Context::new());
            index(&folder, &manifest).modules
        };
        let has = |modules: &[String], name: &str| {
            let mut modules = modules.iter();
            modules.any(|path| path.ends_with(&format!("-{name}.ko")))
        };
        let (with, without) = (modules(true), modules(false));
        for name in ["nbd", "dm_mod"] {
            assert!(has(&with, name), "{series}: {with:?}");
            assert!(!has(&without, name), "{series}: {without:?}");
        }
        assert!(has(&with, "loop"), "{series}: {with:?}");
        assert!(with.starts_with(&without), "{series}: {with:?}");
    }
}
