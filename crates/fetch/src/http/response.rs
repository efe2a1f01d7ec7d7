//! What is answered: the head of a response.

use alloc::string::{String, ToString};
use core::fmt;

use httparse::{EMPTY_HEADER, Response};

/// The longest head of a response that is read, in bytes.
pub const MAX_HEAD: usize = 16 << 10;
/// The most headers that are read.
const MAX_HEADERS: usize = 64;

/// What the head of a response says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The number of bytes that follow; `None`: all until the connection ends.
    pub length: Option<u64>,
    /// Which bytes of the file follow.
    pub range: Option<ContentRange>,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Seconds after which the server wants to be asked again.
    pub retry_after: Option<u32>,
    /// Whether the server takes another request on this connection.
    pub keeps_alive: bool,
    /// How the bytes are encoded, if they are: what the server was asked not to do.
    pub encoding: Option<String>,
}

/// Which bytes of a file a response holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte and the last one; `None` where the file has none of the bytes that were asked for.
    pub bytes: Option<(u64, u64)>,
    /// The size of the file, if the server knows it.
    pub total: Option<u64>,
}

/// Why a head is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// It does not follow the rules of HTTP/1.
    NoHttp,
    /// It has more than [`MAX_HEAD`] bytes or too many headers.
    TooLong,
    /// A header that matters cannot be read, or is there twice with different values.
    Header(&'static str),
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHttp => f.write_str("the answer is not HTTP"),
            Self::TooLong => write!(
                f,
                "the head of the answer has more than {MAX_HEAD} bytes or {MAX_HEADERS} headers"
            ),
            Self::Header(name) => write!(f, "the header {name} of the answer cannot be read"),
        }
    }
}

impl core::error::Error for HeadError {}

/// Reads a head; `None` while its end is missing. The number is that of its bytes, behind which the body begins.
///
/// ```
/// use storeboot_fetch::http::parse_head;
///
/// let answer = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/10\r\nContent-Length: 4\r\n\r\nhsqs";
/// let (head, length) = parse_head(answer)?.expect("whole");
/// assert_eq!((head.status, head.length), (206, Some(4)));
/// assert_eq!(&answer[length..], b"hsqs");
/// # Ok::<(), storeboot_fetch::http::HeadError>(())
/// ```
///
/// # Errors
/// Where it is not the head of an HTTP/1 response, or a header that matters cannot be read.
pub fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, HeadError> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(HeadError::TooLong);
        }
        Err(_) => return Err(HeadError::NoHttp),
    };
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(HeadError::NoHttp);
    };
    let mut head = Head {
        status,
        length: None,
        range: None,
        location: None,
        retry_after: None,
        keeps_alive: version == 1,
        encoding: None,
    };
    for header in response.headers.iter() {
        // A header that matters has only ASCII.
        let value = || str::from_utf8(header.value).ok().map(str::trim);
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("Content-Length") {
            let length = value().and_then(number);
            set(&mut head.length, length, "Content-Length")?;
        } else if is("Content-Range") {
            set(
                &mut head.range,
                value().and_then(content_range),
                "Content-Range",
            )?;
        } else if is("Location") {
            head.location = value().map(ToString::to_string);
        } else if is("Retry-After") {
            // A date instead of seconds needs a clock that is right: that one is left out.
            head.retry_after = value()
                .and_then(number)
                .map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
        } else if is("Connection") {
            for word in value().unwrap_or_default().split(',').map(str::trim) {
                if word.eq_ignore_ascii_case("close") {
                    head.keeps_alive = false;
                } else if word.eq_ignore_ascii_case("keep-alive") {
                    head.keeps_alive = true;
                }
            }
        } else if is("Transfer-Encoding") || is("Content-Encoding") {
            let encoding = value().unwrap_or("unknown");
            if !encoding.eq_ignore_ascii_case("identity") {
                head.encoding = Some(encoding.chars().take(40).collect());
            }
        }
    }
    Ok(Some((head, length)))
}

