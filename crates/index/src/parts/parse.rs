//! Parses the list of a [`PartedFile`].

use alloc::vec::Vec;

use super::write::is_plain;
use super::{MAX_LIST, MAX_PARTS, PARTS_HEADER, Part, PartedFile};
use crate::parse::{ascii, fields, number, push};
use crate::{ParseError, Reason, hex};

impl PartedFile {
    /// Parses a list. Hostile input is safe: this never panics, and takes at most a few times the text's memory. A list
    /// that was cut off anywhere is an error.
    ///
    /// ```
    /// use storeboot_index::{PartedFile, Reason};
    ///
    /// let list = "storeboot-parts 1\nfile 5000000000 444 1 ../etc/passwd\npart 0 4096\n";
    /// let error = PartedFile::parse(list.as_bytes()).unwrap_err();
    /// assert_eq!(error.reason, Reason::FilePath);
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let whole = |reason| ParseError { line: 0, reason };
        if text.len() > MAX_LIST {
            return Err(whole(Reason::ListTooLong(text.len())));
        }
        let mut lines = text.split(|&b| b == b'\n');
        let rest = lines.next_back().unwrap_or_default();
        if !rest.is_empty() || text.is_empty() {
            return Err(whole(Reason::CutOff));
        }
        let mut found: Option<(Self, usize)> = None;
        for (number, line) in (1..).zip(lines) {
            let here = |reason| ParseError {
                line: number,
                reason,
            };
            let line = ascii(line).map_err(here)?;
            match (number, &mut found) {
                (1, _) if line == PARTS_HEADER => {}
                (1, _) => return Err(here(Reason::NoPartsHeader)),
                (_, None) => found = Some(file(line).map_err(here)?),
                (_, Some((file, _))) => {
                    let part = part(line).map_err(here)?;
                    push(&mut file.parts, MAX_PARTS, Reason::TooManyParts, part).map_err(here)?;
                }
            }
        }
        let (file, count) = found.ok_or_else(|| whole(Reason::Missing("file")))?;
        if file.parts.len() != count {
            return Err(whole(Reason::PartCount));
        }
        file.check().map_err(whole)?;
        Ok(file)
    }
}

/// The line of the file, with the number of parts that it gives.
fn file(line: &str) -> Result<(PartedFile, usize), Reason> {
    let Some(rest) = line.strip_prefix("file ") else {
        return Err(Reason::Missing("file"));
    };
    let [size, mode, count, path] = fields("file", rest)?;
    let file = PartedFile {
        path: unescaped(path).ok_or(Reason::FilePath)?,
        executable: match mode {
            "444" => false,
            "555" => true,
            _ => return Err(Reason::Mode),
        },
        size: number("file's size", size)?,
        parts: Vec::new(),
    };
    let count = number("number of parts", count)?;
    let count = usize::try_from(count).map_err(|_| Reason::TooManyParts)?;
    Ok((file, count))
}

fn part(line: &str) -> Result<Part, Reason> {
    let Some(rest) = line.strip_prefix("part ") else {
        return Err(Reason::UnknownKey(
            line.split(' ')
                .next()
                .unwrap_or("")
                .chars()
                .take(40)
                .collect(),
        ));
    };
    let [offset, size] = fields("part", rest)?;
    Ok(Part {
        offset: number("part's offset", offset)?,
        size: number("part's size", size)?,
    })
}

/// The bytes of a path. A path has one text: a byte that can stand for itself must not be escaped.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('%') {
        path.extend_from_slice(plain.as_bytes());
        let [byte] = hex::decode(escaped.get(..2)?)?;
        if is_plain(byte) {
            return None;
        }
        path.push(byte);
        rest = escaped.get(2..)?;
    }
    path.extend_from_slice(rest.as_bytes());
    Some(path)
}
