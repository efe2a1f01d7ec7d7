//! Packing a segment takes memory by threads and blocks, not by the segment's size.
//!
//! The only test of its process, so that the process's peak is that of the packing.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use storeboot::compress::{SegmentOptions, SegmentWriter};

/// Bytes packed with each compressor, and most of memory that may be in use at any time.
const LENGTH: usize = 128 << 20;
const MEMORY: u64 = 64 << 20;

/// The most memory that this process had so far.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number")
        << 10
}

#[test]
fn memory_does_not_grow_with_the_segment() {
    let mut piece = Vec::new();
    let mut state = 1_u32;
    while piece.len() < 1 << 20 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        piece.extend_from_slice(&state.to_le_bytes()[2..]);
        piece.extend_from_slice(&[0; 1022]);
    }
    // gzip has one thread and a window of 32 KiB, and takes half a minute here without optimization.
    for form in ["none", "lz4:1", "zstd:1", "xz:0"] {
        let options = SegmentOptions::new(form.parse().expect(form))
            .threads(NonZeroUsize::new(2).expect("two"));
        let mut writer = SegmentWriter::new(io::sink(), options).expect("set up");
        for _ in 0..LENGTH / piece.len() {
            writer.write_all(&piece).expect("write");
        }
        writer.finish().expect("finish");
        let peak = peak();
        assert!(peak < MEMORY, "{form}: {peak} bytes");
    }
}
