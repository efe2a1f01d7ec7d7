//! Compression of an initrd's segments, in the forms that the kernel unpacks.
//!
//! The kernel's unpacker (`init/initramfs.c`, `lib/decompress_*.c`) takes less than the command line tools do: an
//! archive must be one zstd frame with a window of at most 2^27 bytes, or one xz stream with CRC32 checks, or one gzip
//! member, or an LZ4 *legacy* frame. Several frames in a row would each have to hold a whole archive. [`SegmentWriter`]
//! writes exactly that, and the same bytes for any number of threads.
//!
//! [`SegmentReader`] reads the same forms, and [`Codec`] tells them by their first bytes.

mod codec;
mod gzip;
mod lz4;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use codec::Codec;
pub use reader::SegmentReader;
pub use storeboot_squashfs::{
    Compression, GzipLevel, Level, Lz4Level, ParseCompressionError, XzLevel, ZstdLevel,
};
pub(crate) use writer::{LARGE_CONTENT, unpacking_memory, version};
pub use writer::{SegmentOptions, SegmentWriter, zeros_after};

/// The largest zstd window that the kernel unpacks, as a power of two: 128 MiB.
pub const MAX_WINDOW_LOG: u8 = 27;
