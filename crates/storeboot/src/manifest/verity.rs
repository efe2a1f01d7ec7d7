//! What the manifest, and the description of a layer, say of an image's hash tree.

use serde::{Deserialize, Serialize};
use storeboot_index::hex;

/// The hash tree of dm-verity behind the data of a store image.
///
/// The tree has the form that `veritysetup format --no-superblock` writes: hash type 1, SHA-256, data and hash blocks of
/// 4096 bytes. It begins where the data ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Verity {
    /// Bytes of the image in front of the tree.
    pub data_size: u64,
    /// The salt in hexadecimal digits.
    pub salt: String,
    /// The root hash in hexadecimal digits.
    pub root_hash: String,
}

impl Verity {
    /// What the index says.
    pub(crate) fn of_index(verity: &storeboot_index::Verity) -> Self {
        Self {
            data_size: verity.data_size,
            salt: hex::Hex(&verity.salt).to_string(),
            root_hash: hex::Hex(&verity.root).to_string(),
        }
    }

    /// What it says, of an image of this size; or what is wrong with it.
    pub(crate) fn of_image(&self, size: u64) -> Result<storeboot_index::Verity, String> {
        let digits = |what, text: &str| {
            hex::decode(text).ok_or_else(|| format!("the {what} of its hash tree is no SHA-256"))
        };
        let verity = storeboot_index::Verity {
            data_size: self.data_size,
            salt: digits("salt", &self.salt)?,
            root: digits("root hash", &self.root_hash)?,
        };
        match verity.size() {
            Some(expected) if expected == size => Ok(verity),
            _ => Err(format!(
                "{} bytes of data with their hash tree are not {size} bytes",
                self.data_size
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_tree_of_the_image_is_refused() {
        let index = storeboot_index::Verity {
            data_size: 2 * 4096,
            salt: [1; 32],
            root: [2; 32],
        };
        let verity = Verity::of_index(&index);
        assert_eq!(verity.of_image(3 * 4096), Ok(index));
        for size in [0, 2 * 4096, 3 * 4096 + 1, u64::MAX] {
            let error = verity.of_image(size).expect_err("another size");
            assert!(error.contains(&size.to_string()), "{error}");
        }
        let with = |change: fn(&mut Verity)| {
            let mut verity = verity.clone();
            change(&mut verity);
            verity.of_image(3 * 4096).expect_err("refused")
        };
        assert!(with(|verity| verity.salt.push('0')).contains("the salt"));
        assert!(with(|verity| verity.root_hash.replace_range(..1, "G")).contains("the root hash"));
        assert!(with(|verity| verity.data_size = 0).contains("0 bytes of data"));
        assert!(with(|verity| verity.data_size = u64::MAX).contains("bytes of data"));
    }
}
