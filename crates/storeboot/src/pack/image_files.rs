//! Store images as files of a folder.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use storeboot_index::{MAX_IMAGES, SUPERBLOCK_LEN, Verity};
use storeboot_squashfs::{Compression, Summary};

use super::PackRequest;
use super::image::{self, ImageForm};
use super::split::Images;
use super::verity;
use crate::digest::ImageHasher;
use crate::initrd::PAGE;
use crate::output::consume::ConsumingReader;
use crate::{Context, Error, digest, output};

/// A store image that goes into an initrd.
pub(crate) struct ImageFile {
    pub(crate) file: PathBuf,
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) superblock: [u8; SUPERBLOCK_LEN],
    /// The SHA-256 of each chunk; empty where nobody needs it.
    pub(crate) chunks: Vec<[u8; 32]>,
    /// The tree of dm-verity at its end, where it has one.
    pub(crate) verity: Option<Verity>,
    /// Bytes from its beginning to the end of what a boot profile names, where it was packed by one.
    pub(crate) hot: Option<u64>,
    pub(crate) compression: Compression,
    /// Whether the file may go once the image is in the initrd.
    pub(crate) scratch: bool,
}

/// What is hashed of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hashes {
    /// All of it.
    Whole,
    /// All of it, and each chunk.
    Chunks,
}

/// What is to be done about the tree of dm-verity of an image.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// Nothing.
    Ignored,
    /// It is made, and written behind the image.
    Made,
    /// It is there, and is compared with the image.
    Compared(Verity),
}

/// The largest member of a newc archive in whole pages, which is what an image's size is a multiple of.
pub(crate) const MEMBER_MAX: u64 = (u32::MAX as u64) & !(PAGE - 1);

/// Images that stage 1 fetches while the system runs, at most: the kernel has so many network block devices unless it is
/// told otherwise.
const STREAMED_MAX: usize = 16;

/// Packs the store into as few images as the limit allows. They lie above those of the request.
pub(crate) fn pack(request: PackRequest<'_>) -> Result<Vec<ImageFile>, Error> {
    let form = ImageForm {
        compression: request.compression.unwrap_or_default(),
        block_size: request.block_size,
        export: false,
        limit: match request.verity {
            true => verity::data_limit(request.image_limit),
            false => request.image_limit,
        },
        profile: request.profile,
    };
    let room = Room {
        taken: request.below.len(),
        stream: request.stream,
    };
    room.check(0)?;
    let mut folder = ImageFolder {
        folder: request.scratch,
        room,
        compression: form.compression,
        hashes: request.hashes,
        verity: request.verity,
        profile: request.profile.is_some(),
        context: request.context,
        images: Vec::new(),
    };
    image::write_images(request.store, form, &mut folder, request.context)?;
    let mut images = folder.images;
    images.extend(request.below);
    Ok(images)
}

/// How many images there may be.
struct Room {
    /// Images of layers.
    taken: usize,
    /// Whether the store is fetched while the system runs.
    stream: bool,
}

impl Room {
    /// Checks that there may be so many images beside those of layers.
    fn check(&self, own: usize) -> Result<(), Error> {
        let (limit, error) = match self.stream {
            true => (
                STREAMED_MAX,
                Error::TooManyStreamed {
                    limit: STREAMED_MAX,
                },
            ),
            false => (MAX_IMAGES, Error::TooManyImages { limit: MAX_IMAGES }),
        };
        match self.taken + own > limit {
            true => Err(error),
            false => Ok(()),
        }
    }
}

/// Images as files of the scratch folder.
struct ImageFolder<'a> {
    folder: &'a Path,
    room: Room,
    compression: Compression,
    hashes: Hashes,
    verity: bool,
    /// Whether they are packed by a boot profile.
    profile: bool,
    context: &'a Context<'a>,
    images: Vec<ImageFile>,
}

impl ImageFolder<'_> {
    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.squashfs", self.images.len()))
    }
}

