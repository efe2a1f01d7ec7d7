//! Compresses a segment as a stream.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use liblzma::stream::{Check, Filters, LzmaOptions, MtStreamBuilder};
use sha2::{Digest, Sha256};
use zstd::zstd_safe::CParameter;

use super::gzip::GzipWriter;
use super::lz4::Lz4Writer;
use super::{Compression, MAX_WINDOW_LOG};

/// Largest xz dictionary. The kernel takes this much memory at boot, and gains little by more.
const XZ_DICTIONARY_MAX: u32 = 16 << 20;
/// Most bytes of input that one zstd thread takes at once. Without it, the windows of levels 20 to 22 would make it 512
/// MiB.
const ZSTD_JOB_MAX: u32 = 128 << 20;
/// The smallest zstd window.
const WINDOW_LOG_MIN: u8 = 10;

/// How a segment is packed.
///
/// ```
/// use storeboot::compress::SegmentOptions;
///
/// let options = SegmentOptions::new("zstd:10".parse()?).long_window(27);
/// assert_eq!(options.compression.to_string(), "zstd:10");
/// # Ok::<(), storeboot::compress::ParseCompressionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentOptions {
    /// The compressor and its level.
    pub compression: Compression,
    /// How many threads compress; gzip always uses one. Never changes the bytes.
    pub threads: NonZeroUsize,
    /// For zstd: look for repetitions over 2^n bytes instead of what the level says. The kernel allocates this much at
    /// boot.
    pub window_log: Option<u8>,
    /// For zstd: about how many bytes will come. The window is chosen for them, and what is not large is packed on one
    /// thread.
    pub content: Option<u64>,
}

impl SegmentOptions {
    /// One thread, the window that belongs to the level.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            threads: NonZeroUsize::MIN,
            window_log: None,
            content: None,
        }
    }

    /// Packs on this many threads.
    #[must_use]
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Tells about how many bytes will come. Only zstd's output depends on it.
    #[must_use]
    pub fn content(self, bytes: u64) -> Self {
        Self {
            content: Some(bytes),
            ..self
        }
    }

    /// Sets the window, from 10 to [`MAX_WINDOW_LOG`]; for zstd only.
    #[must_use]
    pub fn long_window(self, log: u8) -> Self {
        Self {
            window_log: Some(log),
            ..self
        }
    }
}

/// From this many bytes on, [`SegmentOptions::content`] is packed on several threads.
pub(crate) const LARGE_CONTENT: u64 = 16 << 20;
/// What one of these threads takes at once, and what it sees of the content before that, as a power of two.
const LARGE_JOB: u32 = 16 << 20;
const LARGE_OVERLAP_LOG: u32 = 23;

/// The window that content of this size needs and the kernel takes.
fn window_log(content: u64) -> u8 {
    (WINDOW_LOG_MIN..MAX_WINDOW_LOG)
        .find(|&log| content <= 1 << log)
        .unwrap_or(MAX_WINDOW_LOG)
}

/// Bytes that the kernel takes to unpack a segment with so much content, besides what it unpacks.
pub(crate) fn unpacking_memory(compression: Compression, content: u64) -> u64 {
    match compression {
        // All of the frame's window: `lib/decompress_unzstd.c` takes it from the frame's header.
        Compression::Zstd(_) => 1 << window_log(content),
        // The dictionary: `XZ_DYNALLOC` in `lib/decompress_unxz.c`.
        Compression::Xz(level) => xz_dictionary(level.get()).into(),
        // One chunk, unpacked: `LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE` in `lib/decompress_unlz4.c`. The packed one is
        // read where it lies.
        Compression::Lz4(_) => 8 << 20,
        // `lib/decompress_inflate.c` takes less than 100 KiB for gzip. Nothing else is packed here.
        _ => 0,
    }
}

/// The dictionary that a level packs with: that of xz(1)'s preset, as far as the kernel is to take it.
fn xz_dictionary(level: u8) -> u32 {
    match level {
        0 => 256 << 10,
        1 => 1 << 20,
        2 => 2 << 20,
        3 | 4 => 4 << 20,
        5 | 6 => 8 << 20,
        _ => XZ_DICTIONARY_MAX,
    }
}

