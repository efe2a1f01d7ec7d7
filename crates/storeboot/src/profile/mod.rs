//! Boot profiles: which files of a store a boot reads, in the order of first use.
//!
//! [`hot`] finds the files of a profile in a store; [`renamed`] those that have another version in their names.

pub(crate) mod hot;
mod renamed;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use crate::Error;

/// The first line of a profile.
const HEADER: &str = "storeboot profile 1";
/// Bytes of a profile at most.
const MAX_BYTES: u64 = 32 << 20;
/// Files of a profile at most.
const MAX_FILES: usize = 200_000;
/// Ranges of a file at most.
const MAX_RANGES: usize = 64;
/// Bytes of a line at most: the longest path that Linux takes, and some ranges.
const MAX_LINE: usize = 8192;
/// Bytes of a name at most, as in a squashfs.
const MAX_NAME: usize = 255;

/// The files that a boot reads, in the order of first use.
///
/// A profile is text. Its first line is `storeboot profile 1`. Each further line names a file by the base name of its
/// store path without the hash, and by its path inside: so a profile serves later builds of the same system. After a
/// tab there may be the ranges that are read, as `START-END`, with the first byte after the range as its end, and with
/// commas between them. Empty lines and lines that begin with `#` count for nothing.
///
/// ```
/// use storeboot::Profile;
///
/// let text = b"storeboot profile 1\n\
///     systemd-257.9/lib/systemd/systemd\n\
///     glibc-2.40-66/lib/libc.so.6\t0-65536,524288-1052672\n";
/// assert_eq!(Profile::parse(text)?.len(), 2);
///
/// let outside = Profile::parse(b"storeboot profile 1\nbash-5.2/../../etc/shadow\n");
/// assert!(outside.is_err());
/// # Ok::<(), storeboot::ProfileError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    files: Vec<ProfileFile>,
}

/// A file of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileFile {
    /// The store path's base name without its hash.
    pub(crate) name: Box<[u8]>,
    /// The path inside; empty where the store path is the file.
    pub(crate) inside: Box<[u8]>,
    /// What is read of it; empty: all.
    ranges: Vec<Range<u64>>,
}

/// Why a text is not a profile.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileError {
    /// It begins with something else.
    #[error("it is no boot profile: its first line is not {HEADER}")]
    Header,
    /// It is too long.
    #[error("it is larger than a boot profile may be, {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    /// It names too many files.
    #[error("it names more files than a boot profile may, {MAX_FILES}")]
    TooManyFiles,
    /// A line is not one of a profile.
    #[error("line {line}: {fault}")]
    Line {
        /// Its number, from 1 on.
        line: usize,
        /// What is wrong with it.
        fault: &'static str,
    },
}

impl Profile {
    /// Reads a profile from a file.
    ///
    /// # Errors
    /// Where the file cannot be read, and where [`Self::parse`] refuses it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refused = |source| Error::Profile {
            path: path.into(),
            source,
        };
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text))
            .map_err(Error::read(path))?;
        Self::parse(&text).map_err(refused)
    }

    /// Parses the text of a profile. If a file is named twice, its first place counts, and what is read is joined.
    ///
    /// # Errors
    /// Where the text is not a profile, and where it is larger than a boot can make one: 32 MiB, or 200000 files.
    pub fn parse(text: &[u8]) -> Result<Self, ProfileError> {
        if text.len() as u64 > MAX_BYTES {
            return Err(ProfileError::TooLarge);
        }
        let mut lines = text.split(|&byte| byte == b'\n').zip(1..);
        if lines
            .next()
            .is_none_or(|(first, _)| first != HEADER.as_bytes())
        {
            return Err(ProfileError::Header);
        }
        let mut files: Vec<ProfileFile> = Vec::new();
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        for (text, line) in lines {
            if text.is_empty() || text.starts_with(b"#") {
                continue;
            }
            let (path, ranges) =
                parse_line(text).map_err(|fault| ProfileError::Line { line, fault })?;
            match places.get(path) {
                Some(&place) => files[place].join(ranges),
                None if files.len() == MAX_FILES => return Err(ProfileError::TooManyFiles),
                None => {
                    places.insert(path, files.len());
                    let (name, inside) = split(path);
                    files.push(ProfileFile {
                        name: name.into(),
                        inside: inside.into(),
                        ranges,
                    });
                }
            }
        }
        Ok(Self { files })
    }

    /// How many files it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub(crate) fn files(&self) -> &[ProfileFile] {
        &self.files
    }
}

impl ProfileFile {
    /// Whether a boot reads something from this byte on.
    pub(crate) fn reads_from(&self, start: u64) -> bool {
        self.ranges.is_empty() || self.ranges.iter().any(|range| range.end > start)
    }

    fn join(&mut self, ranges: Vec<Range<u64>>) {
        if self.ranges.is_empty() || ranges.is_empty() {
            self.ranges.clear();
            return;
        }
        self.ranges.extend(ranges);
        if self.ranges.len() > MAX_RANGES {
            let start = self.ranges.iter().map(|range| range.start).min();
            let end = self.ranges.iter().map(|range| range.end).max();
            self.ranges = std::iter::once(start.unwrap_or(0)..end.unwrap_or(u64::MAX)).collect();
        }
    }
}

/// The store path's name, and the path inside it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().position(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, b""),
    }
}

fn parse_line(line: &[u8]) -> Result<(&[u8], Vec<Range<u64>>), &'static str> {
    if line.len() > MAX_LINE {
        return Err("it is too long");
    }
    let (path, ranges) = match line.iter().position(|&byte| byte == b'\t') {
        Some(at) => (&line[..at], parse_ranges(&line[at + 1..])?),
        None => (line, Vec::new()),
    };
    if path.starts_with(b"/") {
        return Err("a name begins with the store path's name, and not with a slash");
    }
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" => return Err("a name has two slashes in a row, or one at its end"),
            b"." | b".." => return Err("a name leads out of its store path"),
            _ if part.len() > MAX_NAME => return Err("a name is too long"),
            _ if part.iter().any(u8::is_ascii_control) => {
                return Err("a name has control characters");
            }
            _ => {}
        }
    }
    Ok((path, ranges))
}

fn parse_ranges(text: &[u8]) -> Result<Vec<Range<u64>>, &'static str> {
    const FAULT: &str = "the ranges after the tab are not START-END with commas between them";
    let text = std::str::from_utf8(text).map_err(|_| FAULT)?;
    let number = |text: &str| -> Result<u64, &'static str> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or(FAULT)
    };
    let mut ranges = Vec::new();
    for range in text.split(',') {
        let (start, end) = range.split_once('-').ok_or(FAULT)?;
        let range = number(start)?..number(end)?;
        if range.is_empty() {
            return Err("a range ends before it begins");
        }
        if ranges.len() == MAX_RANGES {
            return Err("there are more than 64 ranges");
        }
        ranges.push(range);
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests;
