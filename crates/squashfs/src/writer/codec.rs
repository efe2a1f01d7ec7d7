//! One block in, one compressed block out, for every compressor squashfs knows and we write.

use std::io;

use flate2::{Compress, FlushCompress, Status};
use liblzma::stream::{Action, Check, Filters, LzmaOptions, Stream};
use lz4::block::CompressionMode;
use zstd::zstd_safe::{CParameter, Strategy};

use super::density::is_mostly_dense;
use crate::Compression;
use crate::format::{MAX_BLOCK_SIZE, METADATA_SIZE, compressor};

impl Compression {
    /// The number in the superblock. An image that is not compressed names zlib, which every kernel has.
    pub(crate) fn id(self) -> u16 {
        match self {
            Self::None | Self::Gzip { .. } => compressor::GZIP,
            Self::Xz { .. } => compressor::XZ,
            Self::Lz4 { .. } => compressor::LZ4,
            Self::Zstd { .. } => compressor::ZSTD,
        }
    }

    /// The compressor options that follow the superblock, where readers want them.
    ///
    /// LZ4 must have them; for the others they tell a person which level was used.
    pub(crate) fn options(self, block_size: u32) -> Option<Vec<u8>> {
        let words = match self {
            Self::None => return None,
            // struct gzip_comp_opts: level, then window bits 15 and no strategies in one word
            Self::Gzip { level } => [u32::from(level), 15],
            // struct disk_comp_opts of xz_wrapper.c: dictionary size, BCJ filters
            Self::Xz { .. } => [xz_dictionary(block_size), 0],
            // struct lz4_comp_opts: version 1 (legacy), flag 1 (high compression)
            Self::Lz4 { .. } => [1, 1],
            Self::Zstd { level } => return Some(u32::from(level).to_le_bytes().to_vec()),
        };
        Some(words.iter().flat_map(|word| word.to_le_bytes()).collect())
    }
}

/// The level of the quick trial.
const TRIAL_LEVEL: i32 = 1;
/// A block is worth the slow compressor where the trial saves more than this part of it.
const TRIAL_GAIN: usize = 128;

/// Of blocks larger than this, libzstd's level 19 is wasteful: its first pass for the sake of statistics, and matches that are looked
/// at up to a length of 256, take a sixth of the time and save 0.12 % of the bytes. Smaller blocks are packed by other parameters,
/// and gain more by them. In blocks of 1 MiB, level 20 is what libzstd calls 19.
const LARGE_BLOCK: u32 = 256 << 10;
/// Between those of levels 18 and 19.
const TARGET_LENGTH: u32 = 96;

/// The kernel decodes with a dictionary of the block size, and not less than a metadata block.
fn xz_dictionary(block_size: u32) -> u32 {
    block_size.max(METADATA_SIZE as u32)
}

/// Compresses blocks one after the other; each thread has its own.
pub(crate) struct Encoder {
    compressor: Compressor,
    /// Tries quickly whether a slow compressor is worth its time.
    trial: Option<zstd::bulk::Compressor<'static>>,
}

enum Compressor {
    None,
    Zstd(zstd::bulk::Compressor<'static>),
    Gzip(Compress),
    Xz { preset: u32, dictionary: u32 },
    Lz4 { level: i32 },
}

impl Encoder {
    /// For data in blocks of this size.
    pub(crate) fn new(compression: Compression, block_size: u32) -> io::Result<Self> {
        let mut encoder = Self::for_metadata(compression, block_size)?;
        if let (Compression::Zstd { level: 19 }, Compressor::Zstd(compressor)) =
            (compression, &mut encoder.compressor)
            && block_size > LARGE_BLOCK
        {
            compressor.set_parameter(CParameter::Strategy(Strategy::ZSTD_btultra))?;
            compressor.set_parameter(CParameter::TargetLength(TARGET_LENGTH))?;
        }
        Ok(encoder)
    }

    /// For the metadata of an image with blocks of this size.
    pub(crate) fn for_metadata(compression: Compression, block_size: u32) -> io::Result<Self> {
        let compressor = match compression {
            Compression::None => Compressor::None,
            Compression::Zstd { level } => {
                Compressor::Zstd(zstd::bulk::Compressor::new(i32::from(level))?)
            }
            Compression::Gzip { level } => Compressor::Gzip(Compress::new(
                flate2::Compression::new(u32::from(level)),
                true,
            )),
            Compression::Xz { level } => Compressor::Xz {
                preset: u32::from(level),
                dictionary: xz_dictionary(block_size),
            },
            Compression::Lz4 { level } => Compressor::Lz4 {
                level: i32::from(level),
            },
        };
        let trial = match compression {
            Compression::Zstd { level: 10.. } | Compression::Xz { .. } => {
                Some(zstd::bulk::Compressor::new(TRIAL_LEVEL)?)
            }
            _ => None,
        };
        Ok(Self { compressor, trial })
    }

