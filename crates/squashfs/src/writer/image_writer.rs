//! Takes the entries of a tree in the order of a walk.

use std::io::{Read, Seek, Write};

use super::image::Image;
use super::intake::Intake;
use super::pipeline::Pipeline;
use super::step::{Node, Step};
use crate::format::{MAX_BLOCK_SIZE, MIN_BLOCK_SIZE, NAME_MAX, SYMLINK_MAX, inode};
use crate::{Error, Options, Piece, Reread, Summary};

/// Writes an image to `W`, which must be able to seek back to the image's start.
///
/// Entries come in the order of a walk: a directory is entered, its entries are added, it is left.
/// The bytes depend on the entries, their order and [`Options`], but not on the pool and the cache.
///
/// Dropping a writer, as after an error, leaves an image that is not complete, and waits for nothing: blocks that no
/// thread has begun to compress are given up.
///
/// ```
/// use std::io::Cursor;
/// use storeboot_squashfs::{ImageWriter, Options};
///
/// let mut image = ImageWriter::new(Cursor::new(Vec::new()), &Options::default())?;
/// image.enter_directory(b"bin", 0o555)?;
/// image.file(b"hello", 0o555, 5, Cursor::new(b"hello"))?;
/// image.symlink(b"hi", b"hello")?;
/// image.leave_directory()?;
/// let (bytes, summary) = image.finish()?;
/// assert_eq!(summary.inodes, 4);
/// assert_eq!(bytes.into_inner().len() as u64, summary.image_size);
/// # Ok::<(), storeboot_squashfs::Error>(())
/// ```
pub struct ImageWriter<W: Write + Seek> {
    intake: Intake,
    pipeline: Pipeline<Step>,
    image: Image<W>,
}

impl<W: Write + Seek> ImageWriter<W> {
    /// Starts an image at the current position of `out`.
    ///
    /// # Errors
    /// When the block size is not one that squashfs has, the codec was left out, threads cannot be started, or `out`
    /// cannot be written.
    pub fn new(out: W, options: &Options) -> Result<Self, Error> {
        let block_size = options.block_size;
        if !block_size.is_power_of_two() || !(MIN_BLOCK_SIZE..=MAX_BLOCK_SIZE).contains(&block_size)
        {
            return Err(Error::BlockSize(block_size));
        }
        Ok(Self {
            intake: Intake::new(block_size as usize),
            pipeline: Pipeline::new(options)?,
            image: Image::new(out, options)?,
        })
    }

    /// Adds a directory; what follows is in it until [`Self::leave_directory`].
    ///
    /// # Errors
    /// When squashfs cannot hold the name, or compressing or writing an earlier entry failed.
    pub fn enter_directory(&mut self, name: &[u8], mode: u16) -> Result<(), Error> {
        self.check_name(name)?;
        self.intake.begin(&mut self.pipeline);
        self.intake.enter(name);
        self.add(Step::Enter(Node::new(name, mode, inode::DIRECTORY)))
    }

    /// Leaves the directory entered last.
    ///
    /// # Errors
    /// [`Error::Nesting`] in the root, [`Error::Duplicate`] if a name was added twice, and as above.
    pub fn leave_directory(&mut self) -> Result<(), Error> {
        self.intake.leave()?;
        self.add(Step::Leave)
    }

    /// Adds a file of `size` bytes. Reads `content` to its end before it returns, and reads parts of it a second time
    /// only if the image has a file with the same size and first block that differs later.
    ///
    /// # Errors
    /// When `content` cannot be read or has another size, and as above.
    pub fn file(
        &mut self,
        name: &[u8],
        mode: u16,
        size: u64,
        content: impl Read + Seek,
    ) -> Result<(), Error> {
        self.file_and_pieces(name, mode, size, content, &mut Vec::new())
    }

