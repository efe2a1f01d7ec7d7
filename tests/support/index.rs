//! The index in the initrd of a netboot directory.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use storeboot::manifest::{Manifest, SegmentKind};
use storeboot_cpio::Reader;
use storeboot_index::{INDEX_PATH, Index};

/// Reads the index of the netboot directory `folder`.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn index(folder: &Path, manifest: &Manifest) -> Index {
    let mut segments = manifest.segments.iter();
    let segment = segments.find(|segment| segment.kind == SegmentKind::Index);
    let segment = segment.expect("a segment with the index");
    let mut archive = vec![0; segment.size as usize];
    let initrd = File::open(folder.join("initrd")).expect("an initrd");
    let read = initrd.read_exact_at(&mut archive, segment.offset);
    read.expect("a segment");
    let mut reader = Reader::new(&archive[..]);
    while let Some(mut entry) = reader.next_entry().expect("an archive") {
        if entry.name() == INDEX_PATH.as_bytes() {
            let mut text = Vec::new();
            entry.read_to_end(&mut text).expect("a member");
            return Index::parse(&text).expect("an index");
        }
    }
    panic!("there is no index")
}
