//! The directories that can be had.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::{Directory, Id};

/// The directories that can be had, by their number. Those that machines may still be loading stay on offer when newer
/// ones take their place.
#[derive(Debug, Default)]
pub struct Offers {
    directories: RwLock<HashMap<Id, Arc<Directory>>>,
}

impl Offers {
    /// Offers a directory. Returns the one that has its number, which is another if the same bytes were there before and
    /// still are.
    pub fn add(&self, directory: Directory) -> Arc<Directory> {
        let mut directories = self
            .directories
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let id = directory.id().clone();
        if let Some(known) = directories.get(&id)
            && known.is_intact()
        {
            return Arc::clone(known);
        }
        let directory = Arc::new(directory);
        directories.insert(id, Arc::clone(&directory));
        directory
    }

    /// The directory with this number.
    pub fn get(&self, id: &str) -> Option<Arc<Directory>> {
        let directories = self
            .directories
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        directories.get(id).map(Arc::clone)
    }

    /// Offers a directory no more. Whoever holds it still has it.
    pub fn remove(&self, id: &Id) {
        self.directories
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }
}
