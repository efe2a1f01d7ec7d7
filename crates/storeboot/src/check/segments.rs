//! Compares the segments of an initrd, and the store images in them, with the manifest, in one reading.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::verify::compare;
use crate::digest::{self, HashWriter};
use crate::manifest::{Image, Manifest, Segment};
use crate::{Cancel, Error};

/// Compares the hashes of the segments, and of the images that lie in them. The segments and images of the manifest follow
/// each other, and each image with an offset lies in a segment.
pub(super) fn verify(initrd: &Path, manifest: &Manifest, cancel: &Cancel) -> Result<(), Error> {
    let mut file = File::open(initrd).map_err(Error::read(initrd))?;
    for segment in &manifest.segments {
        file.seek(SeekFrom::Start(segment.offset))
            .map_err(Error::read(initrd))?;
        let input = cancel.watch(&mut file).take(segment.size);
        verify_segment(initrd, input, segment, &images_in(manifest, segment))?;
    }
    Ok(())
}

/// The images that begin in a segment, and at which byte of the initrd.
fn images_in<'a>(manifest: &'a Manifest, segment: &Segment) -> Vec<(u64, &'a Image)> {
    let images = manifest.images.iter();
    let placed = images.filter_map(|image| Some((image.offset?, image)));
    let inside =
        |offset: u64| (offset.checked_sub(segment.offset)).is_some_and(|at| at < segment.size);
    placed.filter(|&(offset, _)| inside(offset)).collect()
}

/// Compares a segment, whose bytes are those of `input`, and these images in it.
fn verify_segment(
    initrd: &Path,
    mut input: impl Read,
    segment: &Segment,
    images: &[(u64, &Image)],
) -> Result<(), Error> {
    let mut whole = HashWriter::new(io::sink());
    for &(offset, image) in images {
        let before = (offset - segment.offset).saturating_sub(whole.count());
        digest::copy(input.by_ref().take(before), &mut whole).map_err(Error::read(initrd))?;
        let mut part = HashWriter::new(&mut whole);
        digest::copy(input.by_ref().take(image.size), &mut part).map_err(Error::read(initrd))?;
        let (_, size, sha256) = part.finish();
        let what = format!("the store image {:?} at byte {offset}", image.path);
        compare(initrd, &what, (image.size, &image.sha256), (size, sha256))?;
    }
    digest::copy(input, &mut whole).map_err(Error::read(initrd))?;
    let (_, size, sha256) = whole.finish();
    let what = format!("the {} segment at byte {}", segment.kind, segment.offset);
    compare(
        initrd,
        &what,
        (segment.size, &segment.sha256),
        (size, sha256),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::digest::{hex, of_reader};

    /// An initrd of 100 bytes, and its segments and images.
    fn world() -> (Vec<u8>, Value) {
        let bytes: Vec<u8> = (0..100).collect();
        let hash =
            |start: usize, size: usize| hex(&of_reader(&bytes[start..start + size]).unwrap().1);
        let segment = |kind, start, size| {
            let sha256 = hash(start, size);
            json!({ "kind": kind, "offset": start, "size": size, "sha256": sha256 })
        };
        let image = |start, size| {
            json!({
                "path": format!("{start}"), "offset": start, "size": size, "sha256": hash(start, size),
                "compression": "zstd",
            })
        };
        let manifest = json!({
            "schema": 1, "layout": "in-place", "init": "/i", "commandLine": "init=/i", "memory": 0,
            "kernel": { "file": "bzImage", "version": "6.12", "architecture": "x86_64" },
            "closure": { "paths": 0, "narSize": 0 }, "files": [],
            "segments": [segment("stage-1", 0, 10), segment("store", 20, 50), segment("store", 80, 20)],
            "images": [image(22, 8), image(30, 30), image(80, 20)],
        });
        (bytes, manifest)
    }

    fn verify(bytes: &[u8], manifest: &Value) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let manifest = Manifest::from_json(&manifest.to_string()).unwrap();
        super::verify(file.path(), &manifest, &Cancel::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_segment_and_each_image_in_it_has_its_hash() {
        let (bytes, manifest) = world();
        verify(&bytes, &manifest).unwrap();
        let other = "0".repeat(64);
        for (list, name) in [("segments", "segment"), ("images", "store image")] {
            for number in 0..3 {
                let mut manifest = manifest.clone();
                manifest[list][number]["sha256"] = other.as_str().into();
                let offset = &manifest[list][number]["offset"];
                let place = format!("at byte {offset} has the SHA-256");
                let error = verify(&bytes, &manifest).unwrap_err();
                assert!(error.contains(name) && error.contains(&place), "{error}");
                assert!(error.contains(&other), "{error}");
            }
        }
        let error = verify(&bytes[..90], &manifest).unwrap_err();
        assert!(
            error.contains("has 10 bytes, the manifest says 20"),
            "{error}"
        );
    }
}
