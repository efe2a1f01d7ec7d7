//! Unpacks a block with the codec that the superblock names.

use std::io;

#[cfg(feature = "gzip")]
use flate2::{Decompress, FlushDecompress};
#[cfg(feature = "xz")]
use liblzma::stream::{Action, Stream};

use super::ReadError;
use crate::format::compressor;

/// Most memory that unpacking xz may take; the kernel takes a dictionary of a block, 1 MiB, and no more.
#[cfg(feature = "xz")]
const XZ_MEMORY: u64 = 16 << 20;

/// Unpacks blocks one after the other.
pub(super) enum Unpacker {
    #[cfg(feature = "gzip")]
    Gzip(Decompress),
    #[cfg(feature = "xz")]
    Xz,
    #[cfg(feature = "lz4")]
    Lz4,
    #[cfg(feature = "zstd")]
    Zstd(zstd::bulk::Decompressor<'static>),
}

impl Unpacker {
    /// For the superblock's compressor.
    pub(super) fn new(id: u16) -> Result<Self, ReadError> {
        let name = match id {
            #[cfg(feature = "gzip")]
            compressor::GZIP => return Ok(Self::Gzip(Decompress::new(true))),
            #[cfg(feature = "xz")]
            compressor::XZ => return Ok(Self::Xz),
            #[cfg(feature = "lz4")]
            compressor::LZ4 => return Ok(Self::Lz4),
            #[cfg(feature = "zstd")]
            compressor::ZSTD => {
                let decompressor = zstd::bulk::Decompressor::new();
                return decompressor
                    .map(Self::Zstd)
                    .map_err(|source| ReadError::Io { offset: 0, source });
            }
            #[cfg(not(feature = "gzip"))]
            compressor::GZIP => return Err(ReadError::CodecLeftOut { name: "gzip" }),
            #[cfg(not(feature = "xz"))]
            compressor::XZ => return Err(ReadError::CodecLeftOut { name: "xz" }),
            #[cfg(not(feature = "lz4"))]
            compressor::LZ4 => return Err(ReadError::CodecLeftOut { name: "lz4" }),
            #[cfg(not(feature = "zstd"))]
            compressor::ZSTD => return Err(ReadError::CodecLeftOut { name: "zstd" }),
            2 => "lzma".into(),
            3 => "lzo".into(),
            other => format!("compressor number {other}"),
        };
        Err(ReadError::Compressor { name })
    }

    /// Unpacks `input` to at most `most` bytes, in `output`, whose old content is dropped.
    pub(super) fn unpack(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        most: usize,
    ) -> io::Result<()> {
        output.clear();
        // The decoders take the vector's capacity as the limit, so it has to be close to it.
        if output.capacity() < most {
            output.reserve_exact(most);
        }
        self.decode(input, output, most)?;
        match output.len() {
            0 => Err(invalid("it unpacks to nothing")),
            length if length > most => Err(invalid("it unpacks to more than it may")),
            _ => Ok(()),
        }
    }

    /// Fills `output`, which has room for `most` bytes.
    #[cfg_attr(not(feature = "lz4"), allow(unused_variables))]
    #[cfg_attr(
        not(any(feature = "gzip", feature = "xz", feature = "lz4", feature = "zstd")),
        allow(clippy::ptr_arg, unreachable_code)
    )]
    fn decode(&mut self, input: &[u8], output: &mut Vec<u8>, most: usize) -> io::Result<()> {
        match *self {
            #[cfg(feature = "gzip")]
            Self::Gzip(ref mut inflate) => {
                inflate.reset(true);
                let status = inflate.decompress_vec(input, output, FlushDecompress::Finish)?;
                ended(status == flate2::Status::StreamEnd)?;
            }
            #[cfg(feature = "xz")]
            Self::Xz => {
                let mut stream = Stream::new_stream_decoder(XZ_MEMORY, 0)?;
                let status = stream.process_vec(input, output, Action::Finish)?;
                ended(status == liblzma::stream::Status::StreamEnd)?;
            }
            #[cfg(feature = "lz4")]
            Self::Lz4 => {
                output.resize(most, 0);
                let size = i32::try_from(most).map_err(io::Error::other)?;
                let length = lz4::block::decompress_to_buffer(input, Some(size), output)?;
                output.truncate(length);
            }
            #[cfg(feature = "zstd")]
            Self::Zstd(ref mut decompressor) => {
                decompressor.decompress_to_buffer(input, output)?;
            }
        }
        Ok(())
    }
}

#[cfg(any(feature = "gzip", feature = "xz"))]
fn ended(ended: bool) -> io::Result<()> {
    match ended {
        true => Ok(()),
        false => Err(invalid("it unpacks to more than it may, or is cut off")),
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
