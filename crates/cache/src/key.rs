//! Keys: what an entry was made from, in 32 bytes.

use std::fmt;

/// What an entry is found by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key for something that is made from `parts`. `context` says what is made, in which version of its form, so that
    /// nothing else has the same key.
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

/// The key in 64 hexadecimal digits.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Makes a [`Key`] of many parts.
///
/// Each part goes in with its length, so no two lists of parts make the same key.
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
    /// Begins a key; for `context` see [`Key::derive`].
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
