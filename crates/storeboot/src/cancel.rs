//! Cancelling a build.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;

/// Cancels the builds that were given it, from any thread.
///
/// A build that is cancelled ends with [`Error::Cancelled`] and leaves no output behind. It looks at its token before
/// each file and each stretch of a large one, so it ends soon, and not at once.
///
/// ```
/// use storeboot::{Cancel, Context, Error, verify};
///
/// let cancel = Cancel::new();
/// let context = Context::new().cancel(cancel.clone());
/// // Another thread, such as one that waits for signals, would call this.
/// cancel.cancel();
/// assert!(matches!(verify("netboot".as_ref(), &context), Err(Error::Cancelled)));
/// ```
#[derive(Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels the builds that have this token or a clone of it. There is no way back.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// [`Error::Cancelled`], if it is cancelled.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.is_cancelled() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    /// `Break`, if it is cancelled: for work in other crates.
    pub(crate) fn flow(&self) -> ControlFlow<()> {
        match self.is_cancelled() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// The result of work that may have failed because it was cancelled.
    pub(crate) fn settle<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.or_else(|error| self.check().and(Err(error)))
    }

    /// A reader or writer that fails once this is cancelled.
    pub(crate) fn watch<R>(&self, inner: R) -> Watched<'_, R> {
        Watched {
            inner,
            cancel: self,
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

/// Reads and writes until the build is cancelled. [`Cancel::settle`] turns the error into [`Error::Cancelled`].
pub(crate) struct Watched<'a, R> {
    inner: R,
    cancel: &'a Cancel,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        self.inner.read(buffer)
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Seek> Seek for Watched<'_, R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_reader_reads_until_it_is_cancelled() {
        let cancel = Cancel::new();
        let mut reader = cancel.watch(&b"abcd"[..]);
        let mut two = [0; 2];
        reader.read_exact(&mut two).expect("not cancelled");
        cancel.clone().cancel();
        let error = reader.read_exact(&mut two).expect_err("cancelled");
        let result: Result<(), Error> = Err(Error::read("file")(error));
        assert!(matches!(cancel.settle(result), Err(Error::Cancelled)));
    }

    #[test]
    fn a_token_that_is_not_cancelled_changes_no_error() {
        let failed: Result<(), Error> = Err(Error::CommandLine("no".into()));
        assert!(matches!(
            Cancel::new().settle(failed),
            Err(Error::CommandLine(_))
        ));
    }
}
