//! `layer.json`: what is in a layer.
//!
//! A store path is written as its digest in hexadecimal digits and its name. In Nix's base 32, Nix would find it in the
//! build's output, and the layer would refer to every path that was packed into it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use storeboot_closure::{NarHash, PathInfo, StoreDir, StorePath};
use storeboot_index::MAX_IMAGES;
use storeboot_squashfs::Compression;

use crate::digest::hex;
use crate::manifest;
use crate::output::LAYER;
use crate::pack::image_files::ImageFile;
use crate::{Error, folder};

/// The version of the form. It is raised when a field changes its meaning or is removed.
const SCHEMA: u32 = 1;
/// Bytes of the longest description that is read. A million paths take a quarter of it.
const TEXT_MAX: u64 = 1 << 30;

/// What `layer.json` says. Sizes are in bytes, hashes in hexadecimal digits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Description {
    schema: u32,
    store_dir: String,
    images: Vec<ImageEntry>,
    paths: Vec<PathEntry>,
}

/// A store image.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ImageEntry {
    pub(crate) file: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) compression: String,
    /// The tree of dm-verity at its end. An older storeboot refuses a layer that has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) verity: Option<manifest::Verity>,
    /// Bytes from its beginning to the end of what a boot profile names, where it was packed by one. An older storeboot
    /// refuses a layer that has them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) hot_size: Option<u64>,
}

/// A store path.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PathEntry {
    digest: String,
    name: String,
    nar_hash: String,
    nar_size: u64,
}

/// A path's NAR hash and size.
pub(crate) type Nar = (NarHash, u64);

impl Description {
    pub(super) fn new<'a>(
        store_dir: &StoreDir,
        paths: impl Iterator<Item = &'a PathInfo>,
        images: &[ImageFile],
    ) -> Result<Self, Error> {
        let path = |info: &PathInfo| {
            let (Some(hash), Some(nar_size)) = (info.nar_hash, info.nar_size) else {
                let path = store_dir.render_path(&info.path);
                return Err(storeboot_closure::Error::Incomplete { path });
            };
            Ok(PathEntry {
                digest: HEXLOWER.encode(info.path.digest()),
                name: info.path.name().into(),
                nar_hash: hash.to_hex(),
                nar_size,
            })
        };
        let image = |image: &ImageFile| ImageEntry {
            file: image
                .file
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            size: image.size,
            sha256: hex(&image.sha256),
            compression: image.compression.to_string(),
            verity: image.verity.as_ref().map(manifest::Verity::of_index),
            hot_size: image.hot,
        };
        Ok(Self {
            schema: SCHEMA,
            store_dir: store_dir.as_str().into(),
            images: images.iter().map(image).collect(),
            paths: paths.map(path).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|error| Error::Inconsistent(error.to_string()))
    }

    /// Reads the description of the layer `folder`, and checks what it says of the images. The inner error says what is
    /// wrong with its content.
    pub(super) fn read(folder: &Path) -> Result<Result<Self, String>, Error> {
        let path = folder.join(LAYER);
        let mut text = String::new();
        folder::open_file(folder, LAYER)?
            .take(TEXT_MAX + 1)
            .read_to_string(&mut text)
            .map_err(Error::read(&path))?;
        if text.len() as u64 > TEXT_MAX {
            return Ok(Err(format!("{LAYER} is longer than any layer's")));
        }
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let version = serde_json::from_str::<Version>(&text).map(|version| version.schema);
        Ok(match version {
            Ok(SCHEMA) => Self::from_json(&text),
            Ok(other) => Err(format!(
                "{LAYER} has schema {other}, this storeboot knows {SCHEMA}"
            )),
            Err(error) => Err(format!("{LAYER}: {error}")),
        })
    }

    fn from_json(text: &str) -> Result<Self, String> {
        let this: Self = serde_json::from_str(text).map_err(|error| format!("{LAYER}: {error}"))?;
        let count = this.images.len();
        if count > MAX_IMAGES {
            return Err(format!(
                "{LAYER} names {count} images, and a boot takes {MAX_IMAGES}"
            ));
        }
        this.images.iter().try_for_each(ImageEntry::check)?;
        Ok(this)
    }

    pub(super) fn store_dir(&self) -> &str {
        &self.store_dir
    }

    /// The paths with their NAR hashes and sizes.
    pub(super) fn paths(&self) -> Result<BTreeMap<StorePath, Nar>, String> {
        self.paths.iter().map(PathEntry::parse).collect()
    }

    /// The images, the first one on top.
    pub(super) fn images(&self) -> &[ImageEntry] {
        &self.images
    }
}

impl ImageEntry {
    /// Checks all that it says. A file name that leads out of the layer is an error.
    fn check(&self) -> Result<(), String> {
        let number = self.file.strip_suffix(".squashfs");
        if number.is_none_or(|number| number.parse::<u32>().is_err()) {
            return Err(format!("{LAYER}: {:?} is not an image's name", self.file));
        }
        self.hash()?;
        self.compression()?;
        self.verity()?;
        self.hot()?;
        Ok(())
    }

