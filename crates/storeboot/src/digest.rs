//! SHA-256 of what is written or read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use storeboot_index::CHUNK_SIZE;

use crate::Cancel;

/// Passes bytes on, and counts and hashes them.
pub(crate) struct HashWriter<W> {
    inner: W,
    hasher: Sha256,
    count: u64,
}

impl<W: Write> HashWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            count: 0,
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The inner writer, how many bytes there were, and their hash.
    pub(crate) fn finish(self) -> (W, u64, [u8; 32]) {
        (self.inner, self.count, self.hasher.finalize().into())
    }
}

impl<W: Write> Write for HashWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Size and hash of a file.
pub(crate) fn of_file(path: &Path, cancel: &Cancel) -> io::Result<(u64, [u8; 32])> {
    of_reader(cancel.watch(File::open(path)?))
}

/// Size and hash of the rest of a reader, and the hash of each of its chunks.
pub(crate) fn of_reader_and_chunks(
    reader: impl Read,
) -> io::Result<(u64, [u8; 32], Vec<[u8; 32]>)> {
    let mut hasher = ImageHasher::with_chunks();
    copy(reader, &mut hasher)?;
    Ok(hasher.finish())
}

/// Size and hash of the rest of a reader.
pub(crate) fn of_reader(reader: impl Read) -> io::Result<(u64, [u8; 32])> {
    let mut writer = HashWriter::new(io::sink());
    copy(reader, &mut writer)?;
    let (_, size, sha256) = writer.finish();
    Ok((size, sha256))
}

/// Writes all that is left of a reader.
pub(crate) fn copy(mut reader: impl Read, writer: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => writer.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Hashes all of what is written, and each chunk where that is wanted.
pub(crate) struct ImageHasher {
    whole: HashWriter<io::Sink>,
    chunks: Option<ChunkHasher>,
}

impl ImageHasher {
    pub(crate) fn new() -> Self {
        Self {
            whole: HashWriter::new(io::sink()),
            chunks: None,
        }
    }

    pub(crate) fn with_chunks() -> Self {
        Self {
            chunks: Some(ChunkHasher::default()),
            ..Self::new()
        }
    }

    /// Bytes so far.
    pub(crate) fn count(&self) -> u64 {
        self.whole.count()
    }

    /// How many bytes there were, their hash, and the hash of each chunk.
    pub(crate) fn finish(self) -> (u64, [u8; 32], Vec<[u8; 32]>) {
        let chunks = self.chunks.map_or_else(Vec::new, ChunkHasher::finish);
        let (_, count, sha256) = self.whole.finish();
        (count, sha256, chunks)
    }
}

impl Write for ImageHasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match &mut self.chunks {
            Some(chunks) => chunks.write(bytes)?,
            None => bytes.len(),
        };
        self.whole.write(&bytes[..count])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes each chunk of what is written.
#[derive(Default)]
struct ChunkHasher {
    hasher: Sha256,
    /// Bytes of the chunk so far.
    filled: u64,
    hashes: Vec<[u8; 32]>,
}

impl ChunkHasher {
    fn end_chunk(&mut self) {
        self.hashes.push(self.hasher.finalize_reset().into());
        self.filled = 0;
    }

    fn finish(mut self) -> Vec<[u8; 32]> {
        if self.filled > 0 {
            self.end_chunk();
        }
        self.hashes
    }
}

impl Write for ChunkHasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(CHUNK_SIZE - self.filled).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        self.hasher.update(bytes);
        self.filled += bytes.len() as u64;
        if self.filled == CHUNK_SIZE {
            self.end_chunk();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// 64 hexadecimal digits.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    HEXLOWER.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chunk_has_its_hash() {
        let chunk = CHUNK_SIZE as usize;
        for size in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk + 5] {
            let content: Vec<u8> = (0..size).map(|at| (at / 1000) as u8).collect();
            let (found_size, whole, chunks) = of_reader_and_chunks(&content[..]).expect("readable");
            let expected: Vec<[u8; 32]> = content
                .chunks(chunk)
                .map(|chunk| Sha256::digest(chunk).into())
                .collect();
            assert_eq!(chunks, expected, "{size}");
            assert_eq!(found_size, size as u64);
            assert_eq!(whole, <[u8; 32]>::from(Sha256::digest(&content)));
        }
    }
}
