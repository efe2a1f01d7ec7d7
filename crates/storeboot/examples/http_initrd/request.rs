//! Parses HTTP requests.

use std::io::{self, BufRead, BufReader, Read};

/// The largest size of a request with its headers.
pub const LONGEST: u64 = 16 << 10;

/// The parts of a request that the server uses.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD` or a method that the server refuses.
    pub method: String,
    /// The path, with its leading slash and without the query.
    pub path: String,
    /// The requested range, if any.
    pub range: Option<Range>,
    /// The tag for which the range applies, if any.
    pub if_range: Option<String>,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// From the first byte to the last, both included; `None` is the end.
    From(u64, Option<u64>),
    /// This many bytes at the end.
    Last(u64),
}

impl Request {
    /// Reads a request. Returns `None` if it is not valid.
    pub fn read(stream: impl Read) -> io::Result<Option<Self>> {
        let mut lines = BufReader::new(stream.take(LONGEST));
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let mut words = line.split_ascii_whitespace();
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Ok(None);
        };
        if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
            return Ok(None);
        }
        let mut request = Self {
            method: method.into(),
            path: target.split('?').next().unwrap_or_default().into(),
            range: None,
            if_range: None,
        };
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                // The request ends before its empty line, or is too long.
                return Ok(None);
            }
            let line = line.trim_end();
            if line.is_empty() {
                return Ok(Some(request));
            }
            let Some((name, value)) = line.split_once(':') else {
                return Ok(None);
            };
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = Range::parse(value.trim()),
                "if-range" => request.if_range = Some(value.trim().into()),
                _ => {}
            }
        }
    }
}

impl Range {
    /// Parses a single range of bytes. Ignores several ranges and other units, as RFC 9110 says for servers that do not
    /// support them.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        match (first, last) {
            ("", last) => Some(Self::Last(last.parse().ok()?)),
            (first, "") => Some(Self::From(first.parse().ok()?, None)),
            (first, last) => {
                let (first, last) = (first.parse().ok()?, last.parse().ok()?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// Returns the start and the length of the range in a file of this size, or `None` if it is outside of the file.
    pub fn within(self, size: u64) -> Option<(u64, u64)> {
        let (first, end) = match self {
            Self::From(first, last) => (
                first,
                last.map_or(size, |last| last.saturating_add(1).min(size)),
            ),
            Self::Last(count) => (size.saturating_sub(count), size),
        };
        (first < end).then(|| (first, end - first))
    }
}
