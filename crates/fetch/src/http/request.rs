//! What is sent.

use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::ops::Range;

use crate::Url;

/// Writes the head of a request for these bytes of a file, and replaces what `head` held.
pub(crate) fn write_request(head: &mut Vec<u8>, url: &Url, bytes: &Range<u64>) {
    head.clear();
    let last = bytes.end.saturating_sub(1);
    // A `Vec` takes all.
    let _ = write!(
        Bytes(head),
        "GET {} HTTP/1.1\r\nHost: {}\r\nRange: bytes={}-{last}\r\nAccept-Encoding: identity\r\n\
         User-Agent: storeboot/{}\r\n\r\n",
        url.path(),
        url.authority(),
        bytes.start,
        env!("CARGO_PKG_VERSION"),
    );
}

struct Bytes<'a>(&'a mut Vec<u8>);

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_bytes() {
        let mut head = Vec::from(*b"before");
        let url = "http://[::1]:81/a?b".parse().unwrap();
        write_request(&mut head, &url, &(10..20));
        let text = std::str::from_utf8(&head).unwrap();
        assert!(text.starts_with("GET /a?b HTTP/1.1\r\nHost: [::1]:81\r\nRange: bytes=10-19\r\n"));
        assert!(text.ends_with("\r\n\r\n"));
    }
}
