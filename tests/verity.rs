//! Store images with hash trees of dm-verity: the real veritysetup accepts what a build writes, every build writes the
//! same, and `verify` finds a changed byte of a tree.

// tests/layers.rs uses the rest of it.
#[allow(dead_code)]
#[path = "layers/world.rs"]
mod world;

use std::fs::{self, File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use storeboot::manifest::{Image, Manifest, Verity};
use storeboot::{Cache, Context, Layer, Layout, inspect, verify};
use storeboot_index::hex;
use storeboot_tests::command::have;
use storeboot_tests::fixture::SYSTEM;
use storeboot_tests::index::index;
use world::{BASE, FAST, KERNEL, World};

const ALL: [&str; 3] = [KERNEL, BASE, SYSTEM];

/// Builds with trees.
fn build(world: &World, name: &str, layout: Layout, context: &Context<'_>) -> (PathBuf, Manifest) {
    let output = world.path(name);
    let mut netboot = world.netboot();
    netboot.layout = Some(layout);
    netboot.verity = true;
    // More than one image, and a tree of two levels in the first ones.
    netboot.image_limit = Some(3 << 20);
    let manifest = netboot.build(&world.store(&ALL), &output, context);
    (output, manifest.expect("built"))
}

fn sha256(bytes: &[u8]) -> String {
    hex::Hex(&Sha256::digest(bytes)).to_string()
}

fn tree(image: &Image) -> &Verity {
    image.verity.as_ref().expect("a hash tree")
}

/// The bytes of an image of a netboot directory.
fn bytes(folder: &Path, image: &Image) -> Vec<u8> {
    let (file, offset) = place(folder, image);
    let mut bytes = vec![0; image.size as usize];
    let file = File::open(file).expect("a file");
    file.read_exact_at(&mut bytes, offset).expect("an image");
    bytes
}

fn place(folder: &Path, image: &Image) -> (PathBuf, u64) {
    match image.offset {
        Some(offset) => (folder.join("initrd"), offset),
        None => (folder.join(&image.path), 0),
    }
}

/// Asks veritysetup whether the file is data with this tree behind it.
fn veritysetup(file: &Path, tree: &Verity) -> Output {
    Command::new("veritysetup")
        .arg("verify")
        .args([file, file])
        .arg(&tree.root_hash)
        .args(["--no-superblock", "--format=1", "--hash=sha256"])
        .args(["--data-block-size=4096", "--hash-block-size=4096"])
        .arg(format!("--data-blocks={}", tree.data_size / 4096))
        .arg(format!("--hash-offset={}", tree.data_size))
        .arg(format!("--salt={}", tree.salt))
        .output()
        .expect("it runs")
}

#[test]
fn veritysetup_accepts_the_images_of_each_layout() {
    if !have(&["veritysetup"]) {
        return;
    }
    let world = World::new();
    for layout in [Layout::InPlace, Layout::File, Layout::Fetch] {
        let name = layout.to_string();
        let (folder, manifest) = build(&world, &name, layout, &Context::new());
        assert!(manifest.images.len() > 1, "{layout}: {:?}", manifest.images);
        let told = index(&folder, &manifest).images;
        for (image, told) in manifest.images.iter().zip(&told) {
            let tree = tree(image);
            let file = world.path("image");
            fs::write(&file, bytes(&folder, image)).expect("a file");
            let accepted = veritysetup(&file, tree);
            let said = String::from_utf8_lossy(&accepted.stderr);
            assert!(accepted.status.success(), "{layout}: {said}");

            // What stage 1 is told is the same.
            let verity = told.verity.as_ref().expect("a hash tree");
            assert_eq!(verity.data_size, tree.data_size);
            assert_eq!(hex::Hex(&verity.salt).to_string(), tree.salt);
            assert_eq!(hex::Hex(&verity.root).to_string(), tree.root_hash);

            // The tree is small, and within the limit.
            let size = image.size - tree.data_size;
            assert!(size <= image.size / 100 + 2 * 4096, "{size}");
            assert!(image.size <= 3 << 20, "{}", image.size);

            // A byte of data, and one of the tree, count.
            let whole = OpenOptions::new().write(true).open(&file).expect("a file");
            for at in [tree.data_size / 2, image.size - 4096] {
                let mut byte = [0];
                let reader = File::open(&file).expect("a file");
                reader.read_exact_at(&mut byte, at).expect("a byte");
                whole.write_all_at(&[byte[0] ^ 1], at).expect("a byte");
                assert!(!veritysetup(&file, tree).status.success(), "{layout}, {at}");
                whole.write_all_at(&byte, at).expect("a byte");
            }
        }
        let verified = verify(&folder, &Context::new()).expect("as built");
        assert_eq!(verified.images, manifest.images.len());
        let said = inspect(&folder).expect("readable").to_string();
        let root = &tree(&manifest.images[0]).root_hash;
        assert!(said.contains(root), "{said}");
    }
}

#[test]
fn every_build_makes_the_same_trees() {
    let world = World::new();
    let threads = |number| Context::new().jobs(NonZeroUsize::new(number).expect("a thread"));
    let cache = Arc::new(Cache::open(world.path("cache"), 1 << 30).expect("a cache"));
    let cached = || threads(2).cache(Arc::clone(&cache));
    for layout in [Layout::InPlace, Layout::Fetch] {
        let (folder, first) = build(&world, "first", layout, &threads(1));
        for context in [threads(2), threads(7), cached(), cached()] {
            let (other, manifest) = build(&world, "other", layout, &context);
            assert_eq!(manifest, first);
            for image in &first.images {
                assert!(bytes(&folder, image) == bytes(&other, image), "{layout}");
            }
        }
        // Each image has a salt of its own, and so the same block has another hash in each.
        let mut salts: Vec<_> = first.images.iter().map(|image| &tree(image).salt).collect();
        salts.sort();
        salts.dedup();
        assert_eq!(salts.len(), first.images.len());
    }
}

#[test]
fn without_trees_nothing_tells_of_them() {
    let world = World::new();
    let folder = world.path("plain");
    let mut netboot = world.netboot();
    netboot.layout = Some(Layout::InPlace);
    let manifest = netboot.build(&world.store(&ALL), &folder, &Context::new());
    let manifest = manifest.expect("built");
    let text = fs::read_to_string(folder.join("manifest.json")).expect("a manifest");
    assert!(!text.contains("verity"), "{text}");
    let told = index(&folder, &manifest).to_string();
    assert!(!told.contains("verity"), "{told}");
}

#[test]
fn verify_finds_a_tree_of_other_data_and_another_root_hash() {
    let world = World::new();
    let (folder, manifest) = build(&world, "netboot", Layout::Fetch, &Context::new());
    let image = &manifest.images[0];
    let path = folder.join("manifest.json");
    let text = fs::read_to_string(&path).expect("a manifest");
    let refused = |text: &str, reason: &str| {
        fs::write(&path, text).expect("a manifest");
        let error = verify(&folder, &Context::new()).expect_err("a fault");
        assert!(error.to_string().contains(reason), "{error}");
    };
    // The manifest and the index do not tell the same.
    let root = &tree(image).root_hash;
    refused(
        &text.replace(root.as_str(), &"0".repeat(64)),
        "its index names other store images",
    );
    // Sizes that do not go together.
    let sizes = (
        format!("\"dataSize\": {}", tree(image).data_size),
        format!("\"dataSize\": {}", tree(image).data_size - 4096),
    );
    refused(&text.replace(&sizes.0, &sizes.1), "bytes of data");
    fs::write(&path, &text).expect("a manifest");
    verify(&folder, &Context::new()).expect("as built");
}

#[test]
fn verify_makes_each_tree_again() {
    let world = World::new();
    let mut layer = Layer::default();
    layer.compression = FAST;
    layer.verity = true;
    let folder = world.path("layer");
    let built = layer.build(&world.store(&ALL), &folder, &Context::new());
    built.expect("built");
    verify(&folder, &Context::new()).expect("as built");

    // An image whose SHA-256 is as the description says, and whose tree is another one.
    let (image, description) = (folder.join("0.squashfs"), folder.join("layer.json"));
    let mut bytes = fs::read(&image).expect("an image");
    let before = sha256(&bytes);
    *bytes.last_mut().expect("not empty") ^= 1;
    let after = sha256(&bytes);
    fs::write(&image, &bytes).expect("an image");
    let error = verify(&folder, &Context::new()).expect_err("damaged");
    assert!(
        error.to_string().contains("is damaged: its SHA-256"),
        "{error}"
    );
    let text = fs::read_to_string(&description).expect("a description");
    let text = text.replace(&before, &after);
    fs::write(&description, &text).expect("a description");
    let error = verify(&folder, &Context::new()).expect_err("another tree");
    assert!(
        error.to_string().contains("is not that of its data"),
        "{error}"
    );

    // And so for the root hash.
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&image, &bytes).expect("an image");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let root = value["images"][0]["verity"]["rootHash"].as_str();
    let text = text
        .replace(&after, &before)
        .replace(root.expect("a root hash"), &"0".repeat(64));
    fs::write(&description, &text).expect("a description");
    let error = verify(&folder, &Context::new()).expect_err("another root hash");
    assert!(error.to_string().contains("root hash"), "{error}");
}

