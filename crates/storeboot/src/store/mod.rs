//! A closure with the place of its files.
//!
//! [`walk`] goes through a store path in the order of its names' bytes; [`read_ahead`] does that on a thread of its
//! own, ahead of the packing.

pub(crate) mod read_ahead;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod walk;

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use storeboot_closure::{Closure, PathInfo, Registration, StoreDir, StorePath, StoreRoot};
use tempfile::SpooledTempFile;

use crate::{Context, Error};

/// The file in the store that tells Nix what is valid: `nix-store --load-db < /nix/store/nix-path-registration`.
pub const REGISTRATION: &str = "nix-path-registration";

/// Registrations up to this size stay in memory.
const SPOOL: usize = 4 << 20;

/// A closure, and where its files are.
///
/// ```no_run
/// use storeboot::{Context, Format, Pack, Store};
/// use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
///
/// let context = Context::new();
/// let json = std::fs::File::open("path-info.json")?;
/// let closure = read_path_info(json, &StoreDir::default())?;
/// let store = Store::new(closure, StoreRoot::system(), &context)?;
/// let image = std::fs::File::create("store.squashfs")?;
/// Pack::new(Format::Squashfs).write(&store, image, &context)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    closure: Arc<Closure>,
    root: StoreRoot,
    /// Paths whose files are packed elsewhere.
    left_out: Arc<BTreeSet<StorePath>>,
    /// Whether [`REGISTRATION`] is packed: always that of the whole closure.
    registered: bool,
}

/// Refuses a store that is not at `/nix/store`. Stage 1 knows no other place, as the programs that it makes room for
/// know only theirs.
pub(crate) fn check_bootable(store_dir: &StoreDir) -> Result<(), Error> {
    if *store_dir == StoreDir::default() {
        return Ok(());
    }
    Err(Error::StoreDir {
        store_dir: store_dir.as_str().into(),
    })
}

impl Store {
    /// Checks that every path of the closure is there, and computes the NAR hashes and sizes that it lacks.
    ///
    /// # Errors
    /// Where a path is missing, or cannot be read.
    pub fn new(
        mut closure: Closure,
        root: StoreRoot,
        context: &Context<'_>,
    ) -> Result<Self, Error> {
        closure.check_present(&root)?;
        context.token().check()?;
        let cancel = context.token();
        let completed = context
            .pool()?
            .install(|| closure.complete_with(&root, &|_| cancel.flow()));
        cancel.settle(completed.map_err(Error::from))?;
        Ok(Self {
            closure: Arc::new(closure),
            root,
            left_out: Arc::default(),
            registered: true,
        })
    }

    /// This store without the files of some paths, with or without the registration of all of them.
    pub(crate) fn part(&self, left_out: BTreeSet<StorePath>, registered: bool) -> Self {
        Self {
            left_out: Arc::new(left_out),
            registered,
            ..self.clone()
        }
    }

    /// The paths whose files are packed, in the order of their base names.
    pub(crate) fn packed(&self) -> impl Iterator<Item = &PathInfo> {
        self.closure
            .paths()
            .filter(|info| !self.left_out.contains(&info.path))
    }

    /// Bytes of the NARs of what is packed.
    pub(crate) fn packed_size(&self) -> Option<u64> {
        self.packed()
            .try_fold(0_u64, |sum, info| Some(sum.saturating_add(info.nar_size?)))
    }

    /// The closure, complete.
    #[must_use]
    pub fn closure(&self) -> &Closure {
        &self.closure
    }

    /// Where its files are.
    #[must_use]
    pub fn root(&self) -> &StoreRoot {
        &self.root
    }

    /// Where the files of one of its paths are.
    pub(crate) fn locate(&self, info: &PathInfo) -> PathBuf {
        self.root.locate(self.closure.store_dir(), &info.path)
    }

    /// Where the file of a path such as `/nix/store/HASH-NAME/bin/sh` is, or why the closure cannot have it.
    pub(crate) fn find(&self, path: &str) -> Result<PathBuf, String> {
        let store_dir = self.closure.store_dir();
        let Some(inside) = path
            .strip_prefix(store_dir.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return Err(format!("it is not a path in {store_dir}"));
        };
        if inside.split('/').any(|part| part == "..") {
            return Err("it leaves its store path by `..`".into());
        }
        let (name, rest) = match inside.split_once('/') {
            Some((name, rest)) => (name, Some(rest)),
            None => (inside, None),
        };
        let found = StorePath::from_basename(name.as_bytes())
            .ok()
            .filter(|path| self.closure.contains(path))
            .map(|path| self.root.locate(store_dir, &path));
        let place = found.ok_or("its store path is not in the closure")?;
        Ok(match rest {
            // Several slashes are as good as one. Joined as they are, they would lead to the root of this machine.
            Some(rest) => place.join(rest.trim_start_matches('/')),
            None => place,
        })
    }

    /// The store directory as members of an archive name it.
    pub(crate) fn folder(&self) -> &str {
        self.closure.store_dir().as_str().trim_start_matches('/')
    }

    /// Whether the registration is packed.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered
    }

    /// `nix-path-registration` and its size.
    pub(crate) fn registration(&self) -> Result<(u64, SpooledTempFile), Error> {
        let mut file = SpooledTempFile::new(SPOOL);
        // A registration that is too large for memory lies in a temporary file.
        let spool = || std::env::temp_dir().join(REGISTRATION);
        let written = self
            .closure
            .write_registration(&mut file, Registration::ClosureInfo);
        written.map_err(|error| match error {
            storeboot_closure::Error::Write { source } => Error::write(spool())(source),
            other => other.into(),
        })?;
        let failed = Error::read(spool());
        let size = file.stream_position().and_then(|size| {
            file.seek(SeekFrom::Start(0))?;
            Ok(size)
        });
        Ok((size.map_err(failed)?, file))
    }
}
