//! Reading at any place of a file.

use crate::sys::{Errno, Fd};

/// A file, or a test's stand-in for one.
pub(crate) trait ReadAt {
    /// Reads from `offset` on, and returns how many bytes. It may be fewer than asked for; 0 is the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno>;

    /// Reads until the buffer is full or the file ends, and returns how many bytes. The kernel gives one page of the
    /// retained initrd at a time.
    fn read_full(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], offset + filled as u64)? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }
}

impl ReadAt for Fd {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        Self::read_at(self, buffer, offset)
    }
}

/// For tests: bytes that are read in small pieces, as from sysfs.
#[cfg(test)]
pub(crate) struct InPieces<'a>(pub &'a [u8], pub usize);

#[cfg(test)]
impl ReadAt for InPieces<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let from = usize::try_from(offset).unwrap().min(self.0.len());
        let len = buffer.len().min(self.0.len() - from).min(self.1);
        buffer[..len].copy_from_slice(&self.0[from..from + len]);
        Ok(len)
    }
}
