//! Cuts a store into several images, where one would be larger than allowed.
//!
//! A cut lies between store paths where it can. A store path that is too large for one image is cut between its files:
//! it is then a directory in two images, and stage 1's overlay merges them. The cuts depend on the content alone: room
//! is reckoned with uncompressed sizes, and when those would not fit, the writer waits until everything so far is
//! compressed and measures.

use std::io::{Read, Seek, Write};

use storeboot_closure::PathInfo;
use storeboot_squashfs::{ImageWriter, Options, Piece, Reread, Summary};

use crate::profile::hot::HotFiles;
use crate::store::walk::{self, OpenFile, Sink};
use crate::{Cancel, Error};

/// What an inode, a directory entry and their share of the tables take at most, the name aside.
const ENTRY: u64 = 512;
/// What the tables of an image need besides.
const SLACK: u64 = 1 << 20;

/// What an entry takes in an image at most. A file's inode lists its blocks, four bytes each.
fn most_of(name: &[u8], size: u64, block_size: u32) -> u64 {
    let list = size.div_ceil(block_size.into()).saturating_mul(4);
    size.saturating_add(list)
        .saturating_add(ENTRY + name.len() as u64)
}

/// Where images go, one after the other.
pub(crate) trait Images {
    type Out: Write + Seek;
    /// The place of the next image.
    fn next(&mut self) -> Result<Self::Out, Error>;
    /// Takes an image that is complete.
    fn done(&mut self, out: Self::Out, summary: Summary) -> Result<(), Error>;
}

/// Fills images up to a limit.
pub(crate) struct SplitSink<'a, I: Images> {
    images: &'a mut I,
    options: &'a Options,
    /// Largest image in bytes.
    limit: u64,
    block_size: u32,
    cancel: &'a Cancel,
    /// Files that come before all others of their image.
    hot: &'a HotFiles,
    /// The number of the next store path, and of the first one whose files of `hot` are not in the image yet.
    next: usize,
    stored_until: usize,
    writer: Option<ImageWriter<I::Out>>,
    directories: Vec<Vec<u8>>,
    /// Bytes of the current image at most: as measured last, and as added since.
    settled: u64,
    since: u64,
    /// Content of the images that are complete.
    finished_content: u64,
    /// A file that may alone be too large for an image.
    oversized: Option<String>,
}

