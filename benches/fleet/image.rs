//! The image that all fetch.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use storeboot_benches::noise;
use storeboot_tests::fetch_client::chunk_hashes;

/// Where the image is in its folder.
pub const PATH: &str = "images/image.squashfs";
/// Where the hashes of its chunks are.
const HASHES: &str = "hashes";

/// What a client knows of the image.
pub struct Image {
    pub size: u64,
    pub hashes: Vec<[u8; 32]>,
}

impl Image {
    /// Writes an image of noise to a folder, and returns it with the sum of its bytes.
    pub fn make(folder: &Path, mib: u32) -> Result<(Self, u64)> {
        let bytes = noise(u64::from(mib) << 18);
        let image = Self {
            size: bytes.len() as u64,
            hashes: chunk_hashes(&bytes),
        };
        fs::create_dir_all(folder.join("images")).with_context(|| folder.display().to_string())?;
        fs::write(folder.join(PATH), &bytes)?;
        fs::write(folder.join(HASHES), image.hashes.concat())?;
        Ok((image, sum(0, &bytes)))
    }

    /// Reads what [`Self::make`] wrote.
    pub fn open(folder: &Path) -> Result<Self> {
        let hashes = fs::read(folder.join(HASHES)).context("the hashes")?;
        let (hashes, _) = hashes.as_chunks::<32>();
        Ok(Self {
            size: fs::metadata(folder.join(PATH)).context("the image")?.len(),
            hashes: hashes.to_vec(),
        })
    }
}

/// A sum over bytes at an offset of the image. The sums of all chunks, added, are that of the image, in any order.
pub fn sum(offset: u64, bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    let place = (offset / 8..).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    words.iter().zip(place).fold(0, |sum: u64, (word, place)| {
        sum.wrapping_add(u64::from_le_bytes(*word).wrapping_mul(place))
    })
}
