//! Opens layers, and takes their images into a netboot directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use storeboot_closure::{Closure, PathInfo, StoreDir, StorePath};

use super::description::{Description, ImageEntry, Nar};
use crate::digest::hex;
use crate::pack::image_files::{Hashes, ImageFile, Tree};
use crate::{Context, Error, Layout, folder};

/// A layer that was made before.
pub(crate) struct OpenedLayer {
    folder: PathBuf,
    description: Description,
    paths: BTreeMap<StorePath, Nar>,
}

impl OpenedLayer {
    /// Reads what the layer says of itself.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let description = Description::read(folder)?.map_err(|reason| refuse(folder, reason))?;
        let paths = description
            .paths()
            .map_err(|reason| refuse(folder, reason))?;
        Ok(Self {
            folder: folder.into(),
            description,
            paths,
        })
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &StorePath> {
        self.paths.keys()
    }

    /// The paths in it with their NAR hashes and sizes, without references.
    pub(crate) fn infos(&self) -> impl Iterator<Item = PathInfo> {
        self.paths.iter().map(|(path, &(hash, size))| {
            let mut info = PathInfo::new(path.clone(), []);
            info.nar_hash = Some(hash);
            info.nar_size = Some(size);
            info
        })
    }

    /// The store directory of its paths.
    pub(crate) fn store_dir(&self) -> Result<StoreDir, Error> {
        StoreDir::new(self.description.store_dir()).map_err(|error| self.refuse(error.to_string()))
    }

    /// The images, the first one on top, after a look at every byte. With `verity`, after a look at the trees of
    /// dm-verity, too, where there are any; else as images without a tree.
    pub(crate) fn images(
        &self,
        hashes: Hashes,
        verity: bool,
        context: &Context<'_>,
    ) -> Result<Vec<ImageFile>, Error> {
        let mut images = Vec::with_capacity(self.description.images().len());
        for entry in self.description.images() {
            let compression = entry.compression().map_err(|reason| self.refuse(reason))?;
            let file = self.folder.join(&entry.file);
            let metadata = folder::open_file(&self.folder, &entry.file)?.metadata();
            let size = metadata.map_err(Error::read(&file))?.len();
            if size != entry.size {
                return Err(self.refuse(format!(
                    "{} has {size} bytes, the layer's description says {}",
                    entry.file, entry.size
                )));
            }
            let hot = entry.hot().map_err(|reason| self.refuse(reason))?;
            let tree = entry.verity().map_err(|reason| self.refuse(reason))?;
            let tree = tree
                .filter(|_| verity)
                .map_or(Tree::Ignored, Tree::Compared);
            let (image, compared) = ImageFile::read(file, compression, hashes, tree, context)?;
            let expected = entry.hash().map_err(|reason| self.refuse(reason))?;
            if image.sha256 != expected {
                return Err(self.refuse(format!(
                    "{} is damaged: its SHA-256 is {}, the layer's description says {}",
                    entry.file,
                    hex(&image.sha256),
                    hex(&expected)
                )));
            }
            compared.map_err(|reason| self.refuse(format!("{}: {reason}", entry.file)))?;
            images.push(ImageFile { hot, ..image });
        }
        Ok(images)
    }

    /// The images as the description tells of them, the first one on top.
    pub(crate) fn image_entries(&self) -> &[ImageEntry] {
        self.description.images()
    }

    /// The NAR hash and size of each path.
    pub(crate) fn nars(&self) -> impl Iterator<Item = Nar> {
        self.paths.values().copied()
    }

    /// Checks that what is in it is a part of this closure.
    fn check(&self, closure: &Closure) -> Result<(), Error> {
        let store_dir = closure.store_dir();
        if self.description.store_dir() != store_dir.as_str() {
            return Err(self.refuse(format!(
                "it is of the store {}, the closure of {store_dir}",
                self.description.store_dir(),
            )));
        }
        for (path, &(hash, size)) in &self.paths {
            let name = closure.render(path);
            let Some(info) = closure.get(path) else {
                return Err(self.refuse(format!(
                    "it holds {name}, which is not in the closure; it would only take memory: take it out of the \
                     layer, or make it a root of the closure"
                )));
            };
            if info.nar_hash.is_some_and(|expected| expected != hash)
                || info.nar_size.is_some_and(|expected| expected != size)
            {
                return Err(self.refuse(format!(
                    "it holds another {name} than the closure: the NAR hash is {hash} there and {} here",
                    info.nar_hash
                        .map_or_else(|| "unknown".into(), |hash| hash.to_string())
                )));
            }
        }
        Ok(())
    }

    fn refuse(&self, reason: String) -> Error {
        refuse(&self.folder, reason)
    }
}

