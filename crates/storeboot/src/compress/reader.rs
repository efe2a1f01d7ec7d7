//! Decompresses a segment as a stream.

use std::io::{self, BufRead, Read};

use super::lz4::Lz4Reader;
use super::{Codec, MAX_WINDOW_LOG};

/// Bytes of memory that decompressing xz may take: the dictionary of the highest preset, and more.
const XZ_MEMORY: u64 = 256 << 20;

/// A [`Read`] that unpacks what a [`SegmentWriter`](super::SegmentWriter) or a command line tool packed.
///
/// It reads one gzip member, one xz stream, one zstd frame or one LZ4 legacy frame and leaves the reader behind it
/// where that ends (behind the four zero bytes that end an LZ4 frame), so that the segments of an initrd can be read
/// one after the other. A zstd window over 2^27 bytes, which the kernel would not unpack either, is an error.
///
/// ```
/// use std::io::Read;
/// use storeboot::compress::{Codec, SegmentReader};
///
/// let packed = zstd::bulk::compress(b"segment", 3)?;
/// let mut text = String::new();
/// SegmentReader::new(&packed[..], Codec::Zstd)?.read_to_string(&mut text)?;
/// assert_eq!(text, "segment");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct SegmentReader<R: BufRead> {
    decoder: Decoder<R>,
}

enum Decoder<R: BufRead> {
    Gzip(flate2::bufread::GzDecoder<R>),
    Xz(liblzma::bufread::XzDecoder<R>),
    Zstd(zstd::stream::read::Decoder<'static, R>),
    Lz4(Lz4Reader<R>),
}

impl<R: BufRead> SegmentReader<R> {
    /// Starts to unpack at the reader's position.
    ///
    /// # Errors
    /// When the decoder cannot be set up, or the first bytes of an LZ4 frame are not there.
    pub fn new(inner: R, codec: Codec) -> io::Result<Self> {
        let decoder = match codec {
            Codec::Gzip => Decoder::Gzip(flate2::bufread::GzDecoder::new(inner)),
            Codec::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0)?;
                Decoder::Xz(liblzma::bufread::XzDecoder::new_stream(inner, stream))
            }
            Codec::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(inner)?.single_frame();
                decoder.window_log_max(MAX_WINDOW_LOG.into())?;
                Decoder::Zstd(decoder)
            }
            Codec::Lz4 => Decoder::Lz4(Lz4Reader::new(inner)?),
        };
        Ok(Self { decoder })
    }

    /// The reader; behind what was packed when everything has been read.
    pub fn into_inner(self) -> R {
        match self.decoder {
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Xz(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.finish(),
            Decoder::Lz4(decoder) => decoder.into_inner(),
        }
    }
}

impl<R: BufRead> Read for SegmentReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Xz(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
            Decoder::Lz4(decoder) => decoder.read(buffer),
        }
    }
}
