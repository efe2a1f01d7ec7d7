use nix_derivation::{StoreDir, StorePath};

use crate::{Error, NarHash};

/// What Nix knows of a store path.
///
/// ```
/// use storeboot_closure::{PathInfo, StorePath};
///
/// let path: StorePath = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello".parse()?;
/// let info = PathInfo::new(path, []);
/// assert_eq!(info.nar_hash, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathInfo {
    /// The path itself.
    pub path: StorePath,
    /// The hash of its NAR. The classic text of exportReferencesGraph lacks it.
    pub nar_hash: Option<NarHash>,
    /// The size of its NAR in bytes. The classic text lacks it, too.
    pub nar_size: Option<u64>,
    /// The paths it refers to, which may include itself. A closure has them in the order of their base names, each
    /// once.
    pub references: Vec<StorePath>,
    /// The derivation that made it. It need not be in the closure.
    pub deriver: Option<StorePath>,
}

impl PathInfo {
    /// A path and its references. All else is unknown.
    #[must_use]
    pub fn new(path: StorePath, references: impl IntoIterator<Item = StorePath>) -> Self {
        let mut info = Self {
            path,
            nar_hash: None,
            nar_size: None,
            references: references.into_iter().collect(),
            deriver: None,
        };
        info.order_references();
        info
    }

    /// Sorts the references and removes duplicates.
    pub(crate) fn order_references(&mut self) {
        self.references.sort_unstable();
        self.references.dedup();
        self.references.shrink_to_fit();
    }

    /// Compares a NAR's hash and size with those that are known of this path.
    pub fn check(
        &self,
        store_dir: &StoreDir,
        found: NarHash,
        found_size: u64,
    ) -> Result<(), Error> {
        let same = self.nar_hash.is_none_or(|hash| hash == found)
            && self.nar_size.is_none_or(|size| size == found_size);
        if same {
            return Ok(());
        }
        Err(Error::Changed {
            path: store_dir.render_path(&self.path),
            hash: self.nar_hash,
            size: self.nar_size,
            found,
            found_size,
        })
    }

    /// Takes over what `other`, a description of the same path, has and this one lacks.
    pub(crate) fn merge(&mut self, other: &mut Self) -> Result<(), &'static str> {
        fn fill<T: PartialEq>(mine: &mut Option<T>, other: &mut Option<T>) -> bool {
            match (&mine, &other) {
                (Some(mine), Some(other)) => mine == other,
                (None, _) => {
                    *mine = other.take();
                    true
                }
                (Some(_), None) => true,
            }
        }
        if self.references != other.references {
            return Err("references");
        }
        if !fill(&mut self.nar_hash, &mut other.nar_hash) {
            return Err("NAR hashes");
        }
        if !fill(&mut self.nar_size, &mut other.nar_size) {
            return Err("NAR sizes");
        }
        if !fill(&mut self.deriver, &mut other.deriver) {
            return Err("derivers");
        }
        Ok(())
    }
}
