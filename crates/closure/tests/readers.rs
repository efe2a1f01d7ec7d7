//! The readers against every form that a version of Nix writes, and against wrong input.

use std::error::Error as _;

use proptest::prelude::*;
use storeboot_closure::{
    Closure, Error, NarHash, PathInfo, Registration, StoreDir, StorePath, graph_from_value,
    read_closure_info, read_graph, read_path_info, read_registration,
};

const BAR: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar";
const FOO: &str = "n5wkd9frr45pa74if5gpz9j7mifg27fh-foo";
const DRV: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar.drv";
const HEX: &str = "15e3c560894cbb27085cf65b5a2ecb18488c999497f4531b6907a7581ce6d527";
const SRI: &str = "sha256-FePFYIlMuycIXPZbWi7LGEiMmZSX9FMbaQenWBzm1Sc=";

fn store() -> StoreDir {
    StoreDir::default()
}

fn path(base_name: &str) -> StorePath {
    StorePath::from_basename(base_name.as_bytes()).unwrap()
}

fn info(name: &str, size: u64, references: &[&str], deriver: Option<&str>) -> PathInfo {
    let mut info = PathInfo::new(path(name), references.iter().map(|name| path(name)));
    info.nar_hash = Some(HEX.parse().unwrap());
    info.nar_size = Some(size);
    info.deriver = deriver.map(path);
    info
}

/// bar, which refers to itself and to foo.
fn expected() -> Closure {
    let infos = [
        info(FOO, 120, &[], None),
        info(BAR, 34_878, &[BAR, FOO], Some(DRV)),
    ];
    Closure::new(store(), infos).unwrap()
}

fn path_info(json: &str) -> Result<Closure, Error> {
    read_path_info(json.as_bytes(), &store())
}

/// The list of Nix up to 2.18.
fn list() -> String {
    format!(
        r#"[ {{ "path": "/nix/store/{BAR}", "narHash": "{SRI}", "narSize": 34878, "ultimate": true,
               "references": [ "/nix/store/{BAR}", "/nix/store/{FOO}" ], "closureSize": 34998,
               "deriver": "/nix/store/{DRV}", "registrationTime": 23423, "signatures": [ "a:b" ] }},
             {{ "path": "/nix/store/{FOO}", "narHash": "sha256:{HEX}", "narSize": 120, "references": [] }} ]"#
    )
}

/// The map of Nix from 2.19 on.
fn map() -> String {
    format!(
        r#"{{ "/nix/store/{BAR}": {{ "ca": null, "narHash": "{SRI}", "narSize": 34878,
               "references": [ "/nix/store/{BAR}", "/nix/store/{FOO}" ],
               "deriver": "/nix/store/{DRV}", "storeDir": "/nix/store", "version": 1 }},
             "/nix/store/{FOO}": {{ "ca": null, "narHash": "{SRI}", "narSize": 120, "references": [],
               "deriver": null }} }}"#
    )
}

/// The map of Nix from 2.33 on, with the hash in the two forms it has had.
fn wrapped() -> String {
    format!(
        r#"{{ "version": 2, "storeDir": "/nix/store", "info": {{
             "{BAR}": {{ "ca": {{ "hash": "{SRI}", "method": "nar" }}, "narSize": 34878,
               "narHash": {{ "algorithm": "sha256", "format": "base16", "hash": "{HEX}" }},
               "references": [ "{BAR}", "{FOO}" ], "deriver": "{DRV}", "version": 2 }},
             "{FOO}": {{ "narHash": "{SRI}", "narSize": 120, "references": [], "deriver": null,
               "signatures": [ {{ "keyName": "a", "sig": "b" }} ] }} }} }}"#
    )
}

#[test]
fn every_version_of_path_info_is_read() {
    for json in [list(), map(), wrapped()] {
        assert_eq!(path_info(&json).unwrap(), expected(), "{json}");
    }
    let mut other_store = map().replace("/nix/store", "/gnu/store");
    assert!(path_info(&other_store).is_err());
    let gnu = StoreDir::new("/gnu/store").unwrap();
    let read = read_path_info(other_store.as_bytes(), &gnu).unwrap();
    assert_eq!(read.len(), 2);
    other_store = wrapped();
    let wrong_store = read_path_info(other_store.as_bytes(), &gnu).unwrap_err();
    let text = wrong_store.to_string();
    assert!(
        text.contains("describes the store \"/nix/store\", not /gnu/store"),
        "{text}"
    );
}

