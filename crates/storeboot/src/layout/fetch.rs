//! Layout `fetch`: the store images lie beside the initrd, and stage 1 fetches them.
//!
//! An image's name is its SHA-256. So what has that name never changes: caches may keep it for ever, and builds that
//! share a layer share its image.

use std::fs;
use std::io;
use std::path::Path;

use storeboot_index::Chunks;

use crate::digest::hex;
use crate::pack::PackRequest;
use crate::pack::image_files::{self, ImageFile};
use crate::{Cancel, Error, manifest, output};

/// The folder of the images in a netboot directory.
const FOLDER: &str = "images";

/// The images, which go into the netboot directory and not into the initrd.
pub(crate) struct FetchedStore<'a> {
    images: Vec<ImageFile>,
    /// The netboot directory.
    folder: &'a Path,
    cancel: &'a Cancel,
    /// Whether stage 1 is told what a boot needs of each image.
    stream: bool,
}

impl<'a> FetchedStore<'a> {
    pub(super) fn pack(request: PackRequest<'a>) -> Result<Self, Error> {
        let folder = request.scratch;
        let cancel = request.context.token();
        let stream = request.stream;
        let images = image_files::pack(request)?;
        Ok(Self {
            images,
            folder,
            cancel,
            stream,
        })
    }

    pub(super) fn index_images(&self) -> Vec<storeboot_index::Image> {
        let index = |image| storeboot_index::Image {
            hot: self.hot(image),
            ..image.index(name(image), None)
        };
        self.images.iter().map(index).collect()
    }

    /// What stage 2 waits for of an image, besides its tables. `None`: all of it.
    fn hot(&self, image: &ImageFile) -> Option<u64> {
        image.hot.filter(|_| self.stream)
    }

    /// The hashes by which stage 1 checks what it fetches.
    pub(super) fn chunks(&self) -> Chunks {
        let images = self.images.iter();
        Chunks::new(images.map(|image| image.chunks.clone()).collect())
    }

    /// Bytes of all images.
    pub(super) fn size(&self) -> u64 {
        self.images.iter().map(|image| image.size).sum()
    }

    /// Puts the images into their folder.
    pub(super) fn write(&self) -> Result<Vec<manifest::Image>, Error> {
        let folder = self.folder.join(FOLDER);
        output::create_folder(&folder).map_err(Error::write(&folder))?;
        let mut entries = Vec::with_capacity(self.images.len());
        for image in &self.images {
            let name = name(image);
            self.put(image, &self.folder.join(&name))?;
            entries.push(manifest::Image {
                hot_size: self.hot(image),
                ..image.manifest(name, None)
            });
        }
        Ok(entries)
    }

    fn put(&self, image: &ImageFile, target: &Path) -> Result<(), Error> {
        if image.scratch {
            let synced = image.open()?.sync_all();
            return synced
                .and_then(|()| fs::rename(&image.file, target))
                .map_err(Error::write(target));
        }
        let mut out = match output::create(target) {
            // Two layers may have equal images.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            out => out.map_err(Error::write(target))?,
        };
        let source = self.cancel.watch(image.open()?);
        output::copy_from(source, &image.file, &mut out, target)?;
        out.sync_all().map_err(Error::write(target))
    }
}

fn name(image: &ImageFile) -> String {
    format!("{FOLDER}/{}.squashfs", hex(&image.sha256))
}
