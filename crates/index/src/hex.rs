//! Bytes in lower-case hexadecimal digits.

use core::fmt;

/// Shows bytes as digits.
///
/// ```
/// use storeboot_index::hex::Hex;
/// assert_eq!(Hex(&[0x0a, 0xff]).to_string(), "0aff");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(
    /// The bytes.
    pub &'a [u8],
);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads exactly `N` bytes. None where the text is something else; also in upper case, so that the same bytes have one
/// text.
///
/// ```
/// use storeboot_index::hex::decode;
/// assert_eq!(decode("0aff"), Some([0x0a, 0xff]));
/// assert_eq!(decode::<2>("0AFF"), None);
/// assert_eq!(decode::<2>("0aff0"), None);
/// ```
#[must_use]
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}
