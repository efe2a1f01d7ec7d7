use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::Reason;

fn sample() -> PartedFile {
    let part = |offset, size| Part { offset, size };
    PartedFile {
        path: b"base/a b%c\xff\n".to_vec(),
        executable: true,
        size: 100,
        parts: vec![part(0, 10), part(10, 10), part(99, 1)],
    }
}

#[test]
fn the_text_is_as_documented() {
    let expected = "storeboot-parts 1\nfile 100 555 3 base/a%20b%25c%ff%0a\npart 0 10\npart 10 10\npart 99 1\n";
    assert_eq!(sample().to_string(), expected);
    assert_eq!(PartedFile::parse(expected.as_bytes()), Ok(sample()));
    // All of it zeros.
    let empty = PartedFile {
        parts: Vec::new(),
        ..sample()
    };
    assert_eq!(PartedFile::parse(empty.to_string().as_bytes()), Ok(empty));
}

#[test]
fn every_fault_is_named_with_its_line() {
    for (from, to, line, reason) in [
        ("parts 1", "parts 2", 1, Reason::NoPartsHeader),
        (
            "file 100 555 3",
            "fil 100 555 3",
            2,
            Reason::Missing("file"),
        ),
        ("file 100", "file 0100", 2, Reason::Number("file's size")),
        ("555", "644", 2, Reason::Mode),
        ("555 3", "555 4", 0, Reason::PartCount),
        ("555 3", "555 2", 0, Reason::PartCount),
        ("555 3", "555 -", 2, Reason::Number("number of parts")),
        ("base/", "/base/", 0, Reason::FilePath),
        ("base/", "base/../", 0, Reason::FilePath),
        ("base/", "base/./", 0, Reason::FilePath),
        ("base/", "base//", 0, Reason::FilePath),
        ("base/", "base/%00", 0, Reason::FilePath),
        ("base/", "%62ase/", 2, Reason::FilePath),
        ("%ff", "%FF", 2, Reason::FilePath),
        ("%0a", "%0", 2, Reason::FilePath),
        ("base/", "base /", 2, Reason::Fields("file")),
        ("part 0 10", "part 0", 3, Reason::Fields("part")),
        (
            "part 0 10",
            "port 0 10",
            3,
            Reason::UnknownKey("port".into()),
        ),
        ("part 0 10", "part 0 11", 0, Reason::PartOrder),
        ("part 0 10", "part 20 10", 0, Reason::PartOrder),
        ("part 0 10", "part 0 0", 0, Reason::PartOrder),
        ("part 99 1", "part 99 2", 0, Reason::PartOrder),
        (
            "part 99 1",
            "part 99 18446744073709551615",
            0,
            Reason::PartOrder,
        ),
        ("part 10 10", "part 10 1\u{f6}", 4, Reason::NotAscii(0xc3)),
    ] {
        let text = sample().to_string();
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed, "nothing to replace");
        let error = PartedFile::parse(changed.as_bytes()).unwrap_err();
        assert_eq!(
            (error.line, &error.reason),
            (line, &reason),
            "{from:?} -> {to:?}"
        );
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn a_list_that_is_cut_off_anywhere_is_an_error() {
    let text = sample().to_string();
    for end in 0..text.len() {
        assert!(PartedFile::parse(&text.as_bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn the_limits_hold() {
    let most = |count: u64| PartedFile {
        path: vec![0xff; MAX_FILE_PATH - 1],
        size: u64::MAX,
        parts: (0..count)
            .map(|number| Part {
                offset: u64::MAX - 2 * MAX_PARTS as u64 + 2 * number,
                size: 1,
            })
            .collect(),
        ..sample()
    };
    // The longest list of all that pass the other limits is not too long.
    let longest = most(MAX_PARTS as u64);
    assert_eq!(longest.check(), Ok(()));
    assert_eq!(
        PartedFile::parse(longest.to_string().as_bytes()),
        Ok(longest)
    );
    assert!(
        MAX_PARTS * "part 18446744073709551615 18446744073709551615\n".len() + 4 * MAX_FILE_PATH
            < MAX_LIST
    );
    let more = PartedFile {
        parts: vec![Part { offset: 0, size: 1 }; MAX_PARTS + 1],
        ..sample()
    };
    assert_eq!(more.check(), Err(Reason::TooManyParts));
    assert_eq!(
        PartedFile::parse(more.to_string().as_bytes())
            .unwrap_err()
            .reason,
        Reason::TooManyParts
    );
    let long = PartedFile {
        path: vec![b'a'; MAX_FILE_PATH],
        ..sample()
    };
    assert_eq!(long.check(), Err(Reason::FilePath));
    let text = vec![b'\n'; MAX_LIST + 1];
    assert_eq!(
        PartedFile::parse(&text).unwrap_err().reason,
        Reason::ListTooLong(text.len())
    );
}

fn any_file() -> impl Strategy<Value = PartedFile> {
    let name = proptest::collection::vec(any::<u8>(), 1..12);
    let names = proptest::collection::vec(name, 1..5);
    let steps = proptest::collection::vec((0..u64::MAX / 64, 1..u64::MAX / 64), 0..16);
    (names, any::<bool>(), steps, 0..1000_u64)
        .prop_map(|(names, executable, steps, rest)| {
            let mut end = 0;
            let parts = steps.into_iter().map(|(gap, size)| {
                let offset = end + gap;
                end = offset + size;
                Part { offset, size }
            });
            PartedFile {
                parts: parts.collect(),
                path: names.join(&b'/'),
                executable,
                size: end + rest,
            }
        })
        .prop_filter("a path inside", |file| file.check().is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(file in any_file()) {
        prop_assert_eq!(PartedFile::parse(file.to_string().as_bytes()), Ok(file));
    }

    #[test]
    fn arbitrary_lines_never_panic(lines in "(file|part|[ -~]{0,3}) [ 0-9%a-f/.]{0,30}\n[ -~]{0,40}\n") {
        let text = format!("{PARTS_HEADER}\n{lines}");
        if let Ok(file) = PartedFile::parse(text.as_bytes()) {
            prop_assert_eq!(file.to_string(), text);
        }
    }

    #[test]
    fn one_file_has_one_text(file in any_file(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut text = Vec::from(file.to_string());
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(read) = PartedFile::parse(&text) {
            prop_assert_eq!(read.to_string(), String::from_utf8(text).unwrap());
        }
    }
}
