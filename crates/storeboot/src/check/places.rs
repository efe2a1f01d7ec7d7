//! Checks where a manifest says that segments and store images lie.
//!
//! They follow each other, so that a reading of the initrd is enough for all of them.

use storeboot_index::MAX_IMAGES;

use crate::manifest::{FileEntry, FileKind, Image, Manifest, Segment, SegmentKind};

/// Checks that the segments lie in the initrd one behind the other, and that each image lies in one of the store's or is
/// a file of the directory.
pub(super) fn check(manifest: &Manifest, initrd: &FileEntry) -> Result<(), String> {
    let mut end = 0;
    for segment in &manifest.segments {
        end = behind(end, segment.offset, segment.size).ok_or_else(|| {
            format!(
                "the {} segment at byte {} does not lie behind the one before it",
                segment.kind, segment.offset
            )
        })?;
    }
    if end > initrd.size {
        return Err(format!(
            "its segments end at byte {end} of the initrd, which has {} bytes",
            initrd.size
        ));
    }
    let count = manifest.images.len();
    if count > MAX_IMAGES {
        return Err(format!(
            "it names {count} store images, and stage 1 takes {MAX_IMAGES}"
        ));
    }
    let mut end = 0;
    for image in &manifest.images {
        match image.offset {
            None => check_beside(image, &manifest.files)?,
            Some(offset) => {
                end = behind(end, offset, image.size)
                    .filter(|&end| is_stored(&manifest.segments, offset, end))
                    .ok_or_else(|| {
                        format!(
                            "the store image {:?} at byte {offset} does not lie in a segment of the store, behind the \
                             one before it",
                            image.path
                        )
                    })?;
            }
        }
    }
    Ok(())
}

/// Where something ends that begins here and has this size, if it lies behind what ends at `end`.
fn behind(end: u64, begin: u64, size: u64) -> Option<u64> {
    begin.checked_add(size).filter(|_| begin >= end)
}

/// Whether these bytes lie in one segment of the store.
fn is_stored(segments: &[Segment], begin: u64, end: u64) -> bool {
    let mut stored = segments
        .iter()
        .filter(|segment| segment.kind == SegmentKind::Store);
    stored.any(|segment| begin >= segment.offset && end <= segment.offset + segment.size)
}

/// Checks that an image is a file of the directory, of which the manifest says only one thing.
fn check_beside(image: &Image, files: &[FileEntry]) -> Result<(), String> {
    let mut files = files.iter();
    let is_its = |file: &&FileEntry| file.kind == FileKind::Image && file.name == image.path;
    match files.find(is_its) {
        None => Err(format!(
            "it does not name the file of the store image {:?}",
            image.path
        )),
        Some(file) if (file.size, &file.sha256) != (image.size, &image.sha256) => Err(format!(
            "it says another size or SHA-256 of the store image {:?} than of its file",
            image.path
        )),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What the manifest says of an initrd of 100 bytes with these segments and images, and an image beside it.
    fn check(segments: &[(&str, u64, u64)], images: &[Value]) -> Result<(), String> {
        let segments: Vec<Value> = segments
            .iter()
            .map(|(kind, offset, size)| {
                json!({ "kind": kind, "offset": offset, "size": size, "sha256": "" })
            })
            .collect();
        let file = json!({ "name": "beside", "kind": "image", "size": 5, "sha256": "ab" });
        let manifest = json!({
            "schema": 1, "layout": "in-place", "init": "/i", "commandLine": "init=/i", "memory": 0,
            "kernel": { "file": "bzImage", "version": "6.12", "architecture": "x86_64" },
            "closure": { "paths": 0, "narSize": 0 }, "files": [file],
            "segments": segments, "images": images,
        });
        let initrd = json!({ "name": "initrd", "kind": "initrd", "size": 100, "sha256": "" });
        let manifest = Manifest::from_json(&manifest.to_string()).unwrap();
        super::check(&manifest, &serde_json::from_value(initrd).unwrap())
    }

    fn image(path: &str, offset: Option<u64>, size: u64, sha256: &str) -> Value {
        json!({ "path": path, "offset": offset, "size": size, "sha256": sha256, "compression": "zstd" })
    }

    fn inside(offset: u64, size: u64) -> Value {
        image("inside", Some(offset), size, "")
    }

    const SOUND: [(&str, u64, u64); 4] = [
        ("stage-1", 0, 10),
        ("store", 10, 30),
        ("index", 40, 0),
        ("store", 50, 50),
    ];

    #[test]
    fn segments_follow_each_other_and_end_with_the_initrd() {
        check(&[], &[]).unwrap();
        check(&SOUND, &[]).unwrap();
        for (segment, complaint) in [
            (
                ("store", 99, 1),
                "the store segment at byte 99 does not lie behind",
            ),
            (
                ("index", 0, 1),
                "the index segment at byte 0 does not lie behind",
            ),
            (
                ("store", 100, u64::MAX),
                "the store segment at byte 100 does not",
            ),
            (
                ("store", 100, 1),
                "end at byte 101 of the initrd, which has 100 bytes",
            ),
        ] {
            let error = check(&[&SOUND[..], &[segment]].concat(), &[]).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn images_lie_in_segments_of_the_store_and_follow_each_other() {
        let sound = [inside(12, 8), inside(20, 20), inside(50, 50)];
        check(&SOUND, &sound).unwrap();
        for wrong in [
            inside(99, 1),
            inside(20, 5),
            inside(100, 0),
            inside(100, u64::MAX),
        ] {
            let images = [&sound[..], &[wrong]].concat();
            let error = check(&SOUND[..3], &images).unwrap_err();
            assert!(
                error.contains("does not lie in a segment of the store"),
                "{error}"
            );
        }
        for wrong in [inside(0, 5), inside(5, 10), inside(35, 10), inside(40, 1)] {
            let error = check(&SOUND, &[wrong]).unwrap_err();
            assert!(
                error.contains("does not lie in a segment of the store"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_image_beside_the_initrd_is_its_file() {
        let beside = image("beside", None, 5, "ab");
        // Two layers may have equal images.
        check(&[], &[beside.clone(), beside]).unwrap();
        for (wrong, complaint) in [
            (image("beside", None, 6, "ab"), "another size or SHA-256"),
            (image("beside", None, 5, "cd"), "another size or SHA-256"),
            (image("other", None, 5, "ab"), "does not name the file"),
        ] {
            let error = check(&[], &[wrong]).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn there_are_not_more_images_than_stage_1_takes() {
        let images = vec![image("beside", None, 5, "ab"); MAX_IMAGES + 1];
        check(&[], &images[1..]).unwrap();
        let error = check(&[], &images).unwrap_err();
        assert!(error.contains("129 store images"), "{error}");
    }
}
