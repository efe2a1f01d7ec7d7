//! The sentences name what a reader needs, and fit into the kernel's log.

use super::*;

#[test]
fn both_numbers_are_told() {
    let name = || String::from("/i");
    for (error, parts) in [
        (
            Error::ImageSize {
                name: name(),
                found: 7,
                expected: 4096,
            },
            ["has 7 bytes", "says 4096"],
        ),
        (
            Error::InitrdCutOff {
                name: name(),
                found: 7,
                expected: 4096,
            },
            ["only 7", "byte 4096"],
        ),
        (
            Error::ImageCutOff {
                name: name(),
                found: 7,
                expected: 4096,
                room: None,
            },
            ["7 of the 4096", "cut off"],
        ),
        (
            Error::ImageDamaged {
                name: name(),
                found: [0xab; 32],
                expected: [0xcd; 32],
            },
            ["is abab", "says cdcd"],
        ),
        (
            Error::ImageDiffers {
                name: name(),
                difference: Difference::At(4, 1, 2),
            },
            ["byte 4 of the superblock is 0x01", "says 0x02"],
        ),
    ] {
        let text = std::format!("{error}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
}

#[test]
fn a_full_rootfs_is_told_from_a_broken_download() {
    let text = |total, free, files, free_files| {
        let room = Some(Room {
            total,
            free,
            files,
            free_files,
        });
        std::format!("{}", Error::NoIndex { room })
    };
    let full = text(256 << 20, 1 << 20, 1000, 10);
    assert!(
        full.contains("at most 256 MiB here, and 1 MiB are left: give the machine more memory")
    );
    let full = text(256 << 20, 200 << 20, 1000, 0);
    assert!(
        full.contains("at most 1000 files here, and none are left: give the machine more memory")
    );
    assert!(text(256 << 20, 200 << 20, 1000, 10).contains("cut off"));
    // ramfs has no limits.
    assert!(text(0, 0, 0, 0).contains("cut off"));
}

#[test]
fn every_sentence_fits_into_a_record_of_the_kernels_log() {
    let path = || {
        String::from(
            "/nix/store/00000000000000000000000000000000-nixos-system-a-name-of-usual-length/init",
        )
    };
    for error in [
        Error::ImageDamaged {
            name: path(),
            found: [0; 32],
            expected: [0; 32],
        },
        Error::InitDangling {
            path: path(),
            target: path(),
        },
        Error::ImageCutOff {
            name: path(),
            found: u64::MAX,
            expected: u64::MAX,
            room: None,
        },
        Error::PartMissing {
            file: path(),
            part: path(),
            found: Some(u64::MAX),
            expected: u64::MAX,
            room: None,
        },
        Error::NotPutTogether {
            file: path(),
            errno: Errno::ENOTDIR,
            room: None,
        },
    ] {
        assert!(std::format!("{error}").len() < 600);
    }
}