#[test]
fn a_layer_has_trees_for_builds_that_want_them() {
    let world = World::new();
    let layer = |name: &str, verity| {
        let mut layer = Layer::default();
        layer.compression = FAST;
        layer.verity = verity;
        let output = world.path(name);
        let built = layer.build(&world.store(&[KERNEL, BASE]), &output, &Context::new());
        built.expect("built");
        output
    };
    let (with, without) = (layer("with", true), layer("without", false));
    let build = |layer: &Path, verity| {
        let mut netboot = world.netboot();
        netboot.layout = Some(Layout::InPlace);
        netboot.layers = vec![layer.into()];
        netboot.verity = verity;
        let folder = world.path("netboot");
        let manifest = netboot.build(&world.store(&ALL), &folder, &Context::new())?;
        verify(&folder, &Context::new())?;
        Ok::<_, storeboot::Error>(manifest)
    };
    // The image of the layer is taken as it is, tree and all.
    let manifest = build(&with, true).expect("built");
    assert_eq!(manifest.images.len(), 2);
    let image = bytes(&world.path("netboot"), &manifest.images[1]);
    assert!(image == fs::read(with.join("0.squashfs")).expect("an image"));
    for image in &manifest.images {
        assert!(image.verity.is_some(), "{image:?}");
    }
    // A build without trees takes a layer that has one as any other.
    let manifest = build(&with, false).expect("built");
    for image in &manifest.images {
        assert!(image.verity.is_none(), "{image:?}");
    }
    build(&without, false).expect("built");
    // The other way round there would be an image that nothing checks.
    let error = build(&without, true).expect_err("refused").to_string();
    assert!(
        error.contains("without") && error.contains("has no hash tree of dm-verity"),
        "{error}"
    );

    // The data of an image is the same with and without.
    let (with, without) = (with.join("0.squashfs"), without.join("0.squashfs"));
    let (with, without) = (fs::read(with), fs::read(without));
    let (with, without) = (with.expect("an image"), without.expect("an image"));
    assert!(with.starts_with(&without) && with.len() > without.len());
}

#[test]
fn a_store_that_fills_its_images_stays_below_the_limit() {
    let world = World::new();
    let mut netboot = world.netboot();
    netboot.layout = Some(Layout::InPlace);
    netboot.verity = true;
    let folder = world.path("netboot");
    // Each file of the base has 1 MiB of bytes that do not compress.
    for limit in [(2 << 20) + (1 << 16), 3 << 20, (3 << 20) + 4095, 5 << 20] {
        netboot.image_limit = Some(limit);
        let manifest = netboot.build(&world.store(&ALL), &folder, &Context::new());
        for image in manifest.expect("built").images {
            assert!(image.size <= limit, "{} over {limit}", image.size);
        }
    }
}

#[test]
fn layout_direct_has_no_images_for_a_tree() {
    let world = World::new();
    let mut netboot = world.netboot();
    netboot.layout = Some(Layout::Direct);
    netboot.verity = true;
    let folder = world.path("netboot");
    let built = netboot.build(&world.store(&ALL), &folder, &Context::new());
    let error = built.expect_err("refused").to_string();
    assert!(error.contains("layout direct has none"), "{error}");
    assert!(!folder.exists());
}
