//! UUIDs as text.

use alloc::string::String;
use core::fmt::Write;

/// The text of a UUID whose bytes are in the order of the text, as file systems have them.
pub(super) fn big_endian(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The text of a UUID whose first three fields have the low byte first, as UEFI has them.
pub(super) fn mixed_endian(bytes: [u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let [i, j, k, l, m, n, o, p] = rest;
    big_endian([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders() {
        let bytes = core::array::from_fn(|at| at as u8 * 17);
        assert_eq!(big_endian(bytes), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(mixed_endian(bytes), "33221100-5544-7766-8899-aabbccddeeff");
    }
}
