//! The files that the images are fetched to, in memory or on a disk.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};
use storeboot_fetch::{CHUNK_SIZE, Sink};
use storeboot_index::Image;

use crate::read_at::ReadAt;
use crate::sys::{self, Errno, Fd};
use crate::write_at::write_all_at;

/// A file for each image.
pub(super) struct Files(pub Vec<Fd>);

impl Files {
    /// Empty files in memory, without a name: nothing shows up in the booted system, and each is there as long as its
    /// loop device is.
    pub(super) fn in_memory(images: &[Image]) -> Result<Self, Errno> {
        images
            .iter()
            .map(|image| {
                let file = sys::create_in_memory(c"storeboot store image")?;
                file.set_size(image.size)?;
                Ok(file)
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Sink for Files {
    type Error = Errno;

    fn keep(&mut self, image: usize, offset: u64, chunk: &[u8]) -> Result<(), Errno> {
        write_all_at(self.0.get(image).ok_or(Errno::EBADF)?, chunk, offset)
    }
}

/// Which chunks of a file are right. Each right one is also handed to `each`, with its offset.
pub(super) fn right_chunks(
    file: &Fd,
    image: &Image,
    hashes: &[[u8; 32]],
    mut each: impl FnMut(u64, &[u8]) -> Result<(), Errno>,
) -> Result<Vec<bool>, Errno> {
    // A chunk's size, which fits.
    let mut buffer = alloc::vec![0; CHUNK_SIZE as usize];
    let mut right = Vec::with_capacity(hashes.len());
    for (number, hash) in (0..).zip(hashes) {
        let offset = number * CHUNK_SIZE;
        let size = image.size.saturating_sub(offset).min(CHUNK_SIZE) as usize;
        let chunk = buffer.get_mut(..size).ok_or(Errno::EINVAL)?;
        // What cannot be read is fetched.
        let is_whole = file.read_full(chunk, offset) == Ok(size);
        let is_right = is_whole && <[u8; 32]>::from(Sha256::digest(&*chunk)) == *hash;
        if is_right {
            each(offset, chunk)?;
        }
        right.push(is_right);
    }
    Ok(right)
}
