//! What is in a netboot directory, an initrd, a layer or a store image.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::manifest_file::read_manifest;
use crate::Error;
use crate::initrd::segments::{self, ImageInfo, InitrdFile, InitrdSegment};
use crate::layer::{ImageEntry, OpenedLayer};
use crate::manifest::{Manifest, Verity};
use crate::output::LAYER;
use crate::plain::Plain;

/// What was found.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Inspection {
    /// A netboot directory, by its manifest.
    Netboot(Box<Manifest>),
    /// An initrd, or an archive.
    Initrd {
        /// Its segments in their order.
        segments: Vec<InitrdSegment>,
    },
    /// A layer, by its description.
    Layer {
        /// How many store paths are in it.
        paths: usize,
        /// Bytes of their NARs.
        #[serde(rename = "narSize")]
        nar_size: u64,
        /// Its images, the first one on top.
        images: Vec<LayerImage>,
    },
    /// A store image.
    Image(ImageInfo),
}

/// A store image of a layer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LayerImage {
    /// Its file in the layer.
    pub file: String,
    /// Its size.
    pub size: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// How its blocks are compressed.
    pub compression: String,
    /// The hash tree of dm-verity at its end, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verity: Option<Verity>,
    /// Bytes from its beginning to the end of what a boot profile names, where it was packed by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hot_size: Option<u64>,
}

/// Looks at the netboot directory, initrd, layer or store image at `path`.
///
/// # Errors
/// Where it cannot be read, is none of these, or is cut off.
///
/// ```no_run
/// let inspection = storeboot::inspect("netboot/initrd".as_ref())?;
/// println!("{inspection}");
/// # Ok::<(), storeboot::Error>(())
/// ```
pub fn inspect(path: &Path) -> Result<Inspection, Error> {
    if path.join(LAYER).is_file() {
        return Ok(layer(&OpenedLayer::open(path)?));
    }
    if path.is_dir() {
        return Ok(Inspection::Netboot(Box::new(read_manifest(path, &[])?)));
    }
    Ok(match segments::read(path, None)? {
        InitrdFile::Image(image) => Inspection::Image(image),
        InitrdFile::Initrd(segments, _) => Inspection::Initrd { segments },
    })
}

/// What a layer says of itself, for people.
fn layer(layer: &OpenedLayer) -> Inspection {
    let sizes = layer.nars().map(|(_, size)| size);
    let image = |entry: &ImageEntry| LayerImage {
        file: entry.file.clone(),
        size: entry.size,
        sha256: entry.sha256.clone(),
        compression: entry.compression.clone(),
        verity: entry.verity.clone(),
        hot_size: entry.hot_size,
    };
    Inspection::Layer {
        paths: layer.paths().count(),
        nar_size: sizes.fold(0, u64::saturating_add),
        images: layer.image_entries().iter().map(image).collect(),
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Netboot(manifest) => netboot(manifest, f),
            Self::Layer {
                paths,
                nar_size,
                images,
            } => {
                writeln!(f, "layer         {paths} store paths, {nar_size} bytes")?;
                for image in images {
                    writeln!(
                        f,
                        "store image   {}, {} bytes, compression {}",
                        Plain(&image.file),
                        image.size,
                        Plain(&image.compression)
                    )?;
                    hot(image.hot_size, "what a boot profile names", f)?;
                    hash_tree(image.verity.as_ref(), f)?;
                }
                Ok(())
            }
            Self::Image(image) => writeln!(f, "store image: {image}"),
            Self::Initrd { segments } => {
                for segment in segments {
                    write!(f, "{segment}")?;
                }
                Ok(())
            }
        }
    }
}

fn netboot(manifest: &Manifest, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let kernel = &manifest.kernel;
    writeln!(f, "layout        {}", manifest.layout)?;
    writeln!(
        f,
        "kernel        Linux {} for {}",
        Plain(&kernel.version),
        kernel.architecture
    )?;
    writeln!(f, "command line  {}", Plain(&manifest.command_line))?;
    writeln!(
        f,
        "memory        about {} MiB to boot",
        manifest.memory.div_ceil(1 << 20)
    )?;
    if manifest.memory_uefi > 0 {
        let uefi = manifest.memory_uefi.div_ceil(1 << 20);
        writeln!(f, "              about {uefi} MiB by UEFI")?;
    }
    let closure = &manifest.closure;
    writeln!(
        f,
        "closure       {} store paths, {} bytes",
        closure.paths, closure.nar_size
    )?;
    for file in &manifest.files {
        writeln!(
            f,
            "file          {} ({}), {} bytes",
            Plain(&file.name),
            file.kind,
            file.size
        )?;
    }
    for segment in &manifest.segments {
        let compression = Plain(segment.compression.as_deref().unwrap_or("unknown"));
        writeln!(
            f,
            "segment       {} at byte {}, {} bytes, compression {compression}",
            segment.kind, segment.offset, segment.size
        )?;
    }
    for image in &manifest.images {
        write!(f, "store image   {}", Plain(&image.path))?;
        if let Some(offset) = image.offset {
            write!(f, " at byte {offset}")?;
        }
        let (size, compression) = (image.size, Plain(&image.compression));
        writeln!(f, ", {size} bytes, compression {compression}")?;
        hot(image.hot_size, "which stage 2 waits for", f)?;
        hash_tree(image.verity.as_ref(), f)?;
    }
    Ok(())
}

/// A line about the first bytes of an image, and what they are, if the image tells how many they are.
fn hot(size: Option<u64>, what: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match size {
        None => Ok(()),
        Some(size) => writeln!(f, "hot           its first {size} bytes, {what}"),
    }
}

/// A line about an image's hash tree, if it has one.
fn hash_tree(tree: Option<&Verity>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match tree {
        None => Ok(()),
        Some(tree) => writeln!(
            f,
            "hash tree     at byte {} of it, salt {}, root hash {}",
            tree.data_size,
            Plain(&tree.salt),
            Plain(&tree.root_hash)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_adds_no_line_and_no_control_character() {
        let text = serde_json::json!({
            "schema": 1, "layout": "fetch", "init": "/i", "memory": 0,
            "commandLine": "init=/i\u{1b}[2J\nkernel        Linux 1",
            "kernel": { "file": "bzImage", "version": "6.12\r\u{9b}", "architecture": "x86_64" },
            "closure": { "paths": 0, "narSize": 0 }, "files": [],
            "segments": [{ "kind": "store", "offset": 0, "size": 1, "sha256": "", "compression": "a\nb" }],
            "images": [{ "path": "a\nb", "offset": 0, "size": 1, "sha256": "", "compression": "\u{7f}" }],
        });
        let manifest = Manifest::from_json(&text.to_string()).unwrap();
        let shown = Inspection::Netboot(Box::new(manifest)).to_string();
        assert!(
            !shown.replace('\n', "").contains(char::is_control),
            "{shown}"
        );
        let words: Vec<&str> = shown.lines().map(|line| &line[..12]).collect();
        let expected = [
            "layout      ",
            "kernel      ",
            "command line",
            "memory      ",
            "closure     ",
            "segment     ",
            "store image ",
        ];
        assert_eq!(words, expected, "{shown}");
        assert!(shown.contains(r"init=/i\u{1b}[2J\nkernel "), "{shown}");
    }
}
