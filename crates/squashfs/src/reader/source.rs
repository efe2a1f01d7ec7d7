//! Reads from the file that holds an image.

use std::io::{self, Read, Seek, SeekFrom};

use super::ReadError;

/// Reads bytes of the image, and none after its end.
pub(super) struct Source<R> {
    inner: R,
    /// Where the image starts.
    start: u64,
    /// Bytes of the image.
    length: u64,
}

impl<R: Read + Seek> Source<R> {
    /// The image that starts at `start`. Until [`Self::limit`] it ends where the file ends.
    pub(super) fn new(mut inner: R, start: u64) -> Result<Self, ReadError> {
        let end = inner
            .seek(SeekFrom::End(0))
            .map_err(|source| ReadError::Io { offset: 0, source })?;
        Ok(Self {
            inner,
            start,
            length: end.saturating_sub(start),
        })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Makes the image end after `length` bytes.
    pub(super) fn limit(&mut self, length: u64) -> Result<(), ReadError> {
        if length > self.length {
            return Err(ReadError::CutOff {
                expected: length,
                found: self.length,
            });
        }
        self.length = length;
        Ok(())
    }

    pub(super) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(ReadError::damaged(
                offset,
                format!(
                    "{} bytes should be here, but the image ends at byte {}",
                    buffer.len(),
                    self.length
                ),
            ));
        }
        let from = self.start.checked_add(offset);
        from.ok_or_else(|| io::Error::other("the offset is out of range"))
            .and_then(|from| self.inner.seek(SeekFrom::Start(from)))
            .and_then(|_| self.inner.read_exact(buffer))
            .map_err(|source| ReadError::Io { offset, source })
    }

    pub(super) fn read_u64(&mut self, offset: u64) -> Result<u64, ReadError> {
        let mut bytes = [0; 8];
        self.read(offset, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}
