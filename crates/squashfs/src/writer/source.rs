//! A file that is being read.

use std::io::{ErrorKind, Read};

use crate::Error;

/// A file that is being read, for the messages about it.
pub(crate) struct Source<'a> {
    /// Names the file.
    pub(crate) name: &'a dyn Fn() -> String,
    pub(crate) size: u64,
}

impl Source<'_> {
    pub(crate) fn error(&self, source: std::io::Error) -> Error {
        Error::Read {
            name: (self.name)(),
            source,
        }
    }

    fn size_changed(&self, found: u64) -> Error {
        Error::SizeChanged {
            name: (self.name)(),
            expected: self.size,
            found,
        }
    }

    /// Reads exactly `length` bytes, the file's bytes from `done` on, into the emptied buffer.
    pub(crate) fn fill(
        &self,
        content: &mut impl Read,
        buffer: &mut Vec<u8>,
        done: u64,
        length: usize,
    ) -> Result<(), Error> {
        buffer.resize(length, 0);
        let mut filled = 0;
        while filled < length {
            match content.read(&mut buffer[filled..]) {
                Ok(0) => return Err(self.size_changed(done + filled as u64)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error)),
            }
        }
        Ok(())
    }

    /// Makes sure that nothing follows.
    pub(crate) fn at_end(&self, content: &mut impl Read) -> Result<(), Error> {
        match content.read_exact(&mut [0]) {
            Ok(()) => Err(self.size_changed(self.size + 1)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(self.error(error)),
        }
    }
}
