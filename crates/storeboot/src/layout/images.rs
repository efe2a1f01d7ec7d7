//! Store images, packed into the scratch folder.

use std::fs::{self, File};
use std::io::{BufWriter, Read};
use std::path::PathBuf;

use storeboot_squashfs::{Compression, Options};

use super::Packer;
use crate::{Error, digest};

/// A store image that goes into an initrd.
pub(crate) struct PackedImage {
    pub(crate) file: PathBuf,
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) superblock: [u8; storeboot_index::SUPERBLOCK_LEN],
    pub(crate) compression: Compression,
}

/// Packs the whole closure.
pub(crate) fn pack(packer: &Packer<'_>) -> Result<Vec<PackedImage>, Error> {
    let options = Options {
        compression: packer.compression.unwrap_or_default(),
        block_size: packer.block_size,
        jobs: packer.jobs,
        ..Options::default()
    };
    let path = packer.scratch.join("0.squashfs");
    let file = File::create_new(&path).map_err(Error::write(&path))?;
    let out = BufWriter::with_capacity(1 << 20, file);
    packer.store.write_image(out, &options, packer.progress)?;

    let (size, sha256) = digest::of_file(&path).map_err(Error::read(&path))?;
    let mut superblock = [0; storeboot_index::SUPERBLOCK_LEN];
    File::open(&path)
        .and_then(|mut file| file.read_exact(&mut superblock))
        .map_err(Error::read(&path))?;
    Ok(vec![PackedImage {
        file: path,
        size,
        sha256,
        superblock,
        compression: options.compression,
    }])
}

impl PackedImage {
    pub(crate) fn open(&self) -> Result<File, Error> {
        File::open(&self.file).map_err(Error::read(&self.file))
    }

    /// Frees the disk once the image is in the initrd.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        fs::remove_file(&self.file).map_err(Error::write(&self.file))
    }

    pub(crate) fn index(&self, path: String, offset: Option<u64>) -> storeboot_index::Image {
        storeboot_index::Image {
            path,
            size: self.size,
            offset,
            sha256: self.sha256,
            superblock: self.superblock,
        }
    }

    pub(crate) fn manifest(&self, path: String, offset: u64) -> crate::manifest::Image {
        crate::manifest::Image {
            path,
            offset,
            size: self.size,
            sha256: digest::hex(&self.sha256),
            compression: self.compression.to_string(),
        }
    }
}
