//! Checks names, which are bytes, and makes them printable for messages.

use std::fmt::Write as _;

use crate::{PATH_MAX, TRAILER, WriteError};

/// How many characters of a name a message shows.
const SHOWN: usize = 256;

/// A name for people to read: control characters and bytes that are not UTF-8 are escaped, and a long
/// name is cut.
pub(crate) fn display(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.extend(chunk.valid().chars().flat_map(char::escape_debug));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
        if let Some((cut, _)) = text.char_indices().nth(SHOWN) {
            text.truncate(cut);
            text.push('…');
            break;
        }
    }
    text
}

/// Refuses names that newc cannot hold.
pub(crate) fn check(name: &[u8]) -> Result<(), WriteError> {
    if name.is_empty() {
        return Err(WriteError::EmptyName);
    }
    if name.contains(&0) {
        return Err(WriteError::NulInName {
            name: display(name),
        });
    }
    if name == TRAILER {
        return Err(WriteError::ReservedName);
    }
    if name.len() >= PATH_MAX {
        return Err(WriteError::NameTooLong {
            name: display(name),
            length: name.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_odd_names_readably() {
        assert_eq!(display("größe".as_bytes()), "größe");
        assert_eq!(display(b"a\nb\xffc"), "a\\nb\\xffc");
        assert_eq!(display(&[b'x'; 5000]).chars().count(), SHOWN + 1);
    }

    #[test]
    fn the_longest_name_leaves_room_for_its_nul() {
        assert!(check(&[b'x'; 4095]).is_ok());
        assert!(matches!(
            check(&[b'x'; 4096]),
            Err(WriteError::NameTooLong { length: 4096, .. })
        ));
    }
}
