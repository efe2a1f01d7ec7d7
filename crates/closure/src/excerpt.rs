//! Excerpts of input for messages: never more than a few lines, however long the input is.

use std::collections::VecDeque;
use std::io::{self, Read};

/// Characters of an excerpt from the beginning.
const BEGINNING: usize = 256;
/// Bytes of an excerpt from the end.
const END: usize = 2048;

/// The beginning of the input as text.
pub(crate) fn beginning(bytes: &[u8]) -> String {
    // No character has more than four bytes. The one behind the excerpt shows that there is more.
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * (BEGINNING + 1))]);
    match text.char_indices().nth(BEGINNING) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into_owned(),
    }
}

/// Reads all of the input and returns its end as text in one line. Says so where the beginning is missing. Keeps no
/// more than the end in memory.
pub(crate) fn end(mut reader: impl Read) -> io::Result<String> {
    let mut kept = VecDeque::new();
    let mut cut = false;
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => kept.extend(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        let over = kept.len().saturating_sub(END);
        kept.drain(..over);
        cut |= over > 0;
    }
    let kept = kept.make_contiguous();
    // Begins with a whole character.
    let is_inside = |byte: &&u8| **byte & 0xc0 == 0x80;
    let inside = kept.iter().take(3).take_while(is_inside).count();
    let text = String::from_utf8_lossy(&kept[if cut { inside } else { 0 }..]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(if cut {
        format!("(only the end is shown) …{line}")
    } else {
        line
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_text_is_shown_whole() {
        assert_eq!(beginning("größer".as_bytes()), "größer");
        let two_lines = "warning: größer\n\terror: kleiner\n";
        let line = end(two_lines.as_bytes()).expect("readable");
        assert_eq!(line, "warning: größer error: kleiner");
        assert_eq!(end(&b""[..]).expect("readable"), "");
    }

    #[test]
    fn the_error_is_at_the_end() {
        let text = "warning: this is of no use\n".repeat(100_000) + "error: größer\n";
        let line = end(text.as_bytes()).expect("readable");
        assert!(line.starts_with("(only the end is shown) …"), "{line}");
        assert!(
            line.ends_with("warning: this is of no use error: größer"),
            "{line}"
        );
        assert!(line.len() < END + 100, "{} bytes", line.len());
    }

    proptest! {
        #[test]
        fn the_end_begins_with_a_whole_character(before in "[aé€🦀]{0,8}", length in 0..2100_usize) {
            let text = before + &"é".repeat(length);
            let line = end(text.as_bytes()).expect("readable");
            prop_assert!(!line.contains(char::REPLACEMENT_CHARACTER));
            prop_assert_eq!(line.contains("only the end"), text.len() > END);
        }

        #[test]
        fn no_bytes_are_too_many_or_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            for text in [beginning(&bytes), end(&bytes[..]).expect("readable")] {
                // A byte that is no text is shown as a character of three bytes.
                prop_assert!(text.len() <= 3 * END + 100);
            }
        }
    }
}
