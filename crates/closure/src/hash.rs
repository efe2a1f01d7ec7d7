use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use nix_derivation::{HashAlgorithm, NixHash, nixbase32};

use crate::Error;

/// The SHA-256 of a path's NAR: the hash by which Nix checks a store path.
///
/// Parses every form that Nix writes, and displays as SRI.
///
/// ```
/// use storeboot_closure::NarHash;
///
/// let sri: NarHash = "sha256-FePFYIlMuycIXPZbWi7LGEiMmZSX9FMbaQenWBzm1Sc=".parse()?;
/// let hex = "15e3c560894cbb27085cf65b5a2ecb18488c999497f4531b6907a7581ce6d527";
/// assert_eq!(sri, hex.parse()?);
/// assert_eq!(sri, sri.to_nix32().parse()?);
/// assert_eq!(sri.to_hex(), hex);
/// # Ok::<(), storeboot_closure::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NarHash([u8; 32]);

impl NarHash {
    /// Makes a hash of a digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 hexadecimal digits and nothing else, as `nix-store --dump-db` prints it.
    #[must_use]
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// `sha256:` and Nix's base 32, as in structured attributes and in closureInfo's registration.
    #[must_use]
    pub fn to_nix32(&self) -> String {
        format!("sha256:{}", nixbase32::encode(&self.0))
    }
}

impl From<[u8; 32]> for NarHash {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&NixHash::Sha256(self.0).to_sri_string())
    }
}

impl fmt::Debug for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NarHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // The length of a hash tells the bare forms apart. The longest form is `sha256:` and hexadecimal digits.
        const LONGEST: usize = "sha256:".len() + 64;
        let bad = |reason: String| Error::BadHash {
            hash: text.chars().take(2 * LONGEST).collect(),
            reason,
        };
        if text.len() > LONGEST {
            return Err(bad(format!("it is longer than {LONGEST} characters")));
        }
        let hash = if text.contains([':', '-']) {
            NixHash::parse(text)
        } else {
            NixHash::parse(&format!("sha256:{text}"))
        };
        match hash.map_err(|error| bad(error.to_string()))? {
            NixHash::Sha256(digest) => Ok(Self(digest)),
            other => Err(bad(format!(
                "the hash of a NAR is {}, not {}",
                HashAlgorithm::Sha256,
                other.algorithm()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "15e3c560894cbb27085cf65b5a2ecb18488c999497f4531b6907a7581ce6d527";

    #[test]
    fn every_form_is_the_same_hash() {
        let hash: NarHash = HEX.parse().unwrap();
        let bare32 = hash.to_nix32()["sha256:".len()..].to_owned();
        for form in [
            hash.to_nix32(),
            bare32,
            hash.to_string(),
            format!("sha256:{HEX}"),
            "FePFYIlMuycIXPZbWi7LGEiMmZSX9FMbaQenWBzm1Sc=".to_owned(),
            "sha256:FePFYIlMuycIXPZbWi7LGEiMmZSX9FMbaQenWBzm1Sc=".to_owned(),
        ] {
            assert_eq!(form.parse::<NarHash>().unwrap(), hash, "{form}");
        }
    }

    #[test]
    fn other_algorithms_and_lengths_are_refused() {
        for form in [
            "",
            "sha256:",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            &HEX[1..],
            &format!("{HEX}0"),
            &"x".repeat(1 << 20),
        ] {
            assert!(form.parse::<NarHash>().is_err(), "{form:.80}");
        }
    }
}
