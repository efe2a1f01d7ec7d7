//! A text that is served many times.

use axum::body::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A text and its hash, which are made once.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    bytes: Bytes,
    sha256: String,
}

impl Text {
    pub(crate) fn new(text: String) -> Self {
        Self {
            sha256: HEXLOWER.encode(&Sha256::digest(&text)),
            bytes: text.into(),
        }
    }

    /// The text, which is not copied.
    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Its SHA-256 in hexadecimal digits.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }
}