    /// Adds a file as [`Self::file`] does, and fills `pieces` for [`Self::known_file`]: one for each block, the last of
    /// which may be shorter, and none if the file is empty.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn file_and_pieces(
        &mut self,
        name: &[u8],
        mode: u16,
        size: u64,
        mut content: impl Read + Seek,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), Error> {
        self.check_name(name)?;
        self.intake.begin(&mut self.pipeline);
        let content = self.intake.read(
            name,
            size,
            &mut content,
            pieces,
            &mut self.pipeline,
            &mut self.image,
        )?;
        self.add(Step::File(Node::new(name, mode, inode::FILE), content))
    }

    /// Adds a file by its pieces, as [`Self::file_and_pieces`] found them for an image with the same block size. Calls
    /// `reread` only for the pieces whose blocks [`Options::cache`] lacks, and checks their hashes.
    ///
    /// ```
    /// use std::io::Cursor;
    /// use std::sync::Arc;
    /// use storeboot_squashfs::{ImageWriter, Options};
    ///
    /// let text = b"a text that does not change";
    /// let mut pieces = Vec::new();
    /// let mut image = ImageWriter::new(Cursor::new(Vec::new()), &Options::default())?;
    /// image.file_and_pieces(b"text", 0o444, text.len() as u64, Cursor::new(text), &mut pieces)?;
    /// let (first, _) = image.finish()?;
    ///
    /// let mut image = ImageWriter::new(Cursor::new(Vec::new()), &Options::default())?;
    /// let reread = Arc::new(|offset: u64, buffer: &mut [u8]| {
    ///     buffer.copy_from_slice(&text[offset as usize..][..buffer.len()]);
    ///     Ok(())
    /// });
    /// image.known_file(b"text", 0o444, text.len() as u64, &pieces, reread)?;
    /// let (second, _) = image.finish()?;
    /// assert_eq!(first.into_inner(), second.into_inner());
    /// # Ok::<(), storeboot_squashfs::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Pieces`] if there are too few or too many for its size; later, [`Error::Changed`] if a piece that was
    /// read has another hash, and [`Error::Read`]; and as [`Self::file`].
    pub fn known_file(
        &mut self,
        name: &[u8],
        mode: u16,
        size: u64,
        pieces: &[Piece],
        reread: Reread,
    ) -> Result<(), Error> {
        self.check_name(name)?;
        self.intake.begin(&mut self.pipeline);
        let content = self.intake.known(
            name,
            size,
            pieces,
            &reread,
            &mut self.pipeline,
            &mut self.image,
        )?;
        self.add(Step::File(Node::new(name, mode, inode::FILE), content))
    }

    /// Stores the content of a file before its entry, so that what is read together lies together: contents that are
    /// stored ahead lie in this order, and share no block with others. Add the file as usual later on; the image has its
    /// content once. `name` is for messages only.
    ///
    /// If the file is larger than a block, `tail` tells whether its last bytes, which do not fill a block, are to be
    /// stored ahead as well.
    ///
    /// ```
    /// use std::io::Cursor;
    /// use storeboot_squashfs::{ImageWriter, Options};
    ///
    /// let mut image = ImageWriter::new(Cursor::new(Vec::new()), &Options::default())?;
    /// image.content_ahead(b"needed first", 5, Cursor::new(b"hello"), true)?;
    /// image.finish_ahead()?;
    /// image.file(b"a", 0o444, 4, Cursor::new(b"rest"))?;
    /// image.file(b"needed first", 0o444, 5, Cursor::new(b"hello"))?;
    /// let (_, summary) = image.finish()?;
    /// assert_eq!((summary.content_size, summary.duplicate_size), (9, 0));
    /// # Ok::<(), storeboot_squashfs::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::file`]; and [`Error::Nesting`] where a directory was entered and not left.
    pub fn content_ahead(
        &mut self,
        name: &[u8],
        size: u64,
        mut content: impl Read + Seek,
        tail: bool,
    ) -> Result<(), Error> {
        if self.intake.is_nested() {
            return Err(Error::Nesting);
        }
        self.intake.read_ahead(
            name,
            size,
            &mut content,
            tail,
            &mut self.pipeline,
            &mut self.image,
        )?;
        self.image.write_ready(&mut self.pipeline)
    }

    /// Ends the blocks of what was stored ahead; [`Summary::ahead_size`] tells where they end. More may be stored ahead
    /// later, in blocks of their own.
    ///
    /// # Errors
    /// When compressing or writing an earlier entry failed.
    pub fn finish_ahead(&mut self) -> Result<(), Error> {
        self.intake.finish_ahead(&mut self.pipeline);
        self.image.write_ready(&mut self.pipeline)
    }

    /// Adds a symbolic link, mode 0777.
    ///
    /// # Errors
    /// When the target is empty or over 4095 bytes, and as above.
    pub fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        self.check_name(name)?;
        if target.is_empty() || target.len() > SYMLINK_MAX {
            return Err(Error::SymlinkTarget {
                name: self.intake.path(name),
                length: target.len(),
            });
        }
        self.intake.begin(&mut self.pipeline);
        let node = Node::new(name, 0o777, inode::SYMLINK);
        self.add(Step::Symlink(node, target.into()))
    }

    /// Bytes of file content added so far, for a progress display.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        self.intake.content_size
    }

    /// The most bytes that the image would have if it ended here and the open directories were left.
    ///
    /// Waits until everything added so far is compressed, so call it seldom. The answer does not depend on the number
    /// of threads.
    ///
    /// # Errors
    /// When compressing or writing an earlier entry failed.
    pub fn settled_size(&mut self) -> Result<u64, Error> {
        self.image.write_all(&mut self.pipeline)?;
        Ok(self.image.size_bound(self.intake.pending()))
    }

    /// Writes what is left and the tables; returns `W`, positioned after the image.
    ///
    /// # Errors
    /// [`Error::Nesting`] if a directory was not left, and as above.
    pub fn finish(mut self) -> Result<(W, Summary), Error> {
        self.intake.finish(&mut self.pipeline)?;
        self.image.write_all(&mut self.pipeline)?;
        let (out, mut summary) = self.image.finish()?;
        summary.content_size = self.intake.content_size;
        summary.duplicate_size = self.intake.duplicate_size();
        Ok((out, summary))
    }

    fn add(&mut self, step: Step) -> Result<(), Error> {
        self.pipeline.push(step);
        self.image.write_ready(&mut self.pipeline)
    }

    fn check_name(&self, name: &[u8]) -> Result<(), Error> {
        let sound = (1..=NAME_MAX).contains(&name.len())
            && !name.contains(&b'/')
            && !name.contains(&0)
            && name != b"."
            && name != b"..";
        if sound {
            Ok(())
        } else {
            Err(Error::Name {
                name: self.intake.path(name),
            })
        }
    }
}