/// Sets what may be there once, or more often with one value.
fn set<T: PartialEq>(
    place: &mut Option<T>,
    value: Option<T>,
    name: &'static str,
) -> Result<(), HeadError> {
    let value = value.ok_or(HeadError::Header(name))?;
    match place.replace(value) {
        Some(before) if Some(&before) != place.as_ref() => Err(HeadError::Header(name)),
        _ => Ok(()),
    }
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// `bytes 0-3/10`, `bytes 0-3/*` or `bytes */10`.
fn content_range(text: &str) -> Option<ContentRange> {
    let (unit, rest) = text.split_once(' ')?;
    let (bytes, total) = rest.trim().split_once('/')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let bytes = match bytes {
        "*" => None,
        _ => {
            let (first, last) = bytes.split_once('-')?;
            let (first, last) = (number(first)?, number(last)?);
            Some((first, last)).filter(|_| first <= last && last < u64::MAX)
        }
        .map(Some)?,
    };
    let total = match total {
        "*" => None,
        total => Some(number(total)?),
    };
    Some(ContentRange { bytes, total })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(text: &str) -> Result<Head, HeadError> {
        parse_head(text.as_bytes()).map(|found| found.expect("whole").0)
    }

    #[test]
    fn headers_that_matter() {
        let found = head(
            "HTTP/1.1 503 Busy\r\nretry-after: 7\r\nConnection: close\r\nContent-Encoding: gzip\r\n\
             Location: /x\r\nContent-Range: bytes */10\r\n\r\n",
        )
        .unwrap();
        assert_eq!(
            (found.status, found.retry_after, found.keeps_alive),
            (503, Some(7), false)
        );
        assert_eq!(found.encoding.as_deref(), Some("gzip"));
        assert_eq!(found.location.as_deref(), Some("/x"));
        let none = ContentRange {
            bytes: None,
            total: Some(10),
        };
        assert_eq!(found.range, Some(none));
        let old =
            head("HTTP/1.0 200 OK\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n\r\n").unwrap();
        assert_eq!(
            (old.keeps_alive, old.length, old.retry_after),
            (false, None, None)
        );
        let kept = head("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n").unwrap();
        assert!(kept.keeps_alive);
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let with = |header: &str| head(&["HTTP/1.1 206 x\r\n", header, "\r\n\r\n"].concat());
        for length in ["+1", "-1", "1,2", "", "99999999999999999999"] {
            let length = ["Content-Length: ", length].concat();
            assert_eq!(
                with(&length),
                Err(HeadError::Header("Content-Length")),
                "{length}"
            );
        }
        assert_eq!(
            with("Content-Length: 1\r\nContent-Length: 2"),
            Err(HeadError::Header("Content-Length"))
        );
        assert_eq!(
            with("Content-Length: 1\r\nContent-Length: 1")
                .unwrap()
                .length,
            Some(1)
        );
        for range in [
            "bytes 3-2/9",
            "bytes 1/9",
            "lines 0-1/9",
            "bytes 0-1",
            "bytes 0-x/9",
            "bytes 0-1/x",
        ] {
            let range = ["Content-Range: ", range].concat();
            assert_eq!(
                with(&range),
                Err(HeadError::Header("Content-Range")),
                "{range}"
            );
        }
        assert_eq!(head("hello\r\n\r\n"), Err(HeadError::NoHttp));
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\nX"), Ok(None));
        let long = ["HTTP/1.1 200 OK\r\nX: ", &"x".repeat(MAX_HEAD)].concat();
        assert_eq!(parse_head(long.as_bytes()), Err(HeadError::TooLong));
        assert_eq!(
            with(&"A: b\r\n".repeat(MAX_HEADERS + 1)),
            Err(HeadError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_head(&bytes);
            let _ = parse_head(&[b"HTTP/1.1 206 x\r\nContent-Range: bytes ", &bytes[..], b"\r\n\r\n"].concat());
        }

        #[test]
        fn a_head_in_pieces_is_the_same_head(first in any::<u32>(), more in any::<u32>(), cut in 0_usize..200) {
            let (first, last) = (u64::from(first), u64::from(first) + u64::from(more));
            let text = std::format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{}\r\nContent-Length: {}\r\n\r\nbody",
                last + 1, last - first + 1,
            );
            let (found, length) = parse_head(text.as_bytes()).unwrap().unwrap();
            prop_assert_eq!(&text[length..], "body");
            prop_assert_eq!(found.range, Some(ContentRange { bytes: Some((first, last)), total: Some(last + 1) }));
            prop_assert_eq!(found.length, Some(last - first + 1));
            let part = &text.as_bytes()[..cut.min(length - 1)];
            prop_assert_eq!(parse_head(part), Ok(None));
        }
    }
}
