//! Signatures of a netboot directory: who says that it is right.
//!
//! What is signed are the bytes of `manifest.json`, which has the size and the SHA-256 of every other file. The
//! signatures lie beside it in `manifest.json.sig`, a line `NAME:BASE64` for each key, as Nix has them in its `.narinfo`
//! files. A manifest begins with `{`, and what Nix signs with the same keys begins with `1;`. So nothing that is signed
//! as one of the two can be shown as the other.

mod key;

use std::collections::BTreeSet;

use data_encoding::BASE64;
use ed25519_dalek::SIGNATURE_LENGTH;

use key::parse;
pub use key::{KeyError, PublicKey, SecretKey};

/// The longest file of signatures that is read.
pub(crate) const SIGNATURES_MAX: u64 = 64 << 10;

/// The signatures of a manifest, sorted by the names of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signatures(BTreeSet<(String, [u8; SIGNATURE_LENGTH])>);

impl Signatures {
    /// Reads the lines of `manifest.json.sig`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut signatures = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            let signature = parse(line, "a signature")
                .map_err(|error| format!("line {} is no signature: {error}", number + 1))?;
            signatures.insert(signature);
        }
        Ok(Self(signatures))
    }

    /// Signs a manifest. Another signature by a key of this name is replaced.
    pub(crate) fn add(&mut self, manifest: &[u8], key: &SecretKey) {
        let public = key.public();
        self.0.retain(|(name, _)| name != public.name());
        self.0.insert((public.name().into(), key.sign(manifest)));
    }

    /// The name of the first of these keys that has signed the manifest; or why there is none.
    pub(crate) fn signer(&self, manifest: &[u8], keys: &[PublicKey]) -> Result<String, String> {
        let by = |key: &PublicKey| {
            let mut named = self.0.iter().filter(|(name, _)| name == key.name());
            named.any(|(_, signature)| key.has_signed(manifest, signature))
        };
        if let Some(key) = keys.iter().find(|key| by(key)) {
            return Ok(key.name().into());
        }
        let is_trusted = |name: &&str| keys.iter().any(|key| key.name() == *name);
        let names: BTreeSet<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        let wrong: Vec<&str> = names.iter().copied().filter(is_trusted).collect();
        Err(if names.is_empty() {
            "it has no signatures".into()
        } else if wrong.is_empty() {
            let names: Vec<&str> = names.into_iter().collect();
            format!("its signatures are by {}", names.join(", "))
        } else {
            format!(
                "the signature by {} is of another manifest or by another key of that name",
                wrong.join(", ")
            )
        })
    }
}

impl std::fmt::Display for Signatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, signature) in &self.0 {
            writeln!(f, "{name}:{}", BASE64.encode(signature))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::key::tests::key;
    use super::*;

    const MANIFEST: &[u8] = b"{}\n";

    #[test]
    fn who_has_signed_is_found_whatever_the_order() {
        let (a, b) = (key("a", 1), key("b", 2));
        let sign = |keys: &[&SecretKey]| {
            let mut signatures = Signatures::default();
            for key in keys {
                signatures.add(MANIFEST, key);
            }
            signatures.to_string()
        };
        let text = sign(&[&a, &b]);
        assert_eq!(text, sign(&[&b, &a, &b]));
        let signatures = Signatures::parse(&text).expect("signatures");
        assert_eq!(signatures.to_string(), text);
        for (trusted, name) in [(&a, "a"), (&b, "b")] {
            let keys = [key("c", 3).public(), trusted.public()];
            assert_eq!(signatures.signer(MANIFEST, &keys), Ok(name.into()));
        }
    }

    #[test]
    fn what_is_not_signed_is_told_from_what_is_signed_otherwise() {
        let mut signatures = Signatures::default();
        let trusted = [key("a", 1).public()];
        let refused =
            |signatures: &Signatures, text: &[u8]| signatures.signer(text, &trusted).unwrap_err();
        assert_eq!(refused(&signatures, MANIFEST), "it has no signatures");
        signatures.add(MANIFEST, &key("b", 1));
        // The same key under another name is another key.
        assert_eq!(refused(&signatures, MANIFEST), "its signatures are by b");
        signatures.add(MANIFEST, &key("a", 2));
        assert!(refused(&signatures, MANIFEST).contains("by a is of another"));
        signatures.add(MANIFEST, &key("a", 1));
        assert!(refused(&signatures, b"{ }\n").contains("by a is of another"));
        assert_eq!(signatures.signer(MANIFEST, &trusted), Ok("a".into()));
        assert!(signatures.signer(MANIFEST, &[]).is_err());
    }

    #[test]
    fn lines_that_are_no_signatures_are_named() {
        let error = Signatures::parse("a:AAAA\n").unwrap_err();
        assert!(error.starts_with("line 1 is no signature"), "{error}");
        assert_eq!(Signatures::parse(""), Ok(Signatures::default()));
    }
}
