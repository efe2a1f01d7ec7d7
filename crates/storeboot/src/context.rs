//! What a build works with.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;

use rayon::{ThreadPool, ThreadPoolBuilder};
use storeboot_cache::Cache;

use crate::progress::{Progress, Silent};
use crate::{Cancel, Error};

/// What a build works with: its threads, its cache, its progress display and its token for cancelling.
///
/// Nothing of it changes the bytes of an output. One context serves any number of builds, one after the other or at the
/// same time; they share its threads. Builds with contexts of their own do not know of each other.
///
/// ```no_run
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use storeboot::{Cache, Context};
///
/// let cache = Cache::open("/var/cache/storeboot", 20 << 30)?;
/// let context = Context::new()
///     .jobs(NonZeroUsize::new(4).expect("not zero"))
///     .cache(Arc::new(cache));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Context<'a> {
    threads: NonZeroUsize,
    pool: OnceLock<Arc<ThreadPool>>,
    cache: Option<Arc<Cache>>,
    checks_nar_hashes: bool,
    progress: &'a dyn Progress,
    cancel: Cancel,
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self {
            threads: available_parallelism().unwrap_or(NonZeroUsize::MIN),
            pool: OnceLock::new(),
            cache: None,
            checks_nar_hashes: true,
            progress: &Silent,
            cancel: Cancel::new(),
        }
    }
}

impl<'a> Context<'a> {
    /// One thread for each processor, no cache and no progress.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hashes and compresses on this many threads. Besides them there is one that reads ahead, and one that compares
    /// what was packed with its NAR hash.
    #[must_use]
    pub fn jobs(self, threads: NonZeroUsize) -> Self {
        Self {
            threads,
            pool: OnceLock::new(),
            ..self
        }
    }

    /// Takes from the cache what was packed before, for any output, and keeps in it what is packed now.
    #[must_use]
    pub fn cache(self, cache: Arc<Cache>) -> Self {
        Self {
            cache: Some(cache),
            ..self
        }
    }

    /// Leaves out the comparison of each packed store path with its NAR hash.
    ///
    /// Without this, a build fails with [`Error::Closure`] if the files of a store path are not what the closure says.
    /// With a [cache](Self::cache), paths that the cache does not have yet are compared all the same: later builds trust
    /// what it keeps. Paths that it has are not read.
    #[must_use]
    pub fn without_nar_check(self) -> Self {
        Self {
            checks_nar_hashes: false,
            ..self
        }
    }

    /// Tells of progress.
    #[must_use]
    pub fn progress(self, progress: &'a dyn Progress) -> Self {
        Self { progress, ..self }
    }

    /// Lets this token, or a clone of it, cancel the builds.
    #[must_use]
    pub fn cancel(self, cancel: Cancel) -> Self {
        Self { cancel, ..self }
    }

    pub(crate) fn threads(&self) -> NonZeroUsize {
        self.threads
    }

    /// The threads, which are started when they are first needed.
    pub(crate) fn pool(&self) -> Result<&Arc<ThreadPool>, Error> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(self.threads.get())
            .thread_name(|number| format!("storeboot-{number}"))
            .build()
            .map_err(|error| Error::Threads(std::io::Error::other(error)))?;
        Ok(self.pool.get_or_init(|| Arc::new(pool)))
    }

    pub(crate) fn the_cache(&self) -> Option<&Arc<Cache>> {
        self.cache.as_ref()
    }

    pub(crate) fn checks_nar_hashes(&self) -> bool {
        self.checks_nar_hashes
    }

    /// Keeps the cache within its limit, when a build is through.
    pub(crate) fn evict(&self) {
        if let Some(cache) = &self.cache {
            cache.evict();
        }
    }

    pub(crate) fn token(&self) -> &Cancel {
        &self.cancel
    }

    /// A step begins; an error where the build is cancelled.
    pub(crate) fn begin(&self, step: &str, total: Option<u64>) -> Result<(), Error> {
        self.progress.begin(step, total);
        self.cancel.check()
    }

    /// Tells people something.
    pub(crate) fn note(&self, text: &str) {
        self.progress.note(text);
    }

    /// This many bytes of the step are done; an error where the build is cancelled.
    pub(crate) fn reached(&self, bytes: u64) -> Result<(), Error> {
        self.progress.reached(bytes);
        self.cancel.check()
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("threads", &self.threads)
            .field("cache", &self.cache)
            .field("checks_nar_hashes", &self.checks_nar_hashes)
            .field("cancel", &self.cancel)
            .finish_non_exhaustive()
    }
}
