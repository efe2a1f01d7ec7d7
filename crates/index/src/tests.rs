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
        verity: None,
        hot: None,
    }
}

/// An image of two blocks and a tree of one.
fn image_with_verity(number: usize) -> Image {
    Image {
        size: 3 * 4096,
        verity: Some(Verity {
            data_size: 2 * 4096,
            salt: [0x5a; 32],
            root: [0xcd; 32],
        }),
        ..image(number)
    }
}

/// An index whose second image is hot in its first part.
fn sample_with_hot() -> Index {
    let hot = Image {
        hot: Some(1024),
        ..image_with_verity(1)
    };
    Index {
        images: vec![image(0), hot],
        ..sample()
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

fn sample_with_verity() -> Index {
    Index {
        images: vec![image(0), image_with_verity(1)],
        ..sample()
    }
}

/// The reason and the line of an index in which `from` became `to`.
fn broken(from: &str, to: &str) -> (usize, Reason) {
    broken_in(&sample(), from, to)
}

fn broken_in(index: &Index, from: &str, to: &str) -> (usize, Reason) {
    let text = index.to_string();
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
fn verity_has_a_line_of_its_own_behind_the_images() {
    let (without, with) = (sample(), sample_with_verity());
    let text = with.to_string();
    let expected = [
        "verity 1 8192 ",
        &"5a".repeat(32),
        " ",
        &"cd".repeat(32),
        "\n",
    ]
    .concat();
    assert!(text.ends_with(&expected), "{text}");
    assert_eq!(Index::parse(text.as_bytes()), Ok(with));
    // Without verity, the text is the one that an older stage 1 reads.
    assert!(!without.to_string().contains("verity"));
}

#[test]
fn every_fault_of_verity_is_named_with_its_line() {
    let line = || {
        let text = sample_with_verity().to_string();
        text.lines().last().unwrap().to_string()
    };
    let twice = format!("{0}\n{0}", line());
    for (from, to, number, reason) in [
        ("verity 1", "verity 2", 7, Reason::VerityImage(2)),
        (
            "verity 1",
            "verity 18446744073709551615",
            7,
            Reason::VerityImage(u64::MAX),
        ),
        ("verity 1", "verity 01", 7, Reason::Number("image's number")),
        ("verity 1 ", "verity ", 7, Reason::Fields("verity")),
        // Image 0 has a size that verity does not explain.
        ("verity 1", "verity 0", 7, Reason::VeritySize(8192)),
        (" 8192", " 4096", 7, Reason::VeritySize(4096)),
        (" 8192", " 8193", 7, Reason::VeritySize(8193)),
        (" 8192", " 12288", 7, Reason::VeritySize(12288)),
        (" 8192", " 0", 7, Reason::VeritySize(0)),
        (
            " 8192",
            " 18446744073709547520",
            7,
            Reason::VeritySize(18_446_744_073_709_547_520),
        ),
        (" 8192", " 8k", 7, Reason::Number("size of verity's data")),
        ("5a5a", "5A5A", 7, Reason::Hex("salt")),
        ("cdcd", "cdcdcd", 7, Reason::Hex("root hash")),
        (line().as_str(), twice.as_str(), 8, Reason::VerityTwice(1)),
    ] {
        let found = broken_in(&sample_with_verity(), from, to);
        assert_eq!(found, (number, reason), "{from:?} -> {to:?}");
    }
    let (first, second) = ("image 0", "verity 0 8192");
    let early = format!("{second} {} {}\n{first}", "5a".repeat(32), "cd".repeat(32));
    let found = broken_in(&sample_with_verity(), first, &early);
    assert_eq!(found, (5, Reason::VerityImage(0)));
}

#[test]
fn an_index_is_not_written_with_a_tree_of_another_size() {
    let mut index = sample_with_verity();
    assert_eq!(index.check(), Ok(()));
    index.images[1].size += 4096;
    assert_eq!(index.check(), Err(Reason::VeritySize(8192)));
}

#[test]
fn hot_bytes_have_a_line_of_their_own_behind_all_others() {
    let index = sample_with_hot();
    let text = index.to_string();
    assert!(text.ends_with("\nhot 1 1024\n"), "{text}");
    assert_eq!(Index::parse(text.as_bytes()), Ok(index));
    // Without, the text is the one that an older stage 1 reads.
    assert!(!sample_with_verity().to_string().contains("hot"));
}

#[test]
fn every_fault_of_hot_bytes_is_named_with_its_line() {
    for (to, number, reason) in [
        ("hot 2 1024", 8, Reason::HotImage(2)),
        ("hot 1 12289", 8, Reason::HotSize(12289)),
        ("hot 1 -", 8, Reason::Number("number of hot bytes")),
        ("hot 1", 8, Reason::Fields("hot")),
        ("hot 1 1024\nhot 1 0", 9, Reason::HotTwice(1)),
    ] {
        let found = broken_in(&sample_with_hot(), "hot 1 1024", to);
        assert_eq!(found, (number, reason), "{to:?}");
    }
    let mut index = sample_with_hot();
    index.images[1].hot = Some(12289);
    assert_eq!(index.check(), Err(Reason::HotSize(12289)));
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
        proptest::option::of((1..1_u64 << 40, any::<[u8; 32]>(), any::<[u8; 32]>())),
        proptest::option::of(any::<u64>()),
    )
        .prop_map(|(path, size, offset, sha256, bytes, verity, hot)| {
            let superblock = bytes.try_into().unwrap();
            let verity = verity.map(|(blocks, salt, root)| Verity {
                data_size: blocks * 4096,
                salt,
                root,
            });
            let whole = verity.as_ref().and_then(Verity::size);
            let size = whole.unwrap_or(size);
            Image {
                path,
                size,
                offset,
                sha256,
                superblock,
                verity,
                hot: hot.map(|bytes| bytes.min(size)),
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
