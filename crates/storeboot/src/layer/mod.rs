//! Layers: parts of a store that are packed by themselves, and not again with every change of the whole.
//!
//! A layer is a folder with store images and [`layer.json`](description), which tells what is in them. It has no
//! registration: that of the whole closure is in the image on top, which is made with the netboot directory.

mod description;
mod opened;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use storeboot_closure::StorePath;
use storeboot_squashfs::Compression;
use storeboot_squashfs::format::MAX_BLOCK_SIZE;

use crate::output::{self, LAYER};
use crate::pack::PackRequest;
use crate::pack::image_files::{self, Hashes, MEMBER_MAX};
use crate::{Archives, Context, Error, Store, store};
use description::Description;
pub(crate) use description::ImageEntry;
pub(crate) use opened::{Layers, OpenedLayer};

/// Bytes of a layer's image by default: what kernels before Linux 6.8 can mount, since a layer does not know which
/// kernel it will be booted with.
const IMAGE_LIMIT: u64 = 2 << 30;

/// How a part of a store becomes a layer: the closure of some roots, without the paths that lie in layers below.
///
/// ```no_run
/// use storeboot::{Context, Layer, Netboot, Store, layer_paths};
/// # fn closure_of(path: &str) -> Store { unimplemented!() }
/// # let (kernel, system) = ("", "");
///
/// let context = Context::new();
/// Layer::default().build(&closure_of(kernel), "kernel.layer".as_ref(), &context)?;
/// let mut base = Layer::default();
/// base.below = layer_paths("kernel.layer".as_ref())?;
/// base.build(&closure_of("/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-base"), "base.layer".as_ref(), &context)?;
///
/// let mut netboot = Netboot::new(kernel, format!("{system}/init"), "/usr/libexec/storeboot-init");
/// netboot.layers = vec!["kernel.layer".into(), "base.layer".into()];
/// netboot.build(&closure_of(system), "result".as_ref(), &context)?;
/// # Ok::<(), storeboot::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Layer {
    /// The store paths that lie in layers below, and so not in this one.
    pub below: BTreeSet<StorePath>,
    /// `None`: zstd at level 19.
    pub compression: Option<Compression>,
    /// Bytes of the images' blocks.
    pub block_size: u32,
    /// Bytes of an image at most; a larger layer becomes several images. `None`: 2 GiB, which suits every kernel.
    pub image_limit: Option<u64>,
    /// A boot profile ([`Profile`](crate::Profile)), whose files come first in the images, in its order.
    pub profile: Option<PathBuf>,
    /// Whether each image gets a hash tree of dm-verity. Builds with [`Netboot::verity`](crate::Netboot::verity) need it;
    /// others take such a layer as any other.
    pub verity: bool,
}

impl Default for Layer {
    /// The lowest layer.
    fn default() -> Self {
        Self {
            below: BTreeSet::new(),
            compression: None,
            block_size: MAX_BLOCK_SIZE,
            image_limit: None,
            profile: None,
            verity: false,
        }
    }
}

impl Layer {
    /// Makes the layer `output`, a folder, whole or not at all. A layer that is there already is replaced.
    ///
    /// # Errors
    /// As [`Netboot::build`](crate::Netboot::build).
    pub fn build(&self, store: &Store, output: &Path, context: &Context<'_>) -> Result<(), Error> {
        output::write_folder(output, LAYER, |folder| {
            self.build_in(store, folder, context)
        })
    }

    /// Fills the folder `folder`, which exists and is empty. On an error it is left as far as it came.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn build_in(
        &self,
        store: &Store,
        folder: &Path,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        // A layer is for nothing but booting.
        store::check_bootable(store.closure().store_dir())?;
        let part = store.part(self.below.clone(), false);
        let mut images = Vec::new();
        // A layer of paths that all lie below has no image.
        if part.packed().next().is_some() {
            images = image_files::pack(PackRequest {
                store: &part,
                below: Vec::new(),
                archives: Archives::Solid,
                compression: self.compression,
                block_size: self.block_size,
                image_limit: self.image_limit.unwrap_or(IMAGE_LIMIT).min(MEMBER_MAX),
                profile: self.profile.as_deref(),
                hashes: Hashes::Whole,
                verity: self.verity,
                stream: false,
                scratch: folder,
                context,
            })?;
        }
        context.evict();
        for image in &images {
            let synced = image.open()?.sync_all();
            synced.map_err(Error::write(&image.file))?;
        }
        let text =
            Description::new(store.closure().store_dir(), part.packed(), &images)?.to_json()?;
        let path = folder.join(LAYER);
        let write = |mut file: File| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        output::create(&path)
            .and_then(write)
            .map_err(Error::write(&path))
    }
}

/// The store paths that lie in a layer, for the one above it.
///
/// # Errors
/// Where the folder is not a layer, or cannot be read.
///
/// ```no_run
/// for path in storeboot::layer_paths("kernel.layer".as_ref())? {
///     println!("{path}");
/// }
/// # Ok::<(), storeboot::Error>(())
/// ```
pub fn layer_paths(folder: &Path) -> Result<BTreeSet<StorePath>, Error> {
    Ok(OpenedLayer::open(folder)?.paths().cloned().collect())
}