/// Tells the compressor's library from its other versions, which may write other bytes: by its version number, or by
/// what it makes of a sample where it has none.
pub(crate) fn version(compression: Compression) -> io::Result<u64> {
    match compression {
        Compression::Zstd(_) => Ok(zstd::zstd_safe::version_number().into()),
        Compression::Lz4(_) => Ok(lz4::version().unsigned_abs().into()),
        Compression::None => Ok(0),
        Compression::Xz(_) | Compression::Gzip(_) => {
            let mut writer = SegmentWriter::new(Vec::new(), SegmentOptions::new(compression))?;
            // Holds repetitions near and far, short and long.
            for number in 0..6000_u32 {
                let mixed = number.wrapping_mul(0x9e37_79b1) >> (number % 29);
                write!(writer, "{mixed:x} {} {number},", number * number)?;
            }
            let packed = Sha256::digest(writer.finish()?);
            let mut start = [0; 8];
            start.copy_from_slice(&packed[..8]);
            Ok(u64::from_le_bytes(start))
        }
        other => Err(unknown(other)),
    }
}

/// Bytes of zero to put between a segment of this length and the next one.
///
/// A segment begins on a 4-byte boundary. Behind LZ4 there must be four zero bytes at least: its frame has no end of
/// its own, and the kernel would take the next segment for a block.
///
/// ```
/// use storeboot::compress::zeros_after;
///
/// assert_eq!(zeros_after("zstd:3".parse()?, 101), 3);
/// assert_eq!(zeros_after("lz4:1".parse()?, 101), 7);
/// # Ok::<(), storeboot::compress::ParseCompressionError>(())
/// ```
#[must_use]
pub fn zeros_after(compression: Compression, length: u64) -> u64 {
    let align = length.wrapping_neg() % 4;
    match compression {
        Compression::Lz4(_) => align + 4,
        _ => align,
    }
}

/// A [`Write`] that packs what it is given in a form the kernel unpacks.
///
/// Call [`finish`](Self::finish) at the end. Flushing hands on what is packed so far and packs nothing early: that
/// would change the bytes.
///
/// ```
/// use std::io::Write;
/// use storeboot::compress::{SegmentOptions, SegmentWriter};
///
/// let options = SegmentOptions::new("xz:1".parse()?);
/// let mut writer = SegmentWriter::new(Vec::new(), options)?;
/// writer.write_all(b"a segment")?;
/// let packed = writer.finish()?;
/// assert_eq!(packed[..6], *b"\xfd7zXZ\0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SegmentWriter<W: Write> {
    encoder: Encoder<W>,
}

enum Encoder<W: Write> {
    None(W),
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Xz(liblzma::write::XzEncoder<W>),
    Gzip(GzipWriter<W>),
    Lz4(Lz4Writer<W>),
}

impl<W: Write> SegmentWriter<W> {
    /// Starts a segment.
    ///
    /// # Errors
    /// When the compressor cannot be set up, or the window is out of range or asked of another compressor than zstd.
    pub fn new(inner: W, options: SegmentOptions) -> io::Result<Self> {
        let is_zstd = matches!(options.compression, Compression::Zstd(_));
        match options.window_log {
            Some(_) if !is_zstd => {
                return Err(invalid(format!(
                    "a long window goes with zstd, not with {}",
                    options.compression
                )));
            }
            Some(log) if !(WINDOW_LOG_MIN..=MAX_WINDOW_LOG).contains(&log) => {
                return Err(invalid(format!(
                    "a zstd window of 2^{log} bytes is out of range: the kernel unpacks 2^10 to 2^{MAX_WINDOW_LOG}"
                )));
            }
            _ => {}
        }
        let encoder = match options.compression {
            Compression::None => Encoder::None(inner),
            Compression::Zstd(level) => Encoder::Zstd(zstd_encoder(inner, level.get(), &options)?),
            Compression::Xz(level) => Encoder::Xz(xz_encoder(inner, level.get(), options.threads)?),
            Compression::Gzip(level) => Encoder::Gzip(GzipWriter::new(inner, level.get())),
            Compression::Lz4(level) => {
                Encoder::Lz4(Lz4Writer::new(inner, level.get(), options.threads)?)
            }
            other => return Err(unknown(other)),
        };
        Ok(Self { encoder })
    }

