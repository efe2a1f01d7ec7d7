//! Compresses a block with the compressor of the image.

use std::io;

#[cfg(feature = "gzip")]
use flate2::{Compress, FlushCompress, Status};
#[cfg(feature = "xz")]
use liblzma::stream::{Action, Check, Filters, LzmaOptions, Stream};
#[cfg(feature = "lz4")]
use lz4::block::CompressionMode;
use zstd::zstd_safe::{CParameter, Strategy};

use super::density::is_mostly_dense;
use crate::format::{MAX_BLOCK_SIZE, METADATA_SIZE, compressor};
use crate::{Compression, Error};

impl Compression {
    /// The number in the superblock. An image that is not compressed names zlib, which every kernel has.
    pub(super) fn id(self) -> u16 {
        match self {
            Self::None | Self::Gzip(_) => compressor::GZIP,
            Self::Xz(_) => compressor::XZ,
            Self::Lz4(_) => compressor::LZ4,
            Self::Zstd(_) => compressor::ZSTD,
        }
    }

    /// The compressor options that follow the superblock.
    ///
    /// Readers need those of LZ4; the others show which level was used.
    pub(super) fn options(self, block_size: u32) -> Option<Vec<u8>> {
        let words = match self {
            Self::None => return None,
            // struct gzip_comp_opts: level, then window bits 15 and no strategies in one word
            Self::Gzip(level) => [level.get().into(), 15],
            // struct disk_comp_opts of xz_wrapper.c: dictionary size, BCJ filters
            Self::Xz(_) => [xz_dictionary(block_size), 0],
            // struct lz4_comp_opts: version 1 (legacy), flag 1 (high compression)
            Self::Lz4(_) => [1, 1],
            Self::Zstd(level) => return Some(u32::from(level.get()).to_le_bytes().to_vec()),
        };
        Some(words.iter().flat_map(|word| word.to_le_bytes()).collect())
    }
}

/// The level of the trial that tells whether a block shrinks.
const TRIAL_LEVEL: i32 = 1;
/// The slow compressor runs if the trial saves more than this part of the block.
const TRIAL_GAIN: usize = 128;

/// In larger blocks than this, libzstd's level 19 wastes time: a first pass only to collect statistics, and a search
/// for matches up to a length of 256, take a sixth of the time and save 0.12 % of the bytes. For smaller blocks libzstd
/// has other parameters, which gain more. In blocks of 1 MiB, level 20 is what libzstd calls 19.
const LARGE_BLOCK: u32 = 256 << 10;
/// Between those of levels 18 and 19.
const TARGET_LENGTH: u32 = 96;

/// The kernel decodes with a dictionary of the block size, and not less than a metadata block.
fn xz_dictionary(block_size: u32) -> u32 {
    block_size.max(METADATA_SIZE as u32)
}

/// Compresses blocks one after the other; each thread has its own.
pub(super) struct Encoder {
    compression: Compression,
    compressor: Compressor,
    /// Tells quickly whether a block is worth the time of a slow compressor.
    trial: Option<zstd::bulk::Compressor<'static>>,
}

enum Compressor {
    None,
    Zstd(zstd::bulk::Compressor<'static>),
    #[cfg(feature = "gzip")]
    Gzip(Compress),
    #[cfg(feature = "xz")]
    Xz {
        preset: u32,
        dictionary: u32,
    },
    #[cfg(feature = "lz4")]
    Lz4 {
        level: i32,
    },
}

impl Encoder {
    /// For data in blocks of this size.
    pub(super) fn new(compression: Compression, block_size: u32) -> Result<Self, Error> {
        let mut encoder = Self::for_metadata(compression, block_size)?;
        let tune = |compressor: &mut zstd::bulk::Compressor<'_>| {
            compressor.set_parameter(CParameter::Strategy(Strategy::ZSTD_btultra))?;
            compressor.set_parameter(CParameter::TargetLength(TARGET_LENGTH))
        };
        if let (Compression::Zstd(level), Compressor::Zstd(compressor)) =
            (compression, &mut encoder.compressor)
            && level.get() == 19
            && block_size > LARGE_BLOCK
        {
            tune(compressor).map_err(failed(compression))?;
        }
        Ok(encoder)
    }

