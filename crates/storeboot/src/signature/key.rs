//! Ed25519 keys in the form that Nix has for its caches: `NAME:BASE64`.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use data_encoding::BASE64;
use ed25519_dalek::{
    KEYPAIR_LENGTH, PUBLIC_KEY_LENGTH, SIGNATURE_LENGTH, Signature, Signer, SigningKey,
    VerifyingKey,
};

use crate::Error;

/// The longest name of a key. Nix sets no limit.
const NAME_MAX: usize = 256;
/// The longest file with a key.
const FILE_MAX: u64 = 4096;

/// What is wrong with the text of a key or of a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no name, or nothing after it.
    #[error("it is not NAME:BASE64")]
    Form,
    /// The name has characters that a name does not have, or too many.
    #[error("its name has blanks or control characters, or more than 256 bytes")]
    Name,
    /// What follows the name is not base64.
    #[error("what follows its name is not base64")]
    Base64,
    /// It has not the length of what it is to be.
    #[error("it has {found} bytes after its name, and {what} has {expected}")]
    Length {
        /// What it is to be.
        what: &'static str,
        /// How many bytes that has.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// The two halves of a secret key do not belong together.
    #[error("its two halves do not belong together")]
    Halves,
    /// No signature can be checked with it.
    #[error("it is no key of Ed25519")]
    Curve,
}

/// Cuts `NAME:BASE64` into the name and so many bytes.
pub(super) fn parse<const N: usize>(
    text: &str,
    what: &'static str,
) -> Result<(String, [u8; N]), KeyError> {
    let (name, encoded) = text.split_once(':').ok_or(KeyError::Form)?;
    if name.is_empty() || encoded.is_empty() {
        return Err(KeyError::Form);
    }
    if name.len() > NAME_MAX || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(KeyError::Name);
    }
    let bytes = BASE64
        .decode(encoded.as_bytes())
        .map_err(|_| KeyError::Base64)?;
    let found = bytes.len();
    let bytes = bytes.try_into().map_err(|_| KeyError::Length {
        what,
        expected: N,
        found,
    })?;
    Ok((name.into(), bytes))
}

/// A public key, such as `cache.example.org-1:RmZq…=`: what `nix-store --generate-binary-cache-key` writes, and what
/// `trusted-public-keys` of `nix.conf` has.
///
/// ```
/// use storeboot::PublicKey;
///
/// let text = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
/// let key: PublicKey = text.parse()?;
/// assert_eq!(key.name(), "cache.nixos.org-1");
/// assert_eq!(key.to_string(), text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl PublicKey {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is a signature of the message by this key.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8; SIGNATURE_LENGTH]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.key.verify_strict(message, &signature).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = parse::<PUBLIC_KEY_LENGTH>(text, "a public key")?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Curve)?;
        match key.is_weak() {
            true => Err(KeyError::Curve),
            false => Ok(Self { name, key }),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(self.key.as_bytes()))
    }
}

/// A secret key: what `nix-store --generate-binary-cache-key` writes, and what Nix signs store paths with.
///
/// ```no_run
/// use storeboot::SecretKey;
///
/// let key = SecretKey::read("/etc/nix/secret-key".as_ref())?;
/// println!("machines may trust {}", key.public());
/// # Ok::<(), storeboot::Error>(())
/// ```
#[derive(Clone)]
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

impl SecretKey {
    /// Reads a key from its file.
    ///
    /// # Errors
    /// [`Error::Read`] where the file cannot be read, [`Error::Key`] where it has no secret key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(FILE_MAX).read_to_string(&mut text))
            .map_err(Error::read(path))?;
        text.trim_end().parse().map_err(|source| Error::Key {
            path: path.into(),
            source,
        })
    }

    /// The key by which others check what this one signs.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// The signature of a message, which is the same each time.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        self.key.sign(message).to_bytes()
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = parse::<KEYPAIR_LENGTH>(text, "a secret key")?;
        let key = SigningKey::from_keypair_bytes(&bytes).map_err(|_| KeyError::Halves)?;
        Ok(Self { name, key })
    }
}

/// Shows the name, and not the key.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretKey").field(&self.name).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key that differs by its number.
    pub(crate) fn key(name: &str, number: u8) -> SecretKey {
        SecretKey {
            name: name.into(),
            key: SigningKey::from_bytes(&[number; 32]),
        }
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let secret = key("site-1", 1);
        let text = format!("site-1:{}", BASE64.encode(&secret.key.to_keypair_bytes()));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        for end in ["", "\n"] {
            std::fs::write(&path, format!("{text}{end}")).expect("a file");
            let read = SecretKey::read(&path).expect("a key");
            assert_eq!(read.public(), secret.public());
        }
        let public = secret.public().to_string();
        assert_eq!(public.parse(), Ok(secret.public()));
        assert!(!format!("{secret:?}").contains(&text[7..]));
        // The public key in the place of the secret one.
        std::fs::write(&path, public).expect("a file");
        let error = SecretKey::read(&path).expect_err("no secret key");
        assert!(matches!(error, Error::Key { .. }), "{error}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let base64 = BASE64.encode(&[0; 32]);
        for (text, error) in [
            ("", KeyError::Form),
            ("name", KeyError::Form),
            (":AAAA", KeyError::Form),
            ("name:", KeyError::Form),
            ("na me:AAAA", KeyError::Name),
            ("name:%%%%", KeyError::Base64),
            // A point of small order, with which anything could be signed.
            (&format!("name:{base64}"), KeyError::Curve),
        ] {
            assert_eq!(text.parse::<PublicKey>(), Err(error), "{text}");
        }
        let long = format!("{}:AAAA", "n".repeat(NAME_MAX + 1));
        assert_eq!(long.parse::<PublicKey>(), Err(KeyError::Name));
        let error = "name:AAAA".parse::<PublicKey>().expect_err("too short");
        assert_eq!(
            error.to_string(),
            "it has 3 bytes after its name, and a public key has 32"
        );
        let mut halves = key("site", 1).key.to_keypair_bytes();
        halves[40] ^= 1;
        let text = format!("site:{}", BASE64.encode(&halves));
        assert_eq!(text.parse::<SecretKey>().map(drop), Err(KeyError::Halves));
    }
}
