use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{MAX_PATH, Reason, glob};

fn driver(name: &str, aliases: &[&str]) -> Driver {
    Driver {
        name: name.into(),
        class: Class::Network,
        files: vec![0, 1],
        aliases: aliases.iter().map(|alias| String::from(*alias)).collect(),
    }
}

fn sample() -> Drivers {
    Drivers {
        files: vec!["d/mii.ko".into(), "d/e100.ko".into()],
        firmware: vec!["lib/firmware/e100.bin".into()],
        drivers: vec![
            driver("e100", &["pci:v1d2*", "of:N*T*Ca b"]),
            driver("r8169", &[]),
        ],
    }
}

/// The reason and the line of a list in which `from` became `to`.
fn broken(from: &str, to: &str) -> (usize, Reason) {
    let text = sample().to_string();
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "nothing to replace");
    let error = Drivers::parse(changed.as_bytes()).unwrap_err();
    assert!(!error.to_string().is_empty());
    (error.line, error.reason)
}

#[test]
fn every_fault_is_named_with_its_line() {
    assert_eq!(sample().check(), Ok(()));
    for (from, to, line, reason) in [
        ("drivers 1", "drivers 2", 1, Reason::NoDriversHeader),
        (
            "file d/mii.ko",
            "file /d/mii.ko",
            2,
            Reason::Path("/d/mii.ko".into()),
        ),
        ("file d/mii.ko", "file", 2, Reason::Fields("file")),
        ("file d/mii.ko", "alias a", 2, Reason::Missing("driver")),
        (
            "lib/",
            "../",
            4,
            Reason::Path("../firmware/e100.bin".into()),
        ),
        ("network", "wireless", 5, Reason::UnknownClass),
        ("network e100 0 1", "network", 5, Reason::Fields("driver")),
        (
            "network e100 0 1",
            "network e100",
            0,
            Reason::Fields("driver"),
        ),
        ("e100 0 1", "e100 0 2", 5, Reason::FileNumber(2)),
        ("e100 0 1", "e100 0 -1", 5, Reason::Number("file's number")),
        ("e100 0 1", "e100 0  1", 5, Reason::Number("file's number")),
        ("e100 0 1", "a/b 0 1", 0, Reason::DriverName("a/b".into())),
        (
            "e100 0 1",
            "r8169 0 1",
            0,
            Reason::DriverTwice("r8169".into()),
        ),
        ("alias pci:v1d2*", "alias", 0, Reason::Alias(String::new())),
        ("alias", "alais", 6, Reason::UnknownKey("alais".into())),
        ("pci:v1", "pci:v1\t", 6, Reason::NotAscii(b'\t')),
        ("r8169 0 1\n", "r8169 0 1", 0, Reason::CutOff),
    ] {
        assert_eq!(broken(from, to), (line, reason), "{from:?} -> {to:?}");
    }
}

#[test]
fn the_limits_hold() {
    let many = |line: &str, n: usize| {
        let text = format!("{DRIVERS_HEADER}\nfile a\n{}", line.repeat(n));
        Drivers::parse(text.as_bytes()).unwrap_err().reason
    };
    assert_eq!(
        many("file a\n", MAX_DRIVER_FILES),
        Reason::TooManyDriverFiles
    );
    assert_eq!(
        many("firmware a\n", MAX_DRIVER_FILES + 1),
        Reason::TooManyDriverFiles
    );
    assert_eq!(
        many("driver bus a 0\n", MAX_DRIVERS + 1),
        Reason::TooManyDrivers
    );
    assert_eq!(
        many("driver bus a 0\nalias a\n", MAX_DRIVERS),
        Reason::DriverTwice("a".into())
    );
    assert!(matches!(
        many("file a\n", MAX_DRIVERS_TEXT / 7),
        Reason::DriversTooLong(_)
    ));
    let aliases = |count: usize, length: usize| {
        let mut drivers = sample();
        drivers.drivers[1].aliases = vec!["a".repeat(length); count];
        drivers
    };
    assert_eq!(aliases(MAX_ALIASES - 2, 1).check(), Ok(()));
    let more = aliases(MAX_ALIASES - 1, 1);
    assert_eq!(more.check(), Err(Reason::TooManyAliases));
    let read = Drivers::parse(more.to_string().as_bytes());
    assert_eq!(read.unwrap_err().reason, Reason::TooManyAliases);
    assert_eq!(aliases(1, MAX_ALIAS).check(), Ok(()));
    assert!(matches!(
        aliases(1, MAX_ALIAS + 1).check(),
        Err(Reason::Alias(_))
    ));
    assert!(matches!(
        aliases(8192, MAX_ALIAS).check(),
        Err(Reason::DriversTooLong(_))
    ));
    let mut drivers = sample();
    drivers.files[0] = "a".repeat(MAX_PATH + 1);
    assert!(matches!(drivers.check(), Err(Reason::Path(_))));
}

