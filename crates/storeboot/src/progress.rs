//! How far a build is.

/// Is told how far a build is; [`Context::progress`](crate::Context::progress) takes it. It is called from one thread
/// at a time.
///
/// ```
/// use storeboot::Progress;
///
/// struct Lines;
/// impl Progress for Lines {
///     fn begin(&self, step: &str, _total: Option<u64>) {
///         eprintln!("{step}…");
///     }
/// }
/// ```
pub trait Progress: Sync {
    /// A step begins; `total` is its size in bytes where that is known.
    fn begin(&self, step: &str, total: Option<u64>) {
        let _ = (step, total);
    }

    /// This many bytes of the step are done, counted from its beginning.
    fn reached(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Something that people may want to know, as a sentence without its full stop.
    fn note(&self, text: &str) {
        let _ = text;
    }
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Silent;

impl Progress for Silent {}
