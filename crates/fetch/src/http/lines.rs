//! The lines of a response's head, by RFC 9112: a status line, then headers, then an empty line.
//!
//! Our own, since the well-kept parsers are those of servers, too: their `std` feature would come to stage 1 with any
//! program of the same workspace that has such a server.

/// A status line and headers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lines<'a> {
    /// The number behind `HTTP/1.`
    pub minor: u8,
    pub status: u16,
    rest: &'a [u8],
    /// The bytes of the head, the empty line included.
    pub length: usize,
}

/// The bytes do not follow the rules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoHead;

impl<'a> Lines<'a> {
    /// Looks for the end of the head; `None` while it is missing.
    pub fn find(bytes: &'a [u8]) -> Result<Option<Self>, NoHead> {
        let Some((line, mut rest)) = next_line(bytes) else {
            // What cannot become HTTP any more is not waited for.
            let count = bytes.len().min(START.len());
            return match bytes.get(..count) == START.get(..count) {
                true => Ok(None),
                false => Err(NoHead),
            };
        };
        let (minor, status) = status_line(line).ok_or(NoHead)?;
        let headers = rest;
        while let Some((line, behind)) = next_line(rest) {
            rest = behind;
            if line.is_empty() {
                return Ok(Some(Self {
                    minor,
                    status,
                    rest: headers,
                    length: bytes.len() - rest.len(),
                }));
            }
            header(line).ok_or(NoHead)?;
        }
        Ok(None)
    }

    /// The headers: names, and values without the blanks around them.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let mut rest = self.rest;
        core::iter::from_fn(move || {
            let (line, behind) = next_line(rest)?;
            rest = behind;
            header(line)
        })
    }
}

const START: &[u8] = b"HTTP/1.";

/// A line without its end, and what is behind it. A bare line feed ends a line, too.
fn next_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = bytes.get(..end)?;
    Some((
        line.strip_suffix(b"\r").unwrap_or(line),
        bytes.get(end + 1..)?,
    ))
}

/// `HTTP/1.1 206 Partial Content`, of which the reason may be missing.
fn status_line(line: &[u8]) -> Option<(u8, u16)> {
    let [minor @ (b'0' | b'1'), b' ', a, b, c, reason @ ..] = line.strip_prefix(START)? else {
        return None;
    };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let status = digit(a)? * 100 + digit(b)? * 10 + digit(c)?;
    let is_text = matches!(reason, [] | [b' ', ..]) && reason.iter().all(is_text);
    is_text.then_some((minor - b'0', status))
}

fn header(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let is_name = !name.is_empty() && name.iter().all(is_token);
    (is_name && value.iter().all(is_text))
        .then(|| Some((str::from_utf8(name).ok()?, value.trim_ascii())))?
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// RFC 9110, section 5.5.
fn is_text(byte: &u8) -> bool {
    *byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_head_has_a_status_and_headers() {
        let bytes = b"HTTP/1.0 200\nA: b\r\nc-d:\t e f \t\r\n\r\nbody";
        let lines = Lines::find(bytes).unwrap().unwrap();
        assert_eq!((lines.minor, lines.status, lines.length), (0, 200, 34));
        let headers: Vec<_> = lines.headers().collect();
        assert_eq!(headers, [("A", &b"b"[..]), ("c-d", b"e f")]);
        for end in 0..lines.length {
            assert_eq!(Lines::find(&bytes[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn what_is_no_head_is_known_at_once() {
        for bytes in [
            &b"SSH-2.0"[..],
            b"\r\n",
            b"HTTP/2 200\r\n",
            b"HTTP/1.1 20\r\n",
            b"HTTP/1.1 2000\r\n",
            b"HTTP/1.1 200 \x01\r\n",
            b"HTTP/1.1 200 OK\r\n: b\r\n",
            b"HTTP/1.1 200 OK\r\na b: c\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n",
            b"HTTP/1.1 200 OK\r\na: b\r\n folded\r\n",
            b"HTTP/1.1 200 OK\r\na: \x00\r\n",
        ] {
            assert_eq!(Lines::find(bytes), Err(NoHead), "{bytes:?}");
        }
    }
}
