//! Segments as the writer makes them, read back by the reader and by the command line tools.

use std::io::{Cursor, Read, Write};
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

/// Bytes that pack to about half: a counter's noise between repetitions.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(&state.to_le_bytes()[1..]);
        bytes.extend_from_slice(b"store");
    }
    bytes.truncate(length);
    bytes
}

fn pack(options: SegmentOptions, bytes: &[u8], step: usize) -> Vec<u8> {
    let mut writer = SegmentWriter::new(Vec::new(), options).expect("set up");
    for chunk in bytes.chunks(step) {
        writer.write_all(chunk).expect("write");
    }
    writer.finish().expect("finish")
}

fn options(text: &str) -> SegmentOptions {
    SegmentOptions::new(text.parse().expect(text))
}

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("not zero")
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let codec = Codec::detect(packed).expect("a known magic number");
    let mut bytes = Vec::new();
    SegmentReader::new(packed, codec)
        .expect("set up")
        .read_to_end(&mut bytes)
        .expect("unpack");
    bytes
}

/// Runs a tool as a filter. Its input is fed from a thread: both pipes are short.
fn filter(command: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect(command[0]);
    let mut stdin = child.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        let output = child.wait_with_output().expect("output");
        assert!(output.status.success(), "{command:?}");
        output.stdout
    })
}

const FORMS: [(&str, &[&str]); 5] = [
    ("zstd:3", &["zstd", "-dc"]),
    ("xz:0", &["xz", "-dc"]),
    ("gzip:6", &["gzip", "-dc"]),
    ("lz4:1", &["lz4", "-dc"]),
    ("none", &["cat"]),
];

#[test]
fn the_command_line_tools_read_what_is_written() {
    let bytes = sample(9 << 20);
    for (form, tool) in FORMS {
        // More than one block of LZ4, and of xz.
        let most = if form == "lz4:1" { 9 << 20 } else { 2 << 20 };
        for length in [0, 1, most] {
            let packed = pack(options(form).threads(threads(2)), &bytes[..length], 1 << 16);
            assert!(filter(tool, &packed) == bytes[..length], "{form} {length}");
        }
    }
}

#[test]
fn what_the_command_line_tools_write_is_read() {
    let bytes = sample(1 << 20);
    for command in [
        &["zstd", "-c"][..],
        &["zstd", "-c", "--long=27"],
        &["xz", "-c"],
        &["xz", "-c", "--check=none"],
        &["gzip", "-c"],
        &["lz4", "-lc"],
    ] {
        assert!(unpack(&filter(command, &bytes)) == bytes, "{command:?}");
    }
}

#[test]
fn threads_and_write_sizes_do_not_change_the_bytes() {
    let bytes = sample(17 << 20);
    for form in ["zstd:1", "xz:0", "gzip:1", "lz4:1"] {
        // As many bytes as make several jobs or blocks of each.
        let bytes = match form {
            "lz4:1" => &bytes[..],
            "zstd:1" => &bytes[..5 << 20],
            _ => &bytes[..2 << 20],
        };
        let one = pack(options(form), bytes, bytes.len());
        for (count, step) in [(1, 4096), (2, 1 << 20), (5, 77_777)] {
            let other = pack(options(form).threads(threads(count)), bytes, step);
            assert!(
                one == other,
                "{form} with {count} threads, {step} bytes a write"
            );
        }
    }
}

#[test]
fn a_long_window_finds_what_lies_far_back_and_does_not_depend_on_threads() {
    let mut bytes = sample(4 << 20);
    bytes.extend_from_within(..);
    let short = pack(options("zstd:1"), &bytes, 1 << 20);
    let long = pack(options("zstd:1").long_window(27), &bytes, 1 << 20);
    assert!(
        long.len() * 10 < short.len() * 6,
        "{} {}",
        long.len(),
        short.len()
    );
    let threaded = options("zstd:1").long_window(27).threads(threads(3));
    assert!(long == pack(threaded, &bytes, 12_345));
    assert!(unpack(&long) == bytes);
}

#[test]
fn what_is_said_of_the_content_fits_the_window_and_does_not_depend_on_threads() {
    let mut bytes = sample(9 << 20);
    bytes.extend_from_within(..);
    for (length, log) in [
        (0, 10),
        (1000, 10),
        (1025, 11),
        (1 << 20, 20),
        (bytes.len(), 25),
    ] {
        let form = options("zstd:1").content(length as u64);
        let packed = pack(form, &bytes[..length], 1 << 20);
        assert_eq!(10 + (packed[5] >> 3), log, "{length} bytes");
        assert!(unpack(&packed) == bytes[..length]);
        for (count, step) in [(2, 54_321), (5, 1 << 17)] {
            assert!(packed == pack(form.threads(threads(count)), &bytes[..length], step));
        }
    }
    // More content than announced is packed as well.
    let packed = pack(options("zstd:1").content(1), &bytes, 1 << 20);
    assert!(unpack(&packed) == bytes);
}

