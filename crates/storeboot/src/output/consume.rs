//! Reads a file for the last time and frees its disk space at the same time, so that a copy does not need as much
//! again.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

/// Space is freed in steps of this many bytes.
const STEP: u64 = 4 << 20;

/// Reads a file from its beginning.
#[derive(Debug)]
pub(crate) struct ConsumingReader {
    file: File,
    /// How many bytes were read, and how many of them take no space any more.
    read: u64,
    freed: u64,
    /// Whether space is freed. Where the file system cannot do that, the file is only read.
    frees: bool,
}

impl ConsumingReader {
    /// Frees the file's space, unless the file has another name.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let frees = file.metadata()?.nlink() == 1;
        Ok(Self::new(file, frees))
    }

    /// Only reads the file.
    pub(crate) fn keep(path: &Path) -> io::Result<Self> {
        Ok(Self::new(File::open(path)?, false))
    }

    fn new(file: File, frees: bool) -> Self {
        Self {
            file,
            read: 0,
            freed: 0,
            frees,
        }
    }
}

impl Read for ConsumingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        if self.frees && self.read - self.freed >= STEP {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let length = self.read - self.freed;
            self.frees = fallocate(&self.file, flags, self.freed, length).is_ok();
            self.freed = self.read;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn content() -> Vec<u8> {
        (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn what_is_read_takes_no_space_any_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, content()).expect("a file");
        let mut reader = ConsumingReader::open(&path).expect("it is there");
        let mut read = Vec::new();
        reader.read_to_end(&mut read).expect("it can be read");
        assert!(read == content());
        let metadata = fs::metadata(&path).expect("it is there");
        assert_eq!(metadata.len(), read.len() as u64);
        // A file system that cannot free space keeps all of it.
        assert_eq!(reader.frees, metadata.blocks() * 512 <= STEP);
    }

    #[test]
    fn what_has_another_name_or_is_to_be_kept_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, other] = ["file", "other"].map(|name| folder.path().join(name));
        fs::write(&path, content()).expect("a file");
        io::copy(
            &mut ConsumingReader::keep(&path).expect("it is there"),
            &mut io::sink(),
        )
        .expect("read");
        assert!(fs::read(&path).expect("it is there") == content());
        fs::hard_link(&path, &other).expect("a link");
        io::copy(
            &mut ConsumingReader::open(&path).expect("it is there"),
            &mut io::sink(),
        )
        .expect("read");
        assert!(fs::read(&other).expect("it is there") == content());
    }
}
