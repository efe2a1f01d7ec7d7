//! Checks what was built: a netboot directory against its manifest, store images against their registration, a layer
//! against its description.

use std::collections::BTreeMap;
use std::error;
use std::io;
use std::path::{Path, PathBuf};

use storeboot_closure::{PathInfo, StoreDir, nar};

use crate::check::contents;
use crate::check::index;
use crate::check::manifest_file::SignedManifest;
use crate::check::overlay::{OverlayStore, text};
use crate::check::registration::{self, image_places};
use crate::check::segments;
use crate::digest::{self, hex};
use crate::layer::OpenedLayer;
use crate::manifest::{FileKind, Manifest};
use crate::output::{LAYER, MANIFEST};
use crate::pack::image_files::Hashes;
use crate::pack::verity;
use crate::{Context, Error, PublicKey, REGISTRATION, folder};

/// What was found to be right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The name of the key that has signed the netboot directory, where that was asked for.
    pub signer: Option<String>,
    /// Files of the netboot directory, compared with the manifest by size and SHA-256.
    pub files: usize,
    /// Store images that were read.
    pub images: usize,
    /// Store paths in them, compared with the registration by NAR hash and size.
    pub paths: usize,
}

/// Checks the netboot directory, the layer or the store image at `path`.
///
/// # Errors
/// [`Error::Fault`] where something is not as its hash says; others where something cannot be read.
///
/// ```no_run
/// use storeboot::{Context, verify};
///
/// let verified = verify("netboot".as_ref(), &Context::new())?;
/// println!("{} store paths are as registered", verified.paths);
/// # Ok::<(), storeboot::Error>(())
/// ```
pub fn verify(path: &Path, context: &Context<'_>) -> Result<Verified, Error> {
    context.token().check()?;
    let verified = if path.join(LAYER).is_file() {
        verify_layer(path, context)
    } else if path.is_dir() {
        verify_folder(path, &[], context)
    } else {
        verify_images(path, &[(path.into(), 0)], context)
    };
    context.token().settle(verified)
}

/// Checks that one of these keys has signed the netboot directory at `folder`, and then the directory, as [`verify`]. The
/// manifest has the hashes of all other files, so nothing of the directory is as others made it.
///
/// # Errors
/// [`Error::Unsigned`] where none of the keys has signed it; and as [`verify`].
///
/// ```no_run
/// use storeboot::{Context, verify_signed};
///
/// let keys = ["site-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=".parse().unwrap()];
/// let verified = verify_signed("netboot".as_ref(), &keys, &Context::new())?;
/// assert_eq!(verified.signer.as_deref(), Some("site-1"));
/// # Ok::<(), storeboot::Error>(())
/// ```
pub fn verify_signed(
    folder: &Path,
    keys: &[PublicKey],
    context: &Context<'_>,
) -> Result<Verified, Error> {
    context.token().check()?;
    if keys.is_empty() {
        return Err(Error::Unsigned {
            path: folder.join(MANIFEST),
            reason: "no key is given".into(),
        });
    }
    let verified = verify_folder(folder, keys, context);
    context.token().settle(verified)
}

fn verify_folder(
    folder: &Path,
    keys: &[PublicKey],
    context: &Context<'_>,
) -> Result<Verified, Error> {
    let SignedManifest {
        manifest, signer, ..
    } = SignedManifest::read(folder, keys)?;
    contents::check(folder, &manifest)?;
    let chunks = compare_files(folder, &manifest, context)?;
    let initrd = folder.join("initrd");
    segments::verify(&initrd, &manifest, context.token())?;
    if index::is_used_at_boot(&manifest) {
        index::verify(&initrd, &manifest, &chunks)?;
    }
    let mut verified = Verified::default();
    if !manifest.images.is_empty() {
        let places = image_places(folder, &manifest);
        verify_trees(&manifest, &places, context)?;
        verified = verify_images(&places[0].0, &places, context)?;
    }
    verified.files = manifest.files.len();
    verified.signer = signer;
    Ok(verified)
}

/// Compares each file with the manifest. Returns the hashes of each image's chunks, by the image's name.
pub(super) fn compare_files<'a>(
    folder: &Path,
    manifest: &'a Manifest,
    context: &Context<'_>,
) -> Result<BTreeMap<&'a String, Vec<[u8; 32]>>, Error> {
    context.begin("comparing the files with the manifest", None)?;
    let mut chunks = BTreeMap::new();
    for file in &manifest.files {
        let path = folder.join(&file.name);
        let content = context
            .token()
            .watch(folder::open_file(folder, &file.name)?);
        let read = if file.kind == FileKind::Image {
            digest::of_reader_and_chunks(content).map(|(size, sha256, hashes)| {
                chunks.insert(&file.name, hashes);
                (size, sha256)
            })
        } else {
            digest::of_reader(content)
        };
        let found = read.map_err(Error::read(&path))?;
        compare(&path, "it", (file.size, &file.sha256), found)?;
    }
    Ok(chunks)
}

