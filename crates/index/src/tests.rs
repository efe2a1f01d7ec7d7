use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::*;

fn image(number: usize) -> Image {
    Image {
        path: format!("storeboot/images/{number}.squashfs"),
        size: 4096,
        offset: Some(512),
        sha256: [7; 32],
        superblock: [0xab; 96],
    }
}

fn sample() -> Index {
    Index {
        layout: Layout::InPlace,
        memory: 99,
        modules: vec!["m/00-loop.ko".into()],
        images: vec![image(0), image(1)],
    }
}

/// The reason and the line of an index in which `from` became `to`.
fn broken(from: &str, to: &str) -> (usize, Reason) {
    let text = sample().to_string();
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "nothing to replace");
    let error = Index::parse(changed.as_bytes()).unwrap_err();
    (error.line, error.reason)
}

#[test]
fn the_text_is_as_documented() {
    let index = Index {
        images: vec![Image {
            offset: None,
            ..image(0)
        }],
        ..sample()
    };
    let expected = [
        "storeboot-index 1\nlayout in-place\nmemory 99\nmodule m/00-loop.ko\n",
        "image 0 storeboot/images/0.squashfs 4096 - ",
        &"07".repeat(32),
        " ",
        &"ab".repeat(96),
        "\n",
    ]
    .concat();
    assert_eq!(index.to_string(), expected);
}

#[test]
fn every_fault_is_named_with_its_line() {
    let path = |p: &str| Reason::Path(p.into());
    for (from, to, line, reason) in [
        (
            "storeboot-index 1",
            "storeboot-index 2",
            1,
            Reason::NoHeader,
        ),
        ("layout in-place\n", "", 0, Reason::Missing("layout")),
        ("memory 99\n", "", 0, Reason::Missing("memory")),
        ("in-place", "inplace", 2, Reason::UnknownLayout),
        ("in-place", "direct", 0, Reason::Images(Layout::Direct)),
        ("memory 99", "layout file", 3, Reason::Twice("layout")),
        ("memory 99", "memory 099", 3, Reason::Number("memory")),
        ("memory 99", "memory +99", 3, Reason::Number("memory")),
        (
            "memory 99",
            "memory 18446744073709551616",
            3,
            Reason::Number("memory"),
        ),
        ("memory 99", "memory 99 1", 3, Reason::Fields("memory")),
        ("memory 99", "memory", 3, Reason::Fields("memory")),
        ("memory 99", "memory  99", 3, Reason::Fields("memory")),
        ("memory 99", "memory 99\r", 3, Reason::NotAscii(b'\r')),
        ("memory 99", "memory 99\n", 4, Reason::UnknownKey("".into())),
        ("memory 99", "mem\u{f6}ry 99", 3, Reason::NotAscii(0xc3)),
        ("module", "modul", 4, Reason::UnknownKey("modul".into())),
        ("m/00-loop.ko", "/m/loop.ko", 4, path("/m/loop.ko")),
        ("m/00-loop.ko", "m/../loop.ko", 4, path("m/../loop.ko")),
        ("m/00-loop.ko", "m//loop.ko", 4, path("m//loop.ko")),
        ("m/00-loop.ko", "./loop.ko", 4, path("./loop.ko")),
        ("image 1", "image 2", 6, Reason::ImageOrder),
        ("4096 512", "-1 512", 5, Reason::Number("image's size")),
        ("4096 512", "4096 --", 5, Reason::Number("image's offset")),
        ("0707", "0707ff", 5, Reason::Hex("SHA-256")),
        ("abab", "ABab", 5, Reason::Hex("superblock")),
        ("abab", "agab", 5, Reason::Hex("superblock")),
    ] {
        assert_eq!(broken(from, to), (line, reason), "{from:?} -> {to:?}");
    }
}

#[test]
fn a_text_that_is_cut_off_anywhere_never_passes_for_whole_lines() {
    let text = sample().to_string();
    for end in 0..text.len() {
        match Index::parse(&text.as_bytes()[..end]) {
            // A cut at the end of the first image's line leaves an index that is whole by itself.
            Ok(index) => assert_eq!((index.images.len(), text.as_bytes()[end - 1]), (1, b'\n')),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn the_limits_hold() {
    let many = |line: &str, n: usize| {
        let text = [HEADER, "\nlayout direct\nmemory 0\n", &line.repeat(n)].concat();
        Index::parse(text.as_bytes())
    };
    assert_eq!(
        many("module a\n", MAX_MODULES).map(|index| index.modules.len()),
        Ok(MAX_MODULES)
    );
    assert_eq!(
        many("module a\n", MAX_MODULES + 1).unwrap_err().reason,
        Reason::TooManyModules
    );
    assert!(matches!(
        many("module a\n", MAX_TEXT / 8).unwrap_err().reason,
        Reason::TooLong(_)
    ));
    let images = |n| Index {
        images: (0..n).map(image).collect(),
        ..sample()
    };
    assert_eq!(images(MAX_IMAGES).check(), Ok(()));
    assert_eq!(images(MAX_IMAGES + 1).check(), Err(Reason::TooManyImages));
    let long = Index {
        modules: vec!["a".repeat(MAX_PATH); MAX_MODULES],
        ..sample()
    };
    assert!(matches!(long.check(), Err(Reason::TooLong(_))));
    let longer = Index {
        modules: vec!["a".repeat(MAX_PATH + 1)],
        ..sample()
    };
    assert!(matches!(longer.check(), Err(Reason::Path(_))));
}

fn any_path() -> impl Strategy<Value = String> {
    "[!-.0-~]{1,12}(/[!-.0-~]{1,12}){0,3}".prop_filter("dots", |p| crate::path::is_valid(p))
}

fn any_image() -> impl Strategy<Value = Image> {
    let superblock = proptest::collection::vec(any::<u8>(), SUPERBLOCK_LEN);
    (
        any_path(),
        any::<u64>(),
        any::<Option<u64>>(),
        any::<[u8; 32]>(),
        superblock,
    )
        .prop_map(|(path, size, offset, sha256, bytes)| {
            let superblock = bytes.try_into().unwrap();
            Image {
                path,
                size,
                offset,
                sha256,
                superblock,
            }
        })
}

fn any_index() -> impl Strategy<Value = Index> {
    let images = proptest::collection::vec(any_image(), 0..4);
    let modules = proptest::collection::vec(any_path(), 0..6);
    (any::<bool>(), any::<u64>(), modules, images).prop_map(|(file, memory, modules, images)| {
        let layout = match (images.is_empty(), file) {
            (true, _) => Layout::Direct,
            (false, true) => Layout::File,
            (false, false) => Layout::InPlace,
        };
        Index {
            layout,
            memory,
            modules,
            images,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(index in any_index()) {
        prop_assert_eq!(index.check(), Ok(()));
        prop_assert_eq!(Index::parse(index.to_string().as_bytes()), Ok(index));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Index::parse(&bytes);
    }

    #[test]
    fn a_changed_byte_is_an_error_or_another_index(index in any_index(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut text = Vec::from(index.to_string());
        let at = at.index(text.len());
        let same = text[at] == byte;
        text[at] = byte;
        if let Ok(read) = Index::parse(&text) {
            prop_assert_eq!(read == index, same);
            prop_assert_eq!(read.to_string().into_bytes().len(), text.len());
        }
    }
}
