use rayon::prelude::*;

use crate::{Closure, Error, StoreRoot, nar};

impl Closure {
    /// Computes the NAR hashes and sizes that are not known from the files, on all threads of the
    /// current rayon pool. Where one of the two is known, it must be what is found.
    ///
    /// ```no_run
    /// use storeboot_closure::{StoreDir, StoreRoot, read_graph};
    ///
    /// let graph = std::fs::File::open("graph")?;
    /// let mut closure = read_graph(graph, &StoreDir::default())?;
    /// closure.complete(&StoreRoot::system())?;
    /// assert!(closure.nar_size().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn complete(&mut self, root: &StoreRoot) -> Result<(), Error> {
        let store_dir = self.store_dir().clone();
        self.infos_mut()
            .filter(|info| info.nar_hash.is_none() || info.nar_size.is_none())
            .collect::<Vec<_>>()
            .into_par_iter()
            .try_for_each(|info| {
                let (hash, size) = nar::hash(&root.locate(&store_dir, &info.path))?;
                info.check(&store_dir, hash, size)?;
                info.nar_hash = Some(hash);
                info.nar_size = Some(size);
                Ok(())
            })
    }
}