#[test]
fn a_lookup_gives_each_driver_once_and_in_order() {
    let drivers = Drivers {
        drivers: vec![
            driver("b", &["virtio:d1*", "*"]),
            driver("a", &["virtio:d1v*", "virtio:*", "pci:v1"]),
            driver("c", &["virtio:d12*"]),
            driver("d", &["platform:my-card"]),
        ],
        ..sample()
    };
    let lookup = Lookup::new(&drivers);
    assert_eq!(lookup.drivers("virtio:d1v2"), [0, 1]);
    assert_eq!(lookup.drivers("virtio:d12"), [0, 1, 2]);
    assert_eq!(lookup.drivers("pci:v1"), [0, 1]);
    assert_eq!(lookup.drivers("pci:v"), [0]);
    assert_eq!(lookup.drivers("platform:my_card"), [0, 3]);
    assert_eq!(lookup.drivers(""), [0]);
    assert_eq!(lookup.drivers(&"x".repeat(MAX_ALIAS + 1)), [0_usize; 0]);
}

fn any_driver() -> impl Strategy<Value = Driver> {
    let class = prop::sample::select(&Class::ALL[..]);
    let aliases = prop::collection::vec("[ -~]{1,20}", 0..5);
    (class, prop::collection::vec(0..3_usize, 1..5), aliases).prop_map(|(class, files, aliases)| {
        Driver {
            name: String::new(),
            class,
            files,
            aliases,
        }
    })
}

fn any_drivers() -> impl Strategy<Value = Drivers> {
    let paths = |count| prop::collection::vec("[!-.0-~]{3,9}(/[!-.0-~]{3,9}){0,2}", count);
    (
        paths(3..6),
        paths(0..3),
        prop::collection::vec(any_driver(), 0..6),
    )
        .prop_map(|(files, firmware, mut drivers)| {
            for (number, driver) in drivers.iter_mut().enumerate() {
                driver.name = format!("driver{number}");
            }
            Drivers {
                files,
                firmware,
                drivers,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(drivers in any_drivers()) {
        prop_assert_eq!(drivers.check(), Ok(()));
        prop_assert_eq!(Drivers::parse(drivers.to_string().as_bytes()), Ok(drivers));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), lines in "([a-z]{0,6} [ -~]{0,9}\n){0,9}") {
        let _ = Drivers::parse(&bytes);
        let _ = Drivers::parse(format!("{DRIVERS_HEADER}\n{lines}").as_bytes());
    }

    #[test]
    fn a_changed_byte_is_an_error_or_another_list(drivers in any_drivers(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut text = Vec::from(drivers.to_string());
        let at = at.index(text.len());
        let same = text[at] == byte;
        text[at] = byte;
        if let Ok(read) = Drivers::parse(&text) {
            prop_assert_eq!(read == drivers, same);
        }
    }

    #[test]
    fn a_lookup_finds_what_comparing_all_finds(
        aliases in prop::collection::vec(r"[ab_:\-]{0,3}[*?\[]{0,1}[ab_*:\]\-]{1,3}", 0..20),
        modalias in r"[ab_:\-]{0,6}",
    ) {
        let drivers = Drivers {
            drivers: aliases.iter().map(|alias| driver("x", &[alias])).collect(),
            ..Drivers::default()
        };
        let matching = |at: &usize| glob::matches(&aliases[*at], &modalias);
        let all: Vec<usize> = (0..aliases.len()).filter(matching).collect();
        prop_assert_eq!(Lookup::new(&drivers).drivers(&modalias), all);
    }
}