    /// Packs what is left and returns the writer behind.
    ///
    /// # Errors
    /// When packing or writing fails.
    pub fn finish(self) -> io::Result<W> {
        match self.encoder {
            Encoder::None(inner) => Ok(inner),
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Xz(encoder) => encoder.finish(),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Lz4(encoder) => encoder.finish(),
        }
    }

    /// The writer behind.
    pub fn get_ref(&self) -> &W {
        match &self.encoder {
            Encoder::None(inner) => inner,
            Encoder::Zstd(encoder) => encoder.get_ref(),
            Encoder::Xz(encoder) => encoder.get_ref(),
            Encoder::Gzip(encoder) => encoder.get_ref(),
            Encoder::Lz4(encoder) => encoder.get_ref(),
        }
    }

    fn get_mut(&mut self) -> &mut W {
        match &mut self.encoder {
            Encoder::None(inner) => inner,
            Encoder::Zstd(encoder) => encoder.get_mut(),
            Encoder::Xz(encoder) => encoder.get_mut(),
            Encoder::Gzip(encoder) => encoder.get_mut(),
            Encoder::Lz4(encoder) => encoder.get_mut(),
        }
    }
}

impl<W: Write> Write for SegmentWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.encoder {
            Encoder::None(inner) => inner.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
            Encoder::Xz(encoder) => encoder.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Lz4(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.get_mut().flush()
    }
}

/// The image writer may learn a compression that the kernel does not unpack.
fn unknown(compression: Compression) -> io::Error {
    let text = format!("an initrd cannot be compressed with {compression}");
    io::Error::new(io::ErrorKind::Unsupported, text)
}

fn zstd_encoder<W: Write>(
    inner: W,
    level: u8,
    options: &SegmentOptions,
) -> io::Result<zstd::stream::write::Encoder<'static, W>> {
    let mut encoder = zstd::stream::write::Encoder::new(inner, level.into())?;
    encoder.include_checksum(true)?;
    // libzstd's output is the same for one worker and for many, but another one for none.
    let workers = u32::try_from(options.threads.get()).unwrap_or(u32::MAX);
    if let Some(content) = options.content {
        let log = options.window_log.unwrap_or_else(|| window_log(content));
        encoder.window_log(log.into())?;
        if content >= LARGE_CONTENT {
            encoder.multithread(workers.min(64))?;
            encoder.set_parameter(CParameter::JobSize(LARGE_JOB))?;
            // 9 stands for the whole window, each step below for half as much. Long-distance matching would see
            // everything before, and yet makes the output larger: its matches take the place of the level's better
            // ones.
            let overlap = (9 + LARGE_OVERLAP_LOG)
                .saturating_sub(log.into())
                .clamp(1, 9);
            encoder.set_parameter(CParameter::OverlapSizeLog(overlap))?;
        }
        return Ok(encoder);
    }
    encoder.multithread(workers.min(64))?;
    match options.window_log {
        Some(log) => {
            encoder.window_log(log.into())?;
            encoder.long_distance_matching(true)?;
        }
        None if level > 19 => encoder.set_parameter(CParameter::JobSize(ZSTD_JOB_MAX))?,
        None => {}
    }
    Ok(encoder)
}

fn xz_encoder<W: Write>(
    inner: W,
    level: u8,
    threads: NonZeroUsize,
) -> io::Result<liblzma::write::XzEncoder<W>> {
    let mut lzma = LzmaOptions::new_preset(level.into())?;
    let dictionary = xz_dictionary(level);
    lzma.dict_size(dictionary);
    let mut filters = Filters::new();
    filters.lzma2(&lzma);
    // A fixed block size, so that the blocks do not depend on the number of threads.
    let block = u64::from(dictionary) * 3;
    let stream = MtStreamBuilder::new()
        .threads(u32::try_from(threads.get()).unwrap_or(u32::MAX).min(64))
        .block_size(block.max(1 << 20))
        .filters(filters)
        .check(Check::Crc32)
        .encoder()?;
    Ok(liblzma::write::XzEncoder::new_stream(inner, stream))
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