#[test]
fn paths_that_nix_does_not_have_are_errors() {
    for json in [
        format!(r#"[ {{ "path": "/nix/store/{FOO}", "valid": false }} ]"#),
        format!(r#"{{ "/nix/store/{FOO}": null }}"#),
        format!(r#"{{ "version": 3, "info": {{ "{FOO}": null }} }}"#),
    ] {
        let error = path_info(&json).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{json}: {error}");
        assert!(error.to_string().contains("-foo"), "{error}");
    }
}

#[test]
fn open_and_contradictory_closures_are_errors() {
    let open = list().replace(
        &format!(r#""path": "/nix/store/{FOO}""#),
        &format!(r#""path": "/nix/store/{DRV}""#),
    );
    let text = path_info(&open).unwrap_err().to_string();
    assert_eq!(
        text,
        format!(
            "the closure is not closed: /nix/store/{BAR} refers to /nix/store/{FOO}, which is not in it"
        )
    );

    // In a map, serde_json alone would take the last one.
    let foo = format!(
        r#""/nix/store/{FOO}": {{ "narHash": "{SRI}", "narSize": 120, "references": [] }}"#
    );
    let same = format!("{{ {foo}, {foo} }}");
    assert_eq!(path_info(&same).unwrap().len(), 1);
    let other = format!("{{ {foo}, {} }}", foo.replace("120", "128"));
    let text = path_info(&other).unwrap_err().to_string();
    assert_eq!(
        text,
        format!("/nix/store/{FOO} is described twice, with different NAR sizes")
    );

    let cycle = [info(FOO, 120, &[BAR], None), info(BAR, 120, &[FOO], None)];
    let text = Closure::new(store(), cycle).unwrap_err().to_string();
    assert!(
        text.contains(&format!("{BAR} -> /nix/store/{FOO} -> /nix/store/{BAR}")),
        "{text}"
    );
}

#[test]
fn more_is_kept_where_it_is_known_once() {
    let bare = PathInfo::new(path(FOO), []);
    let full = info(FOO, 120, &[], None);
    for infos in [[bare.clone(), full.clone()], [full.clone(), bare]] {
        let closure = Closure::new(store(), infos).unwrap();
        assert_eq!(closure.get(&path(FOO)), Some(&full));
    }
}

#[test]
fn nonsense_is_told_in_one_line() {
    let long = "x".repeat(1 << 20);
    for json in [
        "",
        "{}",
        "[]",
        "null",
        "[ 1 ]",
        r#"[ { "references": [] } ]"#,
        &format!(r#"[ {{ "path": "/nix/store/{FOO}" }} ]"#),
        &format!(r#"[ {{ "path": "/nix/store/{FOO}", "references": [ "{long}" ] }} ]"#),
        &format!(r#"[ {{ "path": "{long}", "references": [] }} ]"#),
        &format!(r#"[ {{ "path": "/nix/store/{FOO}/bin", "references": [] }} ]"#),
        &format!(r#"[ {{ "path": "../{FOO}", "references": [] }} ]"#),
        &format!(r#"[ {{ "path": "/nix/store/{FOO}", "references": [], "narHash": "{long}" }} ]"#),
        &format!(r#"[ {{ "path": "/nix/store/{FOO}", "references": [], "narSize": -1 }} ]"#),
        &format!(r#"{{ "info": "{long}" }}"#),
        &"[".repeat(100_000),
        &format!("{} [", list()),
    ] {
        let text = path_info(json).unwrap_err().to_string();
        assert!(text.len() < 1000 && !text.contains('\n'), "{text}");
        read_graph(json.as_bytes(), &store()).unwrap_err();
    }
}

#[test]
fn the_graph_is_read_in_both_forms() {
    let read = |text: &str| read_graph(text.as_bytes(), &store());
    assert_eq!(read(&list()).unwrap(), expected());
    let value = serde_json::from_str(&list()).unwrap();
    assert_eq!(graph_from_value(value, &store()).unwrap(), expected());

    let text = format!(
        "/nix/store/{BAR}\n/nix/store/{DRV}\n2\n/nix/store/{BAR}\n/nix/store/{FOO}\n\
         /nix/store/{FOO}\n\n0\n"
    );
    let closure = read(&text).unwrap();
    assert_eq!(closure.len(), 2);
    assert_eq!(closure.nar_size(), None);
    assert_eq!(closure.get(&path(BAR)).unwrap().deriver, Some(path(DRV)));
    // Every cut is noticed, except between two paths, which leaves the closure open or smaller.
    let between = text.find(&format!("/nix/store/{FOO}\n\n")).unwrap();
    for cut in (0..text.len()).filter(|cut| *cut != between) {
        assert!(read(&text[..cut]).is_err(), "{:?}", &text[..cut]);
    }
    assert!(matches!(
        read(&text[..between]),
        Err(Error::NotClosed { .. })
    ));
}

#[test]
fn wrong_lines_are_numbered() {
    let good = format!("/nix/store/{FOO}\n{HEX}\n120\n\n0\n");
    let read = |text: String| read_registration(text.as_bytes(), &store());
    assert_eq!(read(good.clone()).unwrap().len(), 1);
    for (number, wrong) in [
        (1, good.replace("/nix", "/nux")),
        (2, good.replace(HEX, &HEX[1..])),
        (3, good.replace("120", "+120")),
        (3, good.replace("120", "99999999999999999999")),
        (4, good.replace("\n\n0", "\nderiver\n0")),
        (5, good.replace("\n\n0", "\n\n-1")),
        (6, good.replace("\n\n0", "\n\n18446744073709551615")),
        (5, good.trim_end().to_owned()),
        (6, good + "\n"),
    ] {
        match read(wrong.clone()) {
            Err(Error::Line { line, .. }) => assert_eq!(line, number, "{wrong}"),
            other => panic!("{wrong}: {other:?}"),
        }
    }
}

#[test]
fn files_are_named_in_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registration");
    let read = || read_closure_info(dir.path(), &store()).unwrap_err();
    let shown = path.display();
    // The cause is the source, and not a part of the text as well.
    let error = read();
    assert_eq!(error.to_string(), format!("cannot read {shown}"));
    assert_eq!(error.path(), Some(path.as_path()));
    let missing = error.io_error().unwrap();
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(error.source().unwrap().to_string(), missing.to_string());
    std::fs::write(&path, "nonsense\n").unwrap();
    let error = read();
    assert_eq!(error.to_string(), format!("cannot use {shown}"));
    assert_eq!(error.path(), Some(path.as_path()));
    assert!(error.io_error().is_none());
    let source = error.source().unwrap().to_string();
    assert!(source.starts_with("line 1: "), "{source}");
}

/// Closures of some paths, each of which refers to some with a lower number and perhaps itself.
fn closures() -> impl Strategy<Value = Closure> {
    let one = (
        any::<[u8; 20]>(),
        any::<[u8; 32]>(),
        1_u64..u64::MAX >> 8,
        any::<u16>(),
        any::<bool>(),
    );
    prop::collection::vec(one, 1..12).prop_map(|parts| {
        let name = |n: usize| StorePath::from_parts(parts[n].0, &format!("p{n}")).unwrap();
        let infos = parts
            .iter()
            .enumerate()
            .map(|(n, (_, hash, size, references, deriver))| {
                let references = (0..=n).filter(|bit| references >> bit & 1 == 1).map(name);
                let mut info = PathInfo::new(name(n), references);
                info.nar_hash = Some(NarHash::new(*hash));
                info.nar_size = Some(*size);
                info.deriver = deriver.then(|| path(DRV));
                info
            });
        Closure::new(store(), infos).unwrap()
    })
}

/// Bytes of what the readers know, and others.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "/nix/store/",
        FOO,
        BAR,
        HEX,
        SRI,
        "\n",
        "0\n",
        "1\n",
        "[",
        "]",
        "{",
        "}",
        "\"",
        ":",
        ",",
        "\"path\"",
        "\"references\"",
        "\"info\"",
        "null",
        "sha256:",
        "99999999999999999999",
    ];
    let word = prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec());
    let piece = prop_oneof![4 => word, 1 => prop::collection::vec(any::<u8>(), 0..8)];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn read_all(bytes: &[u8]) {
    let _ = read_graph(bytes, &store());
    let _ = read_path_info(bytes, &store());
    let _ = read_registration(bytes, &store());
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<NarHash>();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_registration_reads_back(closure in closures()) {
        let mut bytes = Vec::new();
        closure.write_registration(&mut bytes, Registration::DumpDb).unwrap();
        prop_assert_eq!(&read_registration(&bytes[..], &store()).unwrap(), &closure);

        bytes.clear();
        closure.write_registration(&mut bytes, Registration::ClosureInfo).unwrap();
        let back = read_registration(&bytes[..], &store()).unwrap();
        prop_assert!(back.paths().all(|info| info.deriver.is_none()));
        for (info, back) in closure.paths().zip(back.paths()) {
            let mut info = info.clone();
            info.deriver = None;
            prop_assert_eq!(&info, back);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in nonsense()) {
        read_all(&bytes);
    }

    #[test]
    fn no_change_makes_a_reader_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let registration = format!("/nix/store/{FOO}\n{HEX}\n120\n\n1\n/nix/store/{FOO}\n");
        for text in [list(), map(), wrapped(), registration] {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            read_all(&bytes);
        }
    }
}
