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
/// The bytes depend on the entries, their order and [`Options`] without `jobs`, and on nothing else.
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
    /// Begins an image at the place where `out` stands.
    ///
    /// # Errors
    /// Where the block size is none, threads cannot be started, or `out` cannot be written.
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
    /// Where squashfs cannot hold the name, or writing what came before failed.
    pub fn enter_directory(&mut self, name: &[u8], mode: u16) -> Result<(), Error> {
        self.check_name(name)?;
        self.intake.begin(&mut self.pipeline);
        self.intake.enter(name);
        self.add(Step::Enter(Node::new(name, mode, inode::DIRECTORY)))
    }

    /// Leaves the directory entered last.
    ///
    /// # Errors
    /// [`Error::Nesting`] in the root, [`Error::Duplicate`] where a name was added twice, and as above.
    pub fn leave_directory(&mut self) -> Result<(), Error> {
        self.intake.leave()?;
        self.add(Step::Leave)
    }

    /// Adds a file of `size` bytes. `content` is read once, at once and to its end; back to its beginning
    /// only where a file of the same size and first block turns out to differ further on.
    ///
    /// # Errors
    /// Where `content` cannot be read or has another size, and as above.
    pub fn file(
        &mut self,
        name: &[u8],
        mode: u16,
        size: u64,
        content: impl Read + Seek,
    ) -> Result<(), Error> {
        self.file_and_pieces(name, mode, size, content, &mut Vec::new())
    }

    /// As [`Self::file`]; `pieces` becomes what [`Self::known_file`] wants to know of it: a piece for each block, the last of
    /// which may be shorter, and none where the file is empty.
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

    /// Adds a file whose pieces another image of the same block size told: only those that [`Options::cache`] does not have
    /// are read, by `reread`, and compared with what is known of them.
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
    /// [`Error::Pieces`] where there are too few or too many for its size; later, [`Error::Changed`] where a piece that had
    /// to be read was not what is known of it, and [`Error::Read`]; and as [`Self::file`].
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

    /// Adds a symbolic link, mode 0777.
    ///
    /// # Errors
    /// Where the target is empty or over 4095 bytes, and as above.
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

    /// Bytes of file content taken in so far, for a progress display.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        self.intake.content_size
    }

    /// Bytes that the image would have at most if it ended here, the directories that are open being left.
    ///
    /// Waits until everything added so far is compressed; asked seldom, it costs nothing worth the name. The answer
    /// does not depend on the number of threads.
    ///
    /// # Errors
    /// Where compressing or writing what came before failed.
    pub fn settled_size(&mut self) -> Result<u64, Error> {
        self.image.write_all(&mut self.pipeline)?;
        Ok(self.image.size_bound(self.intake.pending()))
    }

    /// Writes what is left and the tables; returns `W` standing behind the image.
    ///
    /// # Errors
    /// [`Error::Nesting`] where a directory was not left, and as above.
    pub fn finish(mut self) -> Result<(W, Summary), Error> {
        self.intake.finish(&mut self.pipeline)?;
        self.image.write_all(&mut self.pipeline)?;
        let (out, mut summary) = self.image.finish()?;
        summary.content_size = self.intake.content_size;
        summary.duplicate_size = self.intake.duplicate_size;
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
