use std::fs;

use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
use tempfile::TempDir;

use super::*;
use crate::Context;

/// More than are ever ahead.
const FILES: usize = 3 * BATCH as usize * (BATCHES + 2);

/// A store of three paths, the second of which has many files.
fn store() -> (TempDir, Store) {
    let scratch = tempfile::tempdir().expect("a folder");
    let place = scratch.path().join("nix/store");
    let names = ["a", "b", "c"].map(|letter| format!("{}-path", letter.repeat(32)));
    let mut infos = Vec::new();
    for name in &names {
        let folder = place.join(name);
        fs::create_dir_all(folder.join("empty")).expect("a folder");
        fs::write(folder.join("file"), name).expect("a file");
        std::os::unix::fs::symlink("file", folder.join("link")).expect("a link");
        let hash = format!("sha256-{}=", "A".repeat(43));
        infos.push(format!(
            r#"{{ "path": "/nix/store/{name}", "narHash": "{hash}", "narSize": 1, "references": [] }}"#
        ));
    }
    for number in 0..FILES {
        let file = place.join(&names[1]).join(number.to_string());
        fs::write(file, number.to_string()).expect("a file");
    }
    let list = format!("[{}]", infos.join(","));
    let closure = read_path_info(list.as_bytes(), &StoreDir::default()).expect("a closure");
    let store =
        Store::new(closure, StoreRoot::under(scratch.path()), &Context::new()).expect("a store");
    (scratch, store)
}

fn second(scratch: &TempDir) -> std::path::PathBuf {
    scratch
        .path()
        .join("nix/store")
        .join(format!("{}-path", "b".repeat(32)))
}

/// Notes what it is given.
#[derive(Default, PartialEq, Debug)]
struct Notes(Vec<String>);

impl Notes {
    fn note(&mut self, what: &str, name: &[u8]) -> Result<(), Error> {
        self.0
            .push(format!("{what} {}", String::from_utf8_lossy(name)));
        Ok(())
    }
}

impl Sink for Notes {
    fn enter(&mut self, name: &[u8]) -> Result<(), Error> {
        self.note("enter", name)
    }

    fn leave(&mut self) -> Result<(), Error> {
        self.note("leave", b"")
    }

    fn file(&mut self, name: &[u8], file: OpenFile) -> Result<(), Error> {
        let content = std::io::read_to_string(&file.file).expect("it is open");
        self.note(&format!("file with {content}"), name)
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        self.note(
            &format!("link to {}", String::from_utf8_lossy(target)),
            name,
        )
    }
}

fn notes(store: &Store) -> (Notes, Result<(), Error>) {
    let mut notes = Notes::default();
    let result = for_each(
        store,
        &store.packed().collect::<Vec<_>>(),
        &Cancel::new(),
        |_| None::<()>,
        |_, found| match found {
            Found::Walked(entries) => entries.feed(&mut notes),
            Found::Known(()) => panic!("nothing is known"),
        },
    );
    (notes, result)
}

#[test]
fn what_comes_is_what_a_walk_finds() {
    let (_scratch, store) = store();
    let mut expected = Notes::default();
    for info in store.packed() {
        let name = info.path.to_basename();
        walk(&store.locate(info), name.as_bytes(), &mut expected).expect("it can be walked");
    }
    assert!(expected.0.len() > FILES);
    let (found, result) = notes(&store);
    result.expect("it can be walked");
    assert_eq!(found, expected);
}

#[test]
fn what_is_known_is_not_walked() {
    let (scratch, store) = store();
    fs::remove_dir_all(second(&scratch)).expect("it is there");
    let mut notes = Notes::default();
    for_each(
        &store,
        &store.packed().collect::<Vec<_>>(),
        &Cancel::new(),
        |info| info.path.to_basename().starts_with('b').then_some("known"),
        |_, found| match found {
            Found::Walked(entries) => entries.feed(&mut notes),
            Found::Known(known) => notes.note(known, b""),
        },
    )
    .expect("the others can be walked");
    assert_eq!(notes.0.iter().filter(|note| *note == "known ").count(), 1);
    assert_eq!(notes.0.len(), 13);
}

#[test]
fn an_error_comes_when_what_is_before_it_was_taken() {
    let (scratch, store) = store();
    let pipe = second(&scratch).join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        0o644.into(),
        0,
    )
    .expect("a pipe");
    let (found, result) = notes(&store);
    let error = result.expect_err("a store has no pipes").to_string();
    assert!(error.contains(&*pipe.to_string_lossy()), "{error}");
    assert_eq!(
        found.0.last().map(String::as_str),
        Some("link to file link")
    );
    assert!(found.0.len() > FILES);
}

#[test]
fn who_takes_no_more_is_not_kept_waiting() {
    let (_scratch, store) = store();
    let mut taken = 0;
    let result = for_each(
        &store,
        &store.packed().collect::<Vec<_>>(),
        &Cancel::new(),
        |_| None::<()>,
        |_, _| {
            taken += 1;
            Err(Error::Inconsistent("enough".into()))
        },
    );
    let error = result.expect_err("it was enough").to_string();
    assert!(error.contains("enough"), "{error}");
    assert_eq!(taken, 1);
}

#[test]
fn a_build_that_is_cancelled_walks_no_further() {
    let (_scratch, store) = store();
    let cancel = Cancel::new();
    let mut taken = 0;
    let result = for_each(
        &store,
        &store.packed().collect::<Vec<_>>(),
        &cancel,
        |_| Some(()),
        |_, _| {
            taken += 1;
            cancel.cancel();
            Ok(())
        },
    );
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert_eq!(taken, 1);
}
