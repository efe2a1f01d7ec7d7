//! One compressed block in, one block out.

use std::io;

use flate2::{Decompress, FlushDecompress};
use liblzma::stream::{Action, Stream};

use super::ReadError;
use crate::format::compressor;

/// Most memory that unpacking xz may take; the kernel takes a dictionary of a block, 1 MiB, and no more.
const XZ_MEMORY: u64 = 16 << 20;

/// Unpacks blocks one after the other.
pub(super) enum Unpacker {
    Gzip(Decompress),
    Xz,
    Lz4,
    Zstd(zstd::bulk::Decompressor<'static>),
}

impl Unpacker {
    /// For the superblock's compressor.
    pub(super) fn new(id: u16) -> Result<Self, ReadError> {
        let name = match id {
            compressor::GZIP => return Ok(Self::Gzip(Decompress::new(true))),
            compressor::XZ => return Ok(Self::Xz),
            compressor::LZ4 => return Ok(Self::Lz4),
            compressor::ZSTD => {
                let decompressor = zstd::bulk::Decompressor::new();
                return decompressor
                    .map(Self::Zstd)
                    .map_err(|source| ReadError::Io { offset: 0, source });
            }
            2 => "lzma".into(),
            3 => "lzo".into(),
            other => format!("compressor number {other}"),
        };
        Err(ReadError::Compressor { name })
    }

    /// Unpacks `input` to at most `most` bytes, in `output`, whose old content goes.
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
        match self {
            Self::Gzip(inflate) => {
                inflate.reset(true);
                let status = inflate.decompress_vec(input, output, FlushDecompress::Finish)?;
                ended(status == flate2::Status::StreamEnd)?;
            }
            Self::Xz => {
                let mut stream = Stream::new_stream_decoder(XZ_MEMORY, 0)?;
                let status = stream.process_vec(input, output, Action::Finish)?;
                ended(status == liblzma::stream::Status::StreamEnd)?;
            }
            Self::Lz4 => {
                output.resize(most, 0);
                let size = i32::try_from(most).map_err(io::Error::other)?;
                let length = lz4::block::decompress_to_buffer(input, Some(size), output)?;
                output.truncate(length);
            }
            Self::Zstd(decompressor) => {
                decompressor.decompress_to_buffer(input, output)?;
            }
        }
        match output.len() {
            0 => Err(invalid("it unpacks to nothing")),
            length if length > most => Err(invalid("it unpacks to more than it may")),
            _ => Ok(()),
        }
    }
}

fn ended(is: bool) -> io::Result<()> {
    match is {
        true => Ok(()),
        false => Err(invalid("it unpacks to more than it may, or is cut off")),
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
