//! Counts of a cache's hits, misses and failures.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// What happened since a cache was opened, in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Entries that were found.
    pub hits: u64,
    /// Entries that were not found, damaged ones included.
    pub misses: u64,
    /// Entries that were removed because they were damaged, or because somebody who is not trusted can have written
    /// them.
    pub damaged: u64,
    /// Entries that were kept.
    pub kept: u64,
    /// Entries that could not be read or kept; see [`Cache::first_failure`](crate::Cache::first_failure).
    pub failed: u64,
}

/// [`Stats`] while they are counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) kept: AtomicU64,
    failed: AtomicU64,
    first_failure: OnceLock<Error>,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    /// Counts a failure and keeps the first one.
    pub(crate) fn failed(&self, error: Error) {
        count(&self.failed);
        // Fails for all but the first one.
        let _ = self.first_failure.set(error);
    }

    pub(crate) fn first_failure(&self) -> Option<&Error> {
        self.first_failure.get()
    }

    pub(crate) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            hits: read(&self.hits),
            misses: read(&self.misses),
            damaged: read(&self.damaged),
            kept: read(&self.kept),
            failed: read(&self.failed),
        }
    }
}