impl Images for ImageFolder<'_> {
    type Out = BufWriter<File>;

    fn next(&mut self) -> Result<Self::Out, Error> {
        // Before the image is packed, and not once all are.
        self.room.check(self.images.len() + 1)?;
        let path = self.path();
        let file = output::create(&path).map_err(Error::write(&path))?;
        Ok(BufWriter::with_capacity(1 << 20, file))
    }

    fn done(&mut self, out: Self::Out, summary: Summary) -> Result<(), Error> {
        let path = self.path();
        drop(
            out.into_inner()
                .map_err(|error| Error::write(&path)(error.into_error()))?,
        );
        let tree = match self.verity {
            true => Tree::Made,
            false => Tree::Ignored,
        };
        // A tree that was made just now is not compared with anything.
        let (image, _) = ImageFile::read(path, self.compression, self.hashes, tree, self.context)?;
        self.images.push(ImageFile {
            hot: self.profile.then_some(summary.ahead_size),
            scratch: true,
            ..image
        });
        Ok(())
    }
}

impl ImageFile {
    /// Reads the size, hashes and superblock of an image that stays where it is. What comes with it says in what its tree
    /// is not that of its data.
    pub(crate) fn read(
        file: PathBuf,
        compression: Compression,
        hashes: Hashes,
        tree: Tree,
        context: &Context<'_>,
    ) -> Result<(Self, Result<(), String>), Error> {
        let mut superblock = [0; SUPERBLOCK_LEN];
        File::open(&file)
            .and_then(|mut file| file.read_exact(&mut superblock))
            .map_err(Error::read(&file))?;
        let mut hasher = match hashes {
            Hashes::Chunks => ImageHasher::with_chunks(),
            Hashes::Whole => ImageHasher::new(),
        };
        let mut compared = Ok(());
        let verity = match tree {
            Tree::Ignored => None,
            Tree::Made => {
                let salt = verity::salt(&superblock);
                Some(verity::append(&file, salt, &mut hasher, context)?)
            }
            Tree::Compared(verity) => {
                compared = verity::check(&file, 0, &verity, &mut hasher, context)?;
                Some(verity)
            }
        };
        // What is left: the tree, or all of it.
        File::open(&file)
            .and_then(|mut rest| {
                rest.seek(SeekFrom::Start(hasher.count()))?;
                digest::copy(context.token().watch(rest), &mut hasher)
            })
            .map_err(Error::read(&file))?;
        let (size, sha256, chunks) = hasher.finish();
        let image = Self {
            file,
            size,
            sha256,
            superblock,
            chunks,
            verity,
            hot: None,
            compression,
            scratch: false,
        };
        Ok((image, compared))
    }

    pub(crate) fn open(&self) -> Result<File, Error> {
        File::open(&self.file).map_err(Error::read(&self.file))
    }

    /// A reader for copying it into the initrd. A scratch file gives its disk space back while it is read.
    pub(crate) fn consume(&self) -> Result<ConsumingReader, Error> {
        let drain = match self.scratch {
            true => ConsumingReader::open(&self.file),
            false => ConsumingReader::keep(&self.file),
        };
        drain.map_err(Error::read(&self.file))
    }

    /// Frees the disk once the image is in the initrd.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        if !self.scratch {
            return Ok(());
        }
        fs::remove_file(&self.file).map_err(Error::write(&self.file))
    }

    pub(crate) fn index(&self, path: String, offset: Option<u64>) -> storeboot_index::Image {
        storeboot_index::Image {
            path,
            size: self.size,
            offset,
            sha256: self.sha256,
            superblock: self.superblock,
            verity: self.verity.clone(),
            hot: None,
        }
    }

    pub(crate) fn manifest(&self, path: String, offset: Option<u64>) -> crate::manifest::Image {
        crate::manifest::Image {
            path,
            offset,
            size: self.size,
            sha256: digest::hex(&self.sha256),
            compression: self.compression.to_string(),
            verity: self.verity.as_ref().map(crate::manifest::Verity::of_index),
            hot_size: None,
        }
    }
}
