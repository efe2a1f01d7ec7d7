use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::{Closure, Error, StoreRoot, nar};

impl Closure {
    /// Computes the NAR hashes and sizes that are not known, from the files. Where one of the two is known, the files
    /// must have it.
    ///
    /// Uses the threads of the current rayon pool. To choose another number of threads, call it in
    /// [`ThreadPool::install`](rayon::ThreadPool::install).
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
        self.complete_with(root, &|_| ControlFlow::Continue(()))
    }

    /// As [`complete`](Self::complete), with a report of the progress and a way to cancel.
    ///
    /// Calls `hashed` with the number of bytes that were hashed since its last call, from all threads of the pool:
    /// several times for a large file and at least once for a store path. The numbers add up to the size of all NARs
    /// that are hashed. When it breaks, the work ends with [`Error::Cancelled`], and the closure keeps the hashes found
    /// so far.
    pub fn complete_with(
        &mut self,
        root: &StoreRoot,
        hashed: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<(), Error> {
        let store_dir = self.store_dir().clone();
        self.infos_mut()
            .filter(|info| info.nar_hash.is_none() || info.nar_size.is_none())
            .collect::<Vec<_>>()
            .into_par_iter()
            .try_for_each(|info| {
                let (hash, size) = nar::hash_with(&root.locate(&store_dir, &info.path), hashed)?;
                info.check(&store_dir, hash, size)?;
                info.nar_hash = Some(hash);
                info.nar_size = Some(size);
                Ok(())
            })
    }
}
