//! Blocks that were compressed before.

use std::fmt;

use super::codec::Encoder;
use super::piece::Digest;
use crate::{Compression, Error};

/// Keeps compressed blocks from one image to the next. Several writers may share it.
///
/// It must return exactly the bytes that were put: a cache on a disk, which can be damaged, has to check them. It may
/// forget blocks at any time.
pub trait BlockCache: fmt::Debug + Send + Sync {
    /// Replaces the content of `bytes` by the block with this key. Returns `false` if there is none.
    fn get(&self, key: &Digest, bytes: &mut Vec<u8>) -> bool;

    /// Keeps a block. The image is complete even if that fails.
    fn put(&self, key: &Digest, bytes: &[u8]);
}

/// To be changed whenever the same content becomes other bytes for another reason than its compressor.
const CONTEXT: &str = "storeboot-squashfs 2026-11-24: a compressed block";

/// Whether a chunk is a block of one file or a fragment; this goes into its key.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Block = 0,
    Fragment = 1,
}

/// Makes the keys of blocks. They hash everything that the compressed bytes depend on.
pub(crate) struct Keys(blake3::Hasher);

impl Keys {
    pub(crate) fn new(compression: Compression, block_size: u32) -> Result<Self, Error> {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        let text = compression.to_string();
        hasher.update(&[text.len() as u8]).update(text.as_bytes());
        hasher.update(&block_size.to_le_bytes());
        // Another version of the compressor may make other bytes of this sample.
        let sample: Vec<u8> = (0..1u32 << 14)
            .flat_map(|number| (number.wrapping_mul(number) >> (number % 23)).to_le_bytes())
            .collect();
        let mut packed = Vec::new();
        let sample = &sample[..sample.len().min(block_size as usize)];
        Encoder::new(compression, block_size)?.compress(sample, &mut packed)?;
        hasher.update(&zstd::zstd_safe::version_number().to_le_bytes());
        hasher.update(blake3::hash(&packed).as_bytes());
        Ok(Self(hasher))
    }

    pub(crate) fn key(&self, kind: Kind, digests: &[Digest]) -> Digest {
        let mut hasher = self.0.clone();
        hasher.update(&[kind as u8]);
        for digest in digests {
            hasher.update(digest);
        }
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_everything_apart() {
        let keys = |text: &str, block_size| {
            Keys::new(text.parse().expect(text), block_size).expect("a compressor")
        };
        let mut seen = std::collections::HashSet::new();
        for (text, block_size) in [
            ("zstd:3", 4096),
            ("zstd:4", 4096),
            ("zstd:3", 8192),
            ("zstd:5", 4096),
            ("none", 4096),
        ] {
            let keys = keys(text, block_size);
            for kind in [Kind::Block, Kind::Fragment] {
                for digests in [
                    &[[1; 32]][..],
                    &[[2; 32]],
                    &[[1; 32], [2; 32]],
                    &[[2; 32], [1; 32]],
                ] {
                    assert!(
                        seen.insert(keys.key(kind, digests)),
                        "{text} {block_size} {digests:?}"
                    );
                }
            }
        }
        assert!(!seen.insert(keys("zstd:3", 4096).key(Kind::Block, &[[1; 32]])));
    }
}
