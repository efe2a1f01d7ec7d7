//! Writes the segments of an initrd as files of their own, named by their content. An unchanged segment keeps its name,
//! so mirrors and caches keep it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::path::Path;

use crate::Error;
use crate::digest::{self, hex};
use crate::manifest::{FileEntry, FileKind, Segment};
use crate::output;

/// The folder of the segments in a netboot directory.
pub(crate) const FOLDER: &str = "segments";

/// Cuts `initrd` at the beginnings of its segments, which are on pages; the zeros between segments go with the one
/// before.
pub(crate) fn write(folder: &Path, segments: &[Segment]) -> Result<Vec<FileEntry>, Error> {
    let path = folder.join("initrd");
    let read = |error| Error::read(&path)(error);
    let mut initrd = File::open(&path).map_err(read)?;
    let end = initrd.metadata().map_err(read)?.len();
    let inside = folder.join(FOLDER);
    output::create_folder(&inside).map_err(Error::write(&inside))?;
    let ends = segments.iter().skip(1).map(|next| next.offset).chain([end]);
    let mut files: Vec<FileEntry> = Vec::with_capacity(segments.len());
    for (segment, end) in segments.iter().zip(ends) {
        let size = end - segment.offset;
        let (_, sha256) = range(&mut initrd, segment.offset, size)
            .and_then(digest::of_reader)
            .map_err(read)?;
        let name = hex(&sha256)[..32].to_owned();
        let target = inside.join(&name);
        // Two equal segments are one file.
        if !target.exists() {
            range(&mut initrd, segment.offset, size)
                .and_then(|mut bytes| {
                    let mut file = output::create(&target)?;
                    // By `copy_file_range`: where the file system can, both have the same blocks, as segments begin on
                    // pages.
                    io::copy(&mut bytes, &mut file)?;
                    file.sync_all()
                })
                .map_err(Error::write(&target))?;
        }
        files.push(FileEntry {
            name: format!("{FOLDER}/{name}"),
            kind: FileKind::Segment,
            size,
            sha256: hex(&sha256),
        });
    }
    Ok(files)
}

fn range(file: &mut File, offset: u64, size: u64) -> io::Result<Take<&mut File>> {
    file.seek(SeekFrom::Start(offset))?;
    Ok(file.take(size))
}
