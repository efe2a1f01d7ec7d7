//! SHA-256 of what is written or read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

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

    /// How many bytes there were, and their hash.
    pub(crate) fn finish(self) -> (u64, [u8; 32]) {
        (self.count, self.hasher.finalize().into())
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

/// Size and hash of the rest of a reader.
pub(crate) fn of_reader(mut reader: impl Read) -> io::Result<(u64, [u8; 32])> {
    let mut writer = HashWriter::new(io::sink());
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(writer.finish()),
            Ok(count) => writer.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// 64 hexadecimal digits.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    HEXLOWER.encode(digest)
}
