//! The two text forms: the classic one of exportReferencesGraph, and the registration, which has two more lines for
//! each path: its NAR hash and size.

use std::io::Read;

use nix_derivation::{StoreDir, StorePath};

use crate::excerpt::beginning;
use crate::info::PathInfo;
use crate::limits::{MAX_PATHS, read_all};
use crate::parse::{known, parse_path};
use crate::{Closure, Error};

/// Reads what `nix-store --dump-db` prints, and what `nix-store --load-db` and
/// `nix-store --register-validity --hash-given` take.
///
/// ```
/// use storeboot_closure::{StoreDir, read_registration};
///
/// let text = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello
/// 15e3c560894cbb27085cf65b5a2ecb18488c999497f4531b6907a7581ce6d527
/// 226552
///
/// 0
/// ";
/// let closure = read_registration(text.as_bytes(), &StoreDir::default())?;
/// assert_eq!(closure.nar_size(), Some(226_552));
/// # Ok::<(), storeboot_closure::Error>(())
/// ```
pub fn read_registration(reader: impl Read, store_dir: &StoreDir) -> Result<Closure, Error> {
    read_text(&read_all(reader)?, store_dir, Form::Registration)
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Graph,
    Registration,
}

/// Reads the classic text of exportReferencesGraph.
pub(crate) fn graph(bytes: &[u8], store_dir: &StoreDir) -> Result<Closure, Error> {
    read_text(bytes, store_dir, Form::Graph)
}

fn read_text(bytes: &[u8], store_dir: &StoreDir, form: Form) -> Result<Closure, Error> {
    Closure::new(store_dir.clone(), infos(bytes, store_dir, form)?)
}

/// Reads a registration whose paths need not be closed under references.
pub(crate) fn registration_infos(
    bytes: &[u8],
    store_dir: &StoreDir,
) -> Result<Vec<PathInfo>, Error> {
    infos(bytes, store_dir, Form::Registration)
}

fn infos(bytes: &[u8], store_dir: &StoreDir, form: Form) -> Result<Vec<PathInfo>, Error> {
    let mut lines = Lines {
        rest: bytes,
        line: 0,
        store_dir,
    };
    let mut infos = Vec::new();
    while !lines.rest.is_empty() {
        infos.push(lines.info(form)?);
        if infos.len() > MAX_PATHS {
            return Err(Error::TooManyPaths { limit: MAX_PATHS });
        }
    }
    Ok(infos)
}

/// The remaining lines and the number of the line read last.
struct Lines<'a> {
    rest: &'a [u8],
    line: usize,
    store_dir: &'a StoreDir,
}

impl<'a> Lines<'a> {
    fn info(&mut self, form: Form) -> Result<PathInfo, Error> {
        let path = self.store_path_line("a store path")?;
        let (mut nar_hash, mut nar_size) = (None, None);
        if form == Form::Registration {
            let hash = self.text("a NAR hash")?;
            nar_hash = Some(hash.parse().map_err(|error| self.wrong(error))?);
            nar_size = known(self.number("the size of a NAR")?);
        }
        let deriver = match self.next("a deriver, or an empty line for none")? {
            b"" => None,
            line => Some(self.store_path(line)?),
        };
        // Reserves no memory: the number may be wrong, and each reference has to have its line.
        let mut references = Vec::new();
        for _ in 0..self.number("the number of references")? {
            references.push(self.store_path_line("a reference")?);
        }
        Ok(PathInfo {
            nar_hash,
            nar_size,
            deriver,
            ..PathInfo::new(path, references)
        })
    }

    /// Takes a line, without its end. Like Nix, refuses a last line without an end: the file may have been cut off.
    fn next(&mut self, what: &str) -> Result<&'a [u8], Error> {
        self.line += 1;
        let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') else {
            return Err(self.wrong(format!("the text ends where {what} should be")));
        };
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(line)
    }

    fn text(&mut self, what: &str) -> Result<&'a str, Error> {
        let line = self.next(what)?;
        std::str::from_utf8(line).map_err(|_| self.wrong(format!("{} is not {what}", show(line))))
    }

    fn number(&mut self, what: &str) -> Result<u64, Error> {
        let text = self.text(what)?;
        // parse() would take a sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.ok_or_else(|| self.wrong(format!("{} is not {what}", show(text.as_bytes()))))
    }

    fn store_path_line(&mut self, what: &str) -> Result<StorePath, Error> {
        let line = self.next(what)?;
        self.store_path(line)
    }

    fn store_path(&self, line: &[u8]) -> Result<StorePath, Error> {
        parse_path(line, self.store_dir).map_err(|error| self.wrong(error))
    }

    fn wrong(&self, reason: impl ToString) -> Error {
        Error::line(self.line, reason)
    }
}

fn show(bytes: &[u8]) -> String {
    format!("{:?}", beginning(bytes))
}