impl<'a, I: Images> SplitSink<'a, I> {
    pub(crate) fn new(
        images: &'a mut I,
        options: &'a Options,
        (limit, block_size): (u64, u32),
        hot: &'a HotFiles,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            images,
            options,
            limit,
            block_size,
            cancel,
            hot,
            next: 0,
            stored_until: 0,
            writer: None,
            directories: Vec::new(),
            settled: 0,
            since: 0,
            finished_content: 0,
            oversized: None,
        }
    }

    /// Bytes of file content so far.
    pub(crate) fn content_size(&self) -> u64 {
        self.finished_content + self.writer.as_ref().map_or(0, ImageWriter::content_size)
    }

    /// Adds a file; `pieces` becomes what it is made of.
    pub(crate) fn content(
        &mut self,
        name: &[u8],
        mode: u16,
        size: u64,
        content: impl Read + Seek,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), Error> {
        self.reserve(name, size)?;
        let content = self.cancel.watch(content);
        self.writer()?
            .file_and_pieces(name, mode, size, content, pieces)
            .map_err(image_error)
    }

    /// Adds a file whose pieces are known.
    pub(crate) fn known(
        &mut self,
        name: &[u8],
        mode: u16,
        size: u64,
        pieces: &[Piece],
        reread: Reread,
    ) -> Result<(), Error> {
        self.reserve(name, size)?;
        self.writer()?
            .known_file(name, mode, size, pieces, reread)
            .map_err(image_error)
    }

    /// Completes the last image.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        // A store without any file is one empty image.
        self.writer()?;
        self.complete()
    }

    fn writer(&mut self) -> Result<&mut ImageWriter<I::Out>, Error> {
        if self.writer.is_none() {
            let out = self.images.next()?;
            let mut writer = ImageWriter::new(out, self.options).map_err(image_error)?;
            for name in &self.directories {
                writer
                    .enter_directory(name, walk::DIRECTORY)
                    .map_err(image_error)?;
            }
            self.writer = Some(writer);
        }
        // It was put there just now.
        self.writer
            .as_mut()
            .ok_or_else(|| Error::Inconsistent("there is no image".into()))
    }

    /// Whether this many more bytes, uncompressed, surely fit into the current image.
    fn fits(&mut self, bytes: u64) -> Result<bool, Error> {
        let room =
            |used: u64, limit: u64| used.saturating_add(bytes).saturating_add(SLACK) <= limit;
        if room(self.settled + self.since, self.limit) {
            return Ok(true);
        }
        let settled = self.writer()?.settled_size().map_err(image_error)?;
        self.settled = settled;
        self.since = 0;
        Ok(room(settled, self.limit))
    }

    /// Stores the hot files of this store path and of those that surely get into the same image, unless that was done.
    fn store_ahead(&mut self) -> Result<(), Error> {
        if self.next < self.stored_until || self.hot.files().is_empty() {
            return Ok(());
        }
        let mut end = self.surely_in_image();
        if end == self.next {
            // There may be more room than reckoned.
            self.settled = self.writer()?.settled_size().map_err(image_error)?;
            self.since = 0;
            end = self.surely_in_image();
        }
        let hot = self.hot;
        for file in hot.files() {
            if !(self.next..end).contains(&file.store_path) {
                continue;
            }
            let read = |error| Error::read(&file.file)(error);
            let (content, _) = walk::open(&file.file).map_err(read)?;
            let content = self.cancel.watch(content);
            self.since = self.since.saturating_add(file.size);
            self.writer()?
                .content_ahead(&file.name, file.size, content, file.tail)
                .map_err(image_error)?;
        }
        self.writer()?.finish_ahead().map_err(image_error)?;
        self.stored_until = end.max(self.next + 1);
        Ok(())
    }

    /// The number of the first store path from the next one on that may not fit into this image, by the sizes of those
    /// before it, with their hot files counted twice.
    fn surely_in_image(&self) -> usize {
        let used = self.settled.saturating_add(self.since);
        let mut room = self.limit.saturating_sub(used).saturating_sub(2 * SLACK);
        let mut end = self.next;
        for size in self.hot.sizes_from(end) {
            match room.checked_sub(size) {
                Some(left) => room = left,
                None => break,
            }
            end += 1;
        }
        end
    }

    /// Makes room for one entry; counts it.
    fn reserve(&mut self, name: &[u8], size: u64) -> Result<(), Error> {
        let bytes = most_of(name, size, self.block_size);
        if !self.fits(bytes)? {
            self.complete()?;
            if bytes.saturating_add(SLACK) > self.limit && self.oversized.is_none() {
                let names: Vec<&[u8]> = self.directories.iter().map(Vec::as_slice).collect();
                let path = [names.join(&b'/'), name.to_vec()].join(&b'/');
                self.oversized = Some(String::from_utf8_lossy(&path).into_owned());
            }
        }
        self.since = self.since.saturating_add(bytes);
        Ok(())
    }

    /// Completes the current image; whatever comes next goes into another, in the same directory.
    fn complete(&mut self) -> Result<(), Error> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        for _ in &self.directories {
            writer.leave_directory().map_err(image_error)?;
        }
        self.finished_content += writer.content_size();
        // Reset here and not when the next image begins: its first file is counted before that.
        self.stored_until = self.next;
        self.settled = 0;
        self.since = self.directories.len() as u64 * ENTRY;
        let (out, summary) = writer.finish().map_err(image_error)?;
        let (size, limit) = (summary.image_size, self.limit);
        if size > limit {
            return Err(match self.oversized.take() {
                Some(name) => Error::FileOverLimit { name, size, limit },
                None => Error::Inconsistent(format!(
                    "a store image has {size} bytes and may have {limit}"
                )),
            });
        }
        self.oversized = None;
        self.images.done(out, summary)
    }
}

impl<I: Images> Sink for SplitSink<'_, I> {
    /// Begins another image where the path fits into that and not into this one. A NAR is larger than what an image
    /// takes for it.
    fn begin(&mut self, info: &PathInfo) -> Result<(), Error> {
        let nar_size = info.nar_size.unwrap_or_default();
        if !self.fits(nar_size)? && nar_size.saturating_add(SLACK) <= self.limit {
            self.complete()?;
        }
        self.store_ahead()?;
        self.next += 1;
        Ok(())
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), Error> {
        self.reserve(name, 0)?;
        self.writer()?
            .enter_directory(name, walk::DIRECTORY)
            .map_err(image_error)?;
        self.directories.push(name.to_vec());
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Error> {
        self.directories.pop();
        self.writer()?.leave_directory().map_err(image_error)
    }

    fn file(&mut self, name: &[u8], file: OpenFile) -> Result<(), Error> {
        let mode = file.mode();
        self.content(name, mode, file.size, file.file, &mut Vec::new())
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        self.reserve(name, target.len() as u64)?;
        self.writer()?.symlink(name, target).map_err(image_error)
    }
}

pub(crate) fn image_error(source: storeboot_squashfs::Error) -> Error {
    Error::Image {
        image: "the store image".into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_a_files_blocks_counts() {
        let size = 4 << 30;
        assert!(most_of(b"a", size, 4096) > size + (4 << 20));
        assert!(most_of(b"a", size, 1 << 20) < size + (1 << 20));
        assert_eq!(most_of(b"", u64::MAX, 4096), u64::MAX);
    }
}
