//! Compares what the index tells stage 1 with the manifest and with the images.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use storeboot_cpio::Reader;
use storeboot_index::{CHUNK_SIZE, CHUNKS_PATH, Chunks, INDEX_PATH, Index, MAX_CHUNKS, MAX_TEXT};

use crate::digest::hex;
use crate::manifest::{Manifest, SegmentKind, Verity};
use crate::{Error, Layout};

/// The longest segment of the index that is read: both of its files, and as much again for what is around them.
const SEGMENT_MAX: u64 = 2 * (MAX_TEXT + 32 * MAX_CHUNKS) as u64;

/// Whether stage 1 goes by what the index tells of images.
pub(super) fn is_used_at_boot(manifest: &Manifest) -> bool {
    manifest.layout == Layout::Fetch || !manifest.images.is_empty()
}

/// Checks that stage 1 will take the images of the manifest. In layout `fetch`, `found` has the hashes of each image's
/// chunks, by the image's name.
pub(super) fn verify(
    initrd: &Path,
    manifest: &Manifest,
    found: &BTreeMap<&String, Vec<[u8; 32]>>,
) -> Result<(), Error> {
    let fault = |reason: String| Error::Fault {
        path: initrd.into(),
        reason,
    };
    let (index, chunks) = read(initrd, manifest)?.map_err(fault)?;
    let told = index.images.iter().map(|image| {
        let verity = image.verity.as_ref().map(Verity::of_index);
        let sha256 = hex(&image.sha256);
        (&image.path, image.size, sha256, verity, image.hot)
    });
    let expected = manifest.images.iter().map(|image| {
        let verity = image.verity.clone();
        let sha256 = image.sha256.clone();
        (&image.path, image.size, sha256, verity, image.hot_size)
    });
    if !told.eq(expected) {
        return Err(fault(
            "its index names other store images than the manifest".into(),
        ));
    }
    if manifest.layout != Layout::Fetch {
        return Ok(());
    }
    let chunks = Chunks::parse(&chunks, &index.images)
        .map_err(|error| fault(format!("its list of chunks: {error}")))?;
    for (image, chunks) in index.images.iter().zip(chunks.images()) {
        let Some(found) = found.get(&image.path) else {
            return Err(fault(format!(
                "its index names {}, which is no file of the manifest",
                image.path
            )));
        };
        if let Some(number) =
            (0..chunks.len().max(found.len())).find(|&at| chunks.get(at) != found.get(at))
        {
            return Err(fault(format!(
                "stage 1 would refuse {} at byte {}: the hash of the chunk there is another one in the initrd",
                image.path,
                number as u64 * CHUNK_SIZE
            )));
        }
    }
    Ok(())
}

/// Reads the index, and the list of chunks as a file, from the segment that has them; the inner error says what is wrong
/// with it.
fn read(initrd: &Path, manifest: &Manifest) -> Result<Result<(Index, Vec<u8>), String>, Error> {
    let mut segments = manifest.segments.iter().rev();
    let Some(segment) = segments.find(|segment| segment.kind == SegmentKind::Index) else {
        return Ok(Err("the manifest names no segment with an index".into()));
    };
    let mut file = File::open(initrd).map_err(Error::read(initrd))?;
    file.seek(SeekFrom::Start(segment.offset))
        .map_err(Error::read(initrd))?;
    Ok(parse(file.take(segment.size.min(SEGMENT_MAX))))
}

fn parse(segment: impl Read) -> Result<(Index, Vec<u8>), String> {
    let mut reader = Reader::new(segment);
    let [mut index, mut chunks] = [const { Vec::new() }; 2];
    while let Some(mut entry) = reader.next_entry().map_err(|error| error.to_string())? {
        let target = match entry.name() {
            name if name == INDEX_PATH.as_bytes() => &mut index,
            name if name == CHUNKS_PATH.as_bytes() => &mut chunks,
            _ => continue,
        };
        target.clear();
        entry
            .read_to_end(target)
            .map_err(|error| error.to_string())?;
    }
    let index = Index::parse(&index).map_err(|error| format!("its index: {error}"))?;
    Ok((index, chunks))
}
