//! Finds out whether a file has to be made again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A hash over the inputs of a file, which tells whether the file has to be made again.
#[derive(Debug, Default)]
pub struct Ingredients(Sha256);

impl Ingredients {
    /// Starts with no inputs.
    #[must_use]
    pub fn new() -> Self {
        Self(Sha256::new())
    }

    /// Adds the content of a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file(mut self, path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        self.0.update(Sha256::digest(bytes));
        Ok(self)
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.update(Sha256::digest(text));
        self
    }

    /// Calls `make`, unless `path` exists and was made from the same inputs.
    ///
    /// # Errors
    /// If `make` fails, or what it was made from cannot be written down.
    pub fn unless_there(self, path: &Path, make: impl FnOnce() -> Result<()>) -> Result<()> {
        let hash = HEXLOWER.encode(&self.0.finalize());
        let stamp = PathBuf::from(format!("{}.made-of", path.display()));
        if path.exists() && fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == hash) {
            return Ok(());
        }
        eprintln!("making {}", path.display());
        let _ = fs::remove_file(&stamp);
        make()?;
        fs::write(&stamp, hash).with_context(|| stamp.display().to_string())
    }
}