    /// Its SHA-256.
    pub(super) fn hash(&self) -> Result<[u8; 32], String> {
        bytes(&self.sha256).ok_or_else(|| format!("{LAYER}: {:?} is not a SHA-256", self.sha256))
    }

    /// Its compression.
    pub(super) fn compression(&self) -> Result<Compression, String> {
        self.compression
            .parse()
            .map_err(|error| format!("{LAYER}: {error}"))
    }

    /// The tree of dm-verity at its end, where it has one.
    pub(super) fn verity(&self) -> Result<Option<storeboot_index::Verity>, String> {
        let read = |verity: &manifest::Verity| verity.of_image(self.size);
        let read = self.verity.as_ref().map(read).transpose();
        read.map_err(|reason| format!("{LAYER}: {}: {reason}", self.file))
    }

    /// Bytes from its beginning to the end of what a boot profile names, where it was packed by one.
    pub(super) fn hot(&self) -> Result<Option<u64>, String> {
        manifest::check_hot(self.hot_size, self.size)
            .map_err(|reason| format!("{LAYER}: {}: {reason}", self.file))?;
        Ok(self.hot_size)
    }
}

impl PathEntry {
    fn parse(&self) -> Result<(StorePath, Nar), String> {
        let wrong = || format!("{LAYER}: {:?} is not a store path with its hash", self.name);
        let digest = bytes(&self.digest).ok_or_else(wrong)?;
        let path = StorePath::from_parts(digest, &self.name).map_err(|_| wrong())?;
        let hash = bytes(&self.nar_hash).ok_or_else(wrong)?;
        Ok((path, (NarHash::new(hash), self.nar_size)))
    }
}

fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<StorePath, Nar>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(LAYER), text).expect("written");
        Description::read(folder.path()).expect("readable")?.paths()
    }

    #[test]
    fn a_description_is_read_back_and_names_no_path_as_nix_does() {
        let path: StorePath = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello"
            .parse()
            .expect("a path");
        let mut info = PathInfo::new(path.clone(), []);
        info.nar_hash = Some(NarHash::new([7; 32]));
        info.nar_size = Some(120);
        let description =
            Description::new(&StoreDir::default(), [&info].into_iter(), &[]).expect("complete");
        let text = description.to_json().expect("JSON");
        assert!(!text.contains("1b9p07z77phvv2hf6gm9f28syp39f1ag"), "{text}");
        assert_eq!(
            read(&text),
            Ok([(path, (NarHash::new([7; 32]), 120))].into())
        );
    }

    #[test]
    fn what_is_no_description_is_refused() {
        let whole = |path: &str| {
            format!(
                r#"{{ "schema": 1, "storeDir": "/nix/store", "images": [], "paths": [{path}] }}"#
            )
        };
        let entry = |digest: &str, name: &str| {
            whole(&format!(
                r#"{{ "digest": "{digest}", "name": "{name}", "narHash": "{}", "narSize": 1 }}"#,
                "0".repeat(64)
            ))
        };
        assert!(read(&entry(&"0".repeat(40), "a")).is_ok());
        for text in [
            String::new(),
            "[]".into(),
            whole("").replace('1', "2"),
            whole("1"),
            entry(&"0".repeat(39), "a"),
            entry(&"x".repeat(40), "a"),
            entry(&"0".repeat(40), "a/b"),
            entry(&"0".repeat(40), ""),
        ] {
            assert!(read(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_that_is_not_in_the_layer_is_refused() {
        let sha256 = "0".repeat(64);
        let image = |file: &str, sha256: &str, compression: &str| {
            let image = format!(
                r#"{{ "file": "{file}", "size": 4096, "sha256": "{sha256}", "compression": "{compression}" }}"#
            );
            read(&format!(
                r#"{{ "schema": 1, "storeDir": "/nix/store", "images": [{image}], "paths": [] }}"#
            ))
        };
        assert!(image("0.squashfs", &sha256, "zstd:19").is_ok());
        for file in ["/./a/b", "../0.squashfs", "/0.squashfs", "a.squashfs", ""] {
            let error = image(file, &sha256, "zstd:19").expect_err(file);
            assert!(error.contains("is not an image's name"), "{error}");
        }
        assert!(image("0.squashfs", "9a8f", "zstd:19").is_err());
        assert!(image("0.squashfs", &sha256, "more").is_err());
    }

    #[test]
    fn hot_bytes_are_bytes_of_the_image_and_stay_unsaid_where_there_are_none() {
        let mut entry = ImageEntry {
            file: "0.squashfs".into(),
            size: 8192,
            sha256: "0".repeat(64),
            compression: "none".into(),
            verity: None,
            hot_size: None,
        };
        let json = |entry: &ImageEntry| serde_json::to_string(entry).expect("JSON");
        assert!(!json(&entry).contains("hot"));
        for size in [0, 8192] {
            entry.hot_size = Some(size);
            assert!(json(&entry).contains(&format!("\"hotSize\":{size}")));
            assert_eq!(entry.hot(), Ok(Some(size)));
        }
        entry.hot_size = Some(8193);
        let error = entry.hot().expect_err("larger than the image");
        assert!(error.contains("0.squashfs"), "{error}");
        assert!(error.contains("8193"), "{error}");
    }
}
