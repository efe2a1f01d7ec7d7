//! Hashes a store image before it is mounted.

use alloc::vec;

use sha2::{Digest, Sha256};

use crate::read_at::ReadAt;
use crate::sys::Errno;

/// The SHA-256 of `size` bytes from `offset` on, or up to the end of the file.
pub(crate) fn verify(file: &impl ReadAt, offset: u64, size: u64) -> Result<[u8; 32], Errno> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut done = 0;
    while done < size {
        let want = usize::try_from(size - done).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        match file.read_at(&mut buffer[..want], offset + done)? {
            0 => break,
            n => {
                hash.update(&buffer[..n]);
                done += n as u64;
            }
        }
    }
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_at::InPieces;

    #[test]
    fn exactly_the_image_is_hashed() {
        let whole: std::vec::Vec<u8> = (0..200_000_u32).map(|i| i as u8).collect();
        let file = InPieces(&whole, 4096);
        let expected: [u8; 32] = Sha256::digest(&whole[5..150_005]).into();
        assert_eq!(verify(&file, 5, 150_000), Ok(expected));
        assert_ne!(verify(&file, 5, 150_001), Ok(expected));
        assert_ne!(verify(&file, 4, 150_000), Ok(expected));
        let empty: [u8; 32] = Sha256::digest([]).into();
        assert_eq!(verify(&file, 999_999, 10), Ok(empty), "past the end");
    }
}