/// Makes the tree of each image that has one again, and compares it with the one that is there.
fn verify_trees(
    manifest: &Manifest,
    places: &[(PathBuf, u64)],
    context: &Context<'_>,
) -> Result<(), Error> {
    let images = manifest.images.iter().zip(places);
    for (image, (file, offset)) in images {
        let Some(tree) = &image.verity else {
            continue;
        };
        context.begin("comparing the store image with its hash tree", None)?;
        let refuse = |reason: String| fault(file, format!("{}: {reason}", image.path));
        let tree = tree.of_image(image.size).map_err(refuse)?;
        verity::check(file, *offset, &tree, &mut io::sink(), context)?.map_err(refuse)?;
    }
    Ok(())
}

pub(super) fn compare(
    path: &Path,
    what: &str,
    (size, sha256): (u64, &str),
    (found_size, found): (u64, [u8; 32]),
) -> Result<(), Error> {
    if size != found_size {
        return Err(fault(
            path,
            format!("{what} has {found_size} bytes, the manifest says {size}"),
        ));
    }
    let found = hex(&found);
    if sha256 != found {
        return Err(fault(
            path,
            format!("{what} has the SHA-256 {found}, the manifest says {sha256}"),
        ));
    }
    Ok(())
}

/// Checks the store that the images at these bytes of files make together; `path` is what a fault is said of.
fn verify_images(
    path: &Path,
    images: &[(PathBuf, u64)],
    context: &Context<'_>,
) -> Result<Verified, Error> {
    let places = images
        .iter()
        .map(|(file, offset)| (file.as_path(), *offset));
    let mut store = OverlayStore::open(places, context.token())?;
    let closure = registration::of_store(path, &mut store)?;
    let expected: Vec<&PathInfo> = closure.paths().collect();
    compare_store(path, &mut store, closure.store_dir(), &expected, context)?;
    Ok(Verified {
        signer: None,
        files: 0,
        images: images.len(),
        paths: closure.len(),
    })
}

/// Checks a layer's images, and the store paths in them, against its description.
fn verify_layer(folder: &Path, context: &Context<'_>) -> Result<Verified, Error> {
    let layer = OpenedLayer::open(folder)?;
    let images = layer.images(Hashes::Whole, true, context)?;
    let mut store = OverlayStore::open(
        images.iter().map(|image| (image.file.as_path(), 0)),
        context.token(),
    )?;
    let infos: Vec<PathInfo> = layer.infos().collect();
    let expected: Vec<&PathInfo> = infos.iter().collect();
    compare_store(folder, &mut store, &layer.store_dir()?, &expected, context)?;
    Ok(Verified {
        signer: None,
        files: images.len(),
        images: images.len(),
        paths: infos.len(),
    })
}

/// Compares what is in a store with what should be.
fn compare_store(
    path: &Path,
    store: &mut OverlayStore,
    store_dir: &StoreDir,
    expected: &[&PathInfo],
    context: &Context<'_>,
) -> Result<(), Error> {
    let mut entries = store
        .entries()
        .map_err(|error| fault(path, error.to_string()))?;
    entries.remove(REGISTRATION.as_bytes());
    let total = expected
        .iter()
        .try_fold(0_u64, |sum, info| Some(sum.saturating_add(info.nar_size?)));
    context.begin("comparing the store with its registration", total)?;
    let mut done = 0;
    for info in expected {
        let name = info.path.to_basename();
        let Some(place) = entries.remove(name.as_bytes()) else {
            return Err(fault(
                path,
                format!("it has no {name}, which is registered"),
            ));
        };
        let (hash, size) = nar::hash_tree(store, place, Path::new(&name))
            .map_err(|error| fault(path, with_causes(&error)))?;
        info.check(store_dir, hash, size)?;
        done += size;
        context.reached(done)?;
    }
    match entries.keys().next() {
        None => Ok(()),
        Some(name) => Err(fault(
            path,
            format!("{} is in the store and not registered", text(name)),
        )),
    }
}

/// The error and its causes as one text, without a cause that the text has already.
fn with_causes(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

pub(super) fn fault(path: &Path, reason: impl Into<String>) -> Error {
    Error::Fault {
        path: path.into(),
        reason: reason.into(),
    }
}