/// The layers of a netboot directory, the lowest first.
pub(crate) struct Layers(Vec<OpenedLayer>);

impl Layers {
    /// Opens layers and checks that they go with each other and with the closure.
    pub(crate) fn open(
        folders: &[PathBuf],
        closure: &Closure,
        layout: Layout,
    ) -> Result<Self, Error> {
        if let (Layout::Direct, Some(first)) = (layout, folders.first()) {
            return Err(refuse(
                first,
                "it is made of store images, and layout direct has none; use layout in-place, file or fetch".into(),
            ));
        }
        let layers: Vec<OpenedLayer> = folders
            .iter()
            .map(|folder| OpenedLayer::open(folder))
            .collect::<Result<_, _>>()?;
        let mut seen: BTreeMap<&StorePath, (&OpenedLayer, Nar)> = BTreeMap::new();
        for layer in &layers {
            for (path, &nar) in &layer.paths {
                match seen.insert(path, (layer, nar)) {
                    Some((other, found)) if found != nar => {
                        return Err(layer.refuse(format!(
                            "it holds another {} than the layer {}",
                            closure.render(path),
                            other.folder.display()
                        )));
                    }
                    _ => {}
                }
            }
        }
        for layer in &layers {
            layer.check(closure)?;
        }
        Ok(Self(layers))
    }

    /// The store paths in all layers, which need not be packed again.
    pub(crate) fn paths(&self) -> BTreeSet<StorePath> {
        self.0
            .iter()
            .flat_map(OpenedLayer::paths)
            .cloned()
            .collect()
    }

    /// The images in the order of their mounting, those of the highest layer first; each has at most `limit` bytes, and
    /// with `verity` a tree of dm-verity.
    pub(crate) fn images(
        &self,
        limit: u64,
        hashes: Hashes,
        verity: bool,
        context: &Context<'_>,
    ) -> Result<Vec<ImageFile>, Error> {
        let mut all = Vec::new();
        for layer in self.0.iter().rev() {
            let mut entries = layer.image_entries().iter();
            if verity && let Some(entry) = entries.find(|entry| entry.verity.is_none()) {
                return Err(Error::LayerWithoutVerity {
                    path: layer.folder.join(&entry.file),
                });
            }
            let images = layer.images(hashes, verity, context)?;
            if let Some(image) = images.iter().find(|image| image.size > limit) {
                return Err(layer.refuse(format!(
                    "{} has {} bytes and an image may have {limit}; build the layer with a lower limit",
                    image.file.display(),
                    image.size
                )));
            }
            all.extend(images);
        }
        Ok(all)
    }
}

fn refuse(folder: &Path, reason: String) -> Error {
    Error::Layer {
        path: folder.into(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::of_reader;
    use crate::output::LAYER;

    /// Opens a layer of one image, which its description names so many times and with this SHA-256, and reads it.
    fn images(sha256: &str, times: usize) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        let entry = serde_json::json!({
            "file": "0.squashfs", "size": IMAGE.len(), "sha256": sha256, "compression": "none",
        });
        let text = serde_json::json!({
            "schema": 1, "storeDir": "/nix/store", "images": vec![entry; times], "paths": [],
        });
        std::fs::write(folder.path().join(LAYER), text.to_string()).unwrap();
        std::fs::write(folder.path().join("0.squashfs"), IMAGE).unwrap();
        let layer = OpenedLayer::open(folder.path()).map_err(|error| error.to_string())?;
        let images = layer.images(Hashes::Whole, false, &Context::new());
        images
            .map(|images| images.len())
            .map_err(|error| error.to_string())
    }

    const IMAGE: [u8; 4096] = [7; 4096];

    #[test]
    fn the_hash_of_an_image_may_be_in_upper_case() {
        let sha256 = hex(&of_reader(&IMAGE[..]).unwrap().1);
        assert_eq!(images(&sha256, 1), Ok(1));
        assert_eq!(images(&sha256.to_uppercase(), 1), Ok(1));
        let error = images(&"0".repeat(64), 1).unwrap_err();
        assert!(error.contains("0.squashfs is damaged"), "{error}");
        assert!(error.contains(&sha256), "{error}");
        let error = images(&sha256[1..], 1).unwrap_err();
        assert!(error.contains("is not a SHA-256"), "{error}");
    }

    #[test]
    fn a_layer_has_not_more_images_than_a_boot_takes() {
        let sha256 = hex(&of_reader(&IMAGE[..]).unwrap().1);
        assert_eq!(images(&sha256, 128), Ok(128));
        let error = images(&sha256, 129).unwrap_err();
        assert!(error.contains("129 images"), "{error}");
    }
}
