//! Tells quickly whether bytes are compressed already.

/// Bytes of a content that are counted.
const SAMPLE: usize = 4096;
/// Fewer bytes than this say nothing for certain.
const SAMPLE_MIN: usize = 512;

/// Whether all byte values occur about equally often, as they do in compressed data.
///
/// This is Pearson's chi-squared over 256 values: 255 on average if all values are equally likely, and growing with the
/// sample if they are not. Text has more than 4 for each byte, a compressed manual page 0.1.
pub(crate) fn is_dense(bytes: &[u8]) -> bool {
    let length = bytes.len().min(SAMPLE);
    if length < SAMPLE_MIN {
        return false;
    }
    let start = (bytes.len() - length) / 2;
    let mut counts = [0u64; 256];
    for &byte in &bytes[start..start + length] {
        counts[usize::from(byte)] += 1;
    }
    let length = length as u64;
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    let chi_squared = (256 * squares / length).saturating_sub(length);
    chi_squared < 384 + length / 8
}

/// Parts of a block of which a sample is counted.
const SAMPLES: usize = 8;

/// Whether most samples of a block are dense, so that it may not shrink. If half of them are not, it does shrink.
pub(crate) fn is_mostly_dense(block: &[u8]) -> bool {
    let stretches = block.chunks(block.len().div_ceil(SAMPLES).max(1));
    stretches.filter(|stretch| is_dense(stretch)).count() > SAMPLES / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Vec<u8> {
        [
            include_str!("intake.rs"),
            include_str!("image.rs"),
            include_str!("image_writer.rs"),
        ]
        .concat()
        .into_bytes()
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(text, 19).expect("in memory")
    }

    #[test]
    fn what_is_compressed_is_dense_and_what_is_not_is_not() {
        let text = text();
        let packed = packed(&text);
        assert!(!is_dense(&text));
        for length in [SAMPLE_MIN, 1000, SAMPLE, 6000] {
            assert!(is_dense(&packed[..length]), "{length}");
            assert!(!is_dense(&text[..length]), "{length}");
        }
        assert!(!is_dense(&[]));
        assert!(!is_dense(&vec![7; 5000]));
    }

    #[test]
    fn a_block_is_looked_at_in_several_places() {
        let text = text();
        let packed = packed(&text);
        let block = |text_length: usize, packed_length: usize| {
            let text = text.iter().cycle().take(text_length);
            let packed = packed.iter().cycle().take(packed_length);
            text.chain(packed).copied().collect::<Vec<u8>>()
        };
        assert!(is_mostly_dense(&block(0, 100_000)));
        assert!(is_mostly_dense(&block(20_000, 80_000)));
        assert!(!is_mostly_dense(&block(60_000, 40_000)));
        assert!(!is_mostly_dense(&block(100_000, 0)));
        assert!(!is_mostly_dense(&[]));
        assert!(!is_mostly_dense(&packed[..100]));
    }
}