    /// For the metadata of an image with blocks of this size.
    #[cfg_attr(not(feature = "xz"), allow(unused_variables))] // only xz depends on the block size
    pub(super) fn for_metadata(compression: Compression, block_size: u32) -> Result<Self, Error> {
        let zstd = |level| zstd::bulk::Compressor::new(level).map_err(failed(compression));
        let compressor = match compression {
            Compression::None => Compressor::None,
            Compression::Zstd(level) => Compressor::Zstd(zstd(level.get().into())?),
            #[cfg(feature = "gzip")]
            Compression::Gzip(level) => Compressor::Gzip(Compress::new(
                flate2::Compression::new(level.get().into()),
                true,
            )),
            #[cfg(feature = "xz")]
            Compression::Xz(level) => Compressor::Xz {
                preset: level.get().into(),
                dictionary: xz_dictionary(block_size),
            },
            #[cfg(feature = "lz4")]
            Compression::Lz4(level) => Compressor::Lz4 {
                level: level.get().into(),
            },
            #[cfg(not(all(feature = "gzip", feature = "xz", feature = "lz4")))]
            _ => return Err(Error::CodecLeftOut { compression }),
        };
        let slow = match compression {
            Compression::Zstd(level) => level.get() >= 10,
            Compression::Xz(_) => true,
            _ => false,
        };
        Ok(Self {
            compression,
            compressor,
            trial: slow.then(|| zstd(TRIAL_LEVEL)).transpose()?,
        })
    }

    /// Compresses as [`Self::compress`] does, but skips a slow compressor for a block that looks dense and does not
    /// shrink in a quick trial.
    pub(super) fn compress_if_worthwhile(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        if let Some(trial) = &mut self.trial
            && is_mostly_dense(input)
        {
            output.clear();
            output.reserve(zstd::zstd_safe::compress_bound(input.len()));
            let size = trial
                .compress_to_buffer(input, output)
                .map_err(failed(self.compression))?;
            if size + input.len() / TRIAL_GAIN > input.len() {
                return Ok(false);
            }
        }
        self.compress(input, output)
    }

    /// Compresses `input` into `output`, whose old content is dropped; returns whether that made it smaller.
    pub(super) fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<bool, Error> {
        debug_assert!(input.len() <= MAX_BLOCK_SIZE as usize);
        output.clear();
        let fits = self.compressor.compress(input, output);
        Ok(fits.map_err(failed(self.compression))? && output.len() < input.len())
    }
}

impl Compressor {
    /// Fills the empty `output`; `false` if it did not become smaller.
    fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Self::None => Ok(false),
            Self::Zstd(compressor) => {
                output.reserve(zstd::zstd_safe::compress_bound(input.len()));
                compressor.compress_to_buffer(input, output)?;
                Ok(true)
            }
            #[cfg(feature = "gzip")]
            Self::Gzip(deflate) => {
                // Room for less than the input: a block that does not fit is not worth keeping.
                output.reserve_exact(input.len());
                deflate.reset();
                let status = deflate
                    .compress_vec(input, output, FlushCompress::Finish)
                    .map_err(io::Error::other)?;
                Ok(status == Status::StreamEnd)
            }
            #[cfg(feature = "xz")]
            Self::Xz { preset, dictionary } => {
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
                Ok(status == liblzma::stream::Status::StreamEnd)
            }
            #[cfg(feature = "lz4")]
            Self::Lz4 { level } => {
                output.resize(lz4::block::compress_bound(input.len())?, 0);
                let mode = CompressionMode::HIGHCOMPRESSION(*level);
                let length = lz4::block::compress_to_buffer(input, Some(mode), false, output)?;
                output.truncate(length);
                Ok(true)
            }
        }
    }
}

fn failed(compression: Compression) -> impl Fn(io::Error) -> Error {
    move |source| Error::Compress {
        compression,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ZstdLevel;

    #[test]
    fn only_large_blocks_at_level_19_have_parameters_of_our_own() {
        // Enough to look for matches in, with lengths of all kinds.
        let text: Vec<u8> = (0..60_000_u32)
            .flat_map(|n| format!("{:x} ", n.wrapping_mul(n) >> (n % 19)).into_bytes())
            .take(300_000)
            .collect();
        let zstd = |level| Compression::Zstd(ZstdLevel::new(level).expect("a level"));
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
    fn a_codec_that_was_left_out_is_named() {
        for (text, built_in) in [
            ("none", true),
            ("zstd:1", true),
            ("xz:1", cfg!(feature = "xz")),
            ("gzip:1", cfg!(feature = "gzip")),
            ("lz4:1", cfg!(feature = "lz4")),
        ] {
            match Encoder::new(text.parse().expect(text), 1 << 17) {
                Ok(_) => assert!(built_in, "{text}"),
                Err(error) => {
                    assert!(!built_in && error.to_string().contains(text), "{error}");
                }
            }
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
        let codecs = [
            ("zstd:3", true),
            ("xz:1", cfg!(feature = "xz")),
            ("gzip:9", cfg!(feature = "gzip")),
            ("lz4:12", cfg!(feature = "lz4")),
        ];
        for (text, _) in codecs.iter().filter(|(_, built_in)| *built_in) {
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
