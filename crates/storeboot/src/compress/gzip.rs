//! gzip, fed in pieces of one size.
//!
//! What zlib-rs writes depends on how its input is cut into pieces, at level 1 at least. The caller's write sizes must
//! not show in the bytes.

use std::io::{self, Write};

use flate2::write::GzEncoder;

const PIECE: usize = 1 << 16;

pub(super) struct GzipWriter<W: Write> {
    encoder: GzEncoder<W>,
    piece: Vec<u8>,
}

impl<W: Write> GzipWriter<W> {
    pub(super) fn new(inner: W, level: u8) -> Self {
        Self {
            encoder: GzEncoder::new(inner, flate2::Compression::new(level.into())),
            piece: Vec::with_capacity(PIECE),
        }
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.encoder.write_all(&self.piece)?;
        self.encoder.finish()
    }

    pub(super) fn get_ref(&self) -> &W {
        self.encoder.get_ref()
    }

    pub(super) fn get_mut(&mut self) -> &mut W {
        self.encoder.get_mut()
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.encoder.write_all(&self.piece)?;
            self.piece.clear();
        }
        let length = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.get_mut().flush()
    }
}
