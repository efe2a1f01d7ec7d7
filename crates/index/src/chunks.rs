//! The hashes of all chunks of the store images, by which stage 1 checks what it fetches.

use alloc::vec::Vec;

use crate::{Image, ParseError, Reason};

/// The path of the list of chunks in an initrd of layout `fetch`, without the leading slash.
pub const CHUNKS_PATH: &str = "storeboot/chunks";
/// The first line of every list of chunks: the format's name and version.
pub const CHUNKS_HEADER: &str = "storeboot-chunks 1";
/// The size of a chunk in bytes. The last chunk of an image may be shorter.
pub const CHUNK_SIZE: u64 = 1 << 20;
/// The most chunks that all images may have together: 1 TiB.
pub const MAX_CHUNKS: usize = 1 << 20;

/// The number of chunks of an image of `size` bytes.
#[must_use]
pub const fn chunk_count(size: u64) -> u64 {
    size.div_ceil(CHUNK_SIZE)
}

/// The SHA-256 of each chunk of each image.
///
/// The list's form is [`CHUNKS_HEADER`], a line feed, and the hashes, 32 bytes each: first those of image 0 in the
/// order of their offsets, then those of image 1, and so on.
///
/// ```
/// use storeboot_index::{CHUNK_SIZE, Chunks, Image};
/// let image = Image {
///     path: "images/0.squashfs".into(),
///     size: CHUNK_SIZE + 1,
///     offset: None,
///     sha256: [0; 32],
///     superblock: [0; 96],
///     verity: None,
///     hot: None,
/// };
/// let chunks = Chunks::new(vec![vec![[1; 32], [2; 32]]]);
/// assert_eq!(Chunks::parse(&chunks.to_bytes(), &[image])?, chunks);
/// # Ok::<(), storeboot_index::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks(Vec<Vec<[u8; 32]>>);

impl Chunks {
    /// The hashes of each image's chunks.
    #[must_use]
    pub const fn new(images: Vec<Vec<[u8; 32]>>) -> Self {
        Self(images)
    }

    /// The hashes of each image's chunks, in the order of the images and of the chunks.
    #[must_use]
    pub fn images(&self) -> &[Vec<[u8; 32]>] {
        &self.0
    }

    /// The list as a file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::from(CHUNKS_HEADER);
        bytes.push(b'\n');
        for hash in self.0.iter().flatten() {
            bytes.extend_from_slice(hash);
        }
        bytes
    }

    /// Checks that this list has one hash for each chunk of the images, and not too many. Call it before you write the
    /// list.
    pub fn check(&self, images: &[Image]) -> Result<(), Reason> {
        let counts = counts(images)?;
        let has = self.0.iter().map(Vec::len);
        if has.eq(counts) {
            Ok(())
        } else {
            Err(Reason::ChunkCount)
        }
    }

    /// Parses a list that has one hash for each chunk of these images.
    pub fn parse(bytes: &[u8], images: &[Image]) -> Result<Self, ParseError> {
        let whole = |reason| ParseError { line: 0, reason };
        let hashes = bytes
            .strip_prefix(CHUNKS_HEADER.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"\n"))
            .ok_or(whole(Reason::NoChunksHeader))?;
        let counts = counts(images).map_err(whole)?;
        let (hashes, rest) = hashes.as_chunks::<32>();
        let expected: usize = counts.iter().sum();
        if !rest.is_empty() || hashes.len() != expected {
            return Err(whole(Reason::ChunkCount));
        }
        let mut rest = hashes;
        let mut take = |count| {
            let (taken, left) = rest.split_at(count);
            rest = left;
            taken.to_vec()
        };
        Ok(Self(counts.into_iter().map(&mut take).collect()))
    }
}

/// The number of chunks of each image.
fn counts(images: &[Image]) -> Result<Vec<usize>, Reason> {
    let mut left = MAX_CHUNKS;
    let count = |image: &Image| {
        let count = usize::try_from(chunk_count(image.size)).map_err(|_| Reason::TooManyChunks)?;
        left = left.checked_sub(count).ok_or(Reason::TooManyChunks)?;
        Ok(count)
    };
    images.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn image(size: u64) -> Image {
        Image {
            path: "images/0.squashfs".into(),
            size,
            offset: None,
            sha256: [0; 32],
            superblock: [0; 96],
            verity: None,
            hot: None,
        }
    }

    fn reason(bytes: &[u8], images: &[Image]) -> Reason {
        Chunks::parse(bytes, images).unwrap_err().reason
    }

    #[test]
    fn a_list_must_fit_the_images() {
        let images = [image(CHUNK_SIZE), image(2 * CHUNK_SIZE + 1)];
        let chunks = Chunks::new(vec![vec![[1; 32]], vec![[2; 32]; 3]]);
        assert_eq!(chunks.check(&images), Ok(()));
        let bytes = chunks.to_bytes();
        assert_eq!(Chunks::parse(&bytes, &images), Ok(chunks.clone()));
        assert_eq!(
            reason(&bytes[..bytes.len() - 1], &images),
            Reason::ChunkCount
        );
        assert_eq!(
            reason(&bytes[..bytes.len() - 32], &images),
            Reason::ChunkCount
        );
        assert_eq!(reason(&bytes, &images[..1]), Reason::ChunkCount);
        assert_eq!(chunks.check(&images[..1]), Err(Reason::ChunkCount));
        assert_eq!(reason(&bytes[1..], &images), Reason::NoChunksHeader);
        assert_eq!(reason(&bytes, &[image(u64::MAX)]), Reason::TooManyChunks);
        let most = MAX_CHUNKS as u64 * CHUNK_SIZE;
        assert_eq!(
            reason(&bytes, &[image(most), image(1)]),
            Reason::TooManyChunks
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 0..4 * CHUNK_SIZE) {
            let _ = Chunks::parse(&bytes, &[image(size)]);
            let with_header = [CHUNKS_HEADER.as_bytes(), b"\n", &bytes].concat();
            let _ = Chunks::parse(&with_header, &[image(size)]);
        }
    }
}
