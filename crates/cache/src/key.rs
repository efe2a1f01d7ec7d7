//! Keys: a hash of everything that an entry was made from.

use std::fmt;

use data_encoding::HEXLOWER;

/// The name of an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of something that is made from `parts`. `context` names what is made and the version of its format, so
    /// that nothing else has the same key.
    ///
    /// ```
    /// use storeboot_cache::Key;
    ///
    /// let key = |parts: &[&[u8]]| Key::derive("example 1: a pair", parts);
    /// assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    /// ```
    #[must_use]
    pub fn derive(context: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = KeyHasher::new(context);
        for part in parts {
            hasher.part(part);
        }
        hasher.finish()
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Shows the key as 64 hexadecimal digits.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Makes a [`Key`] from many parts.
///
/// Hashes each part with its length, so that no two lists of parts have the same key.
///
/// ```
/// use storeboot_cache::{Key, KeyHasher};
///
/// let mut hasher = KeyHasher::new("example 1: a pair");
/// hasher.part(b"ab").number(7);
/// assert_eq!(hasher.finish(), Key::derive("example 1: a pair", &[b"ab", &7_u64.to_le_bytes()]));
/// ```
#[derive(Clone, Debug)]
pub struct KeyHasher(blake3::Hasher);

impl KeyHasher {
    /// Begins a key. For `context`, see [`Key::derive`].
    #[must_use]
    pub fn new(context: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(context))
    }

    /// Adds a part.
    pub fn part(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a number, as a part of 8 bytes.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.part(&number.to_le_bytes())
    }

    /// The key.
    #[must_use]
    pub fn finish(&self) -> Key {
        Key(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn contexts_keep_keys_apart() {
        assert_ne!(Key::derive("a", &[b"x"]), Key::derive("b", &[b"x"]));
        assert_ne!(Key::derive("a", &[]), Key::derive("a", &[b""]));
    }

    proptest! {
        #[test]
        fn other_parts_make_another_key(
            one: Vec<Vec<u8>>,
            other: Vec<Vec<u8>>,
        ) {
            let key = |parts: &[Vec<u8>]| {
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                Key::derive("test", &parts)
            };
            prop_assert_eq!(one == other, key(&one) == key(&other));
        }
    }
}