#[test]
fn the_memory_to_unpack_is_known() {
    let memory = |form: &str, content| {
        let compression = form.parse().expect(form);
        unpacking_memory(compression, content)
    };
    assert_eq!(memory("zstd:1", u64::MAX), 1 << MAX_WINDOW_LOG);
    assert_eq!(memory("zstd:19", 3 << 20), 4 << 20);
    assert_eq!(memory("lz4", u64::MAX), 8 << 20);
    assert_eq!(memory("none", u64::MAX), 0);
    // The dictionary, to which this decoder adds less than 256 KiB of its own.
    for form in ["xz:0", "xz:3", "xz:6", "xz:9"] {
        let packed = pack(options(form), &sample(1 << 16), 4096);
        let memory = memory(form, u64::MAX);
        for (limit, enough) in [(memory + (256 << 10), true), (memory - 1, false)] {
            let stream = liblzma::stream::Stream::new_stream_decoder(limit, 0).expect("a decoder");
            let mut decoder = liblzma::read::XzDecoder::new_stream(&packed[..], stream);
            let unpacked = std::io::copy(&mut decoder, &mut std::io::sink());
            assert_eq!(
                unpacked.is_ok(),
                enough,
                "{form} with {limit}: {unpacked:?}"
            );
        }
    }
}

#[test]
fn zstd_frames_are_what_the_kernel_takes() {
    let bytes = sample(5 << 20);
    for (form, log) in [("zstd:22", None), ("zstd:1", Some(27)), ("zstd:19", None)] {
        let form = SegmentOptions {
            window_log: log,
            ..options(form)
        };
        // A small sample is enough: the window is in the header from the start.
        let packed = pack(form, &bytes[..1 << 16], 4096);
        let descriptor = packed[4];
        assert_eq!(descriptor & 0x04, 0x04, "a checksum");
        assert_eq!(descriptor & 0x20, 0, "a window descriptor");
        let window_log = 10 + (packed[5] >> 3);
        assert!(window_log <= MAX_WINDOW_LOG, "{window_log}");
        assert!(log.is_none_or(|log| log == window_log));
    }
    // One frame, however many jobs: the kernel wants a whole archive in each.
    let packed = pack(options("zstd:1").threads(threads(2)), &bytes, 1 << 20);
    let mut reader = SegmentReader::new(&packed[..], Codec::Zstd).expect("set up");
    let length = std::io::copy(&mut reader, &mut std::io::sink()).expect("unpack");
    assert_eq!(length, bytes.len() as u64);
    assert!(reader.into_inner().is_empty());
}

#[test]
fn xz_streams_are_what_the_kernel_takes() {
    let packed = pack(options("xz:9"), &sample(1 << 16), 4096);
    assert_eq!(packed[6..8], [0, 1], "CRC32 checks");
    // The block header: size, flags, packed and unpacked size, LZMA2 with one byte for the dictionary.
    let header = &packed[12..12 + (usize::from(packed[12]) + 1) * 4];
    let filter = header
        .windows(2)
        .position(|pair| pair == [0x21, 1])
        .expect("LZMA2");
    assert_eq!(header[filter + 2], 24, "a dictionary of 16 MiB");
}

#[test]
fn segments_are_read_one_after_the_other() {
    let parts: [&[u8]; 4] = [b"first", b"second", b"", b"fourth"];
    let forms = ["lz4:1", "gzip:1", "xz:1", "zstd:1"];
    let mut all = Vec::new();
    for (form, part) in forms.into_iter().zip(parts) {
        let form = options(form);
        let packed = pack(form, part, 100);
        let zeros = zeros_after(form.compression, packed.len() as u64);
        all.extend_from_slice(&packed);
        all.resize(all.len() + usize::try_from(zeros).expect("few"), 0);
        assert_eq!(all.len() % 4, 0);
    }
    let mut rest = &all[..];
    for part in parts {
        let zeros = rest.iter().position(|byte| *byte != 0).expect("more");
        rest = &rest[zeros..];
        let codec = Codec::detect(rest).expect("magic");
        let mut reader = SegmentReader::new(rest, codec).expect("set up");
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("unpack");
        assert_eq!(bytes, part);
        rest = reader.into_inner();
    }
    assert!(rest.iter().all(|byte| *byte == 0));
}

#[test]
fn windows_out_of_range_or_of_another_compressor_are_refused() {
    for (form, log) in [("zstd:3", 28), ("zstd:3", 9), ("xz:3", 27), ("none", 27)] {
        let error = SegmentWriter::new(Vec::new(), options(form).long_window(log)).err();
        let kind = error.map(|error| error.kind());
        assert_eq!(kind, Some(std::io::ErrorKind::InvalidInput), "{form} {log}");
    }
}

#[test]
fn what_the_writer_behind_says_is_passed_on() {
    for (form, _) in FORMS {
        let mut room = [0; 64];
        let result = SegmentWriter::new(Cursor::new(&mut room[..]), options(form))
            .and_then(|mut writer| {
                writer.write_all(&sample(1 << 20))?;
                writer.finish()
            })
            .map(|_| ());
        let kind = result.map_err(|error| error.kind());
        assert_eq!(kind, Err(std::io::ErrorKind::WriteZero), "{form}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damage_never_panics(at in 0_usize..400, flip in 1_u8.., cut in 0_usize..400, form in 0_usize..4) {
        let (form, _) = FORMS[form];
        let mut packed = pack(options(form), &sample(1000), 1000);
        let at = at % packed.len();
        packed[at] ^= flip;
        packed.truncate(packed.len().saturating_sub(cut % 50));
        for codec in [Codec::Gzip, Codec::Xz, Codec::Zstd, Codec::Lz4] {
            if let Ok(reader) = SegmentReader::new(&packed[..], codec) {
                let _ = std::io::copy(&mut reader.take(64 << 20), &mut std::io::sink());
            }
        }
    }
}