    /// As [`Self::compress`], but for what looks as if it would not shrink, and in a quick trial does not, slow compressors are not asked
    /// at all.
    pub(crate) fn compress_if_worthwhile(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> io::Result<bool> {
        if let Some(trial) = &mut self.trial
            && is_mostly_dense(input)
        {
            output.clear();
            output.reserve(zstd::zstd_safe::compress_bound(input.len()));
            let size = trial.compress_to_buffer(input, output)?;
            if size + input.len() / TRIAL_GAIN > input.len() {
                return Ok(false);
            }
        }
        self.compress(input, output)
    }

    /// Compresses `input` into `output` (whose old content goes); tells whether that made it smaller.
    pub(crate) fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> io::Result<bool> {
        debug_assert!(input.len() <= MAX_BLOCK_SIZE as usize);
        output.clear();
        match &mut self.compressor {
            Compressor::None => return Ok(false),
            Compressor::Zstd(compressor) => {
                output.reserve(zstd::zstd_safe::compress_bound(input.len()));
                compressor.compress_to_buffer(input, output)?;
            }
            Compressor::Gzip(deflate) => {
                // Room for less than the input: what does not fit is not worth keeping.
                output.reserve_exact(input.len());
                deflate.reset();
                let status = deflate
                    .compress_vec(input, output, FlushCompress::Finish)
                    .map_err(io::Error::other)?;
                if status != Status::StreamEnd {
                    return Ok(false);
                }
            }
            Compressor::Xz { preset, dictionary } => {
                output.reserve_exact(input.len());
                let mut options = LzmaOptions::new_preset(*preset).map_err(io::Error::other)?;
                options.dict_size(*dictionary);
                let mut filters = Filters::new();
                filters.lzma2(&options);
                // Linux's decoder knows CRC32 and no other check.
                let mut stream =
                    Stream::new_stream_encoder(&filters, Check::Crc32).map_err(io::Error::other)?;
                let status = stream
                    .process_vec(input, output, Action::Finish)
                    .map_err(io::Error::other)?;
                if status != liblzma::stream::Status::StreamEnd {
                    return Ok(false);
                }
            }
            Compressor::Lz4 { level } => {
                output.resize(lz4::block::compress_bound(input.len())?, 0);
                let mode = CompressionMode::HIGHCOMPRESSION(*level);
                let length = lz4::block::compress_to_buffer(input, Some(mode), false, output)?;
                output.truncate(length);
            }
        }
        Ok(output.len() < input.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_blocks_at_level_19_have_parameters_of_our_own() {
        // Enough to look for matches in, with lengths of all kinds.
        let text: Vec<u8> = (0..60_000_u32)
            .flat_map(|n| format!("{:x} ", n.wrapping_mul(n) >> (n % 19)).into_bytes())
            .take(300_000)
            .collect();
        let zstd = |level: u8| Compression::Zstd { level };
        let packed = |mut encoder: Encoder| {
            let mut output = Vec::new();
            assert!(encoder.compress(&text, &mut output).expect("room"));
            assert_eq!(
                zstd::bulk::decompress(&output, text.len()).expect("sound"),
                text
            );
            output
        };
        let own = |level| packed(Encoder::new(zstd(level), 1 << 20).expect("a level"));
        let libzstds = |level: u8| zstd::bulk::compress(&text, level.into()).expect("room");
        assert_ne!(own(19), libzstds(19));
        assert_eq!(own(18), libzstds(18));
        assert_eq!(own(20), libzstds(20));
        for encoder in [
            Encoder::new(zstd(19), 256 << 10),
            Encoder::for_metadata(zstd(19), 1 << 20),
        ] {
            assert_eq!(packed(encoder.expect("a level")), libzstds(19));
        }
    }

    #[test]
    fn what_repeats_shrinks_and_what_does_not_is_left() {
        let repeats = vec![7; 100_000];
        let mut state = 1u64;
        let noise: Vec<u8> = (0..100_000)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        for text in ["zstd:3", "xz:1", "gzip:9", "lz4:12"] {
            let compression = text.parse().expect(text);
            let mut encoder = Encoder::new(compression, 1 << 17).expect(text);
            let mut output = Vec::new();
            // Twice, since an encoder is used again.
            for _ in 0..2 {
                assert!(encoder.compress(&repeats, &mut output).expect(text));
                assert!(output.len() < 1000, "{text}: {}", output.len());
                assert!(
                    !encoder.compress(&noise, &mut output).expect(text),
                    "{text}"
                );
            }
        }
    }
}
