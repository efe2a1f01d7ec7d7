//! Writes the segments of an initrd.

use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};
use std::thread;

use sha2::{Digest, Sha256};

use crate::compress::{Compression, Lz4Level, zeros_after};
use crate::digest::{HashWriter, hex};
use crate::manifest::{Segment, SegmentKind};
use crate::output::{self, synced::SyncedFile};
use crate::{Cancel, Error};

/// Where a segment begins, so that data in it can be aligned to pages.
pub(crate) const PAGE: u64 = 4096;

/// Bytes from which on two threads hash them.
const HASHED_APART: usize = 128 << 10;

/// Writes an initrd's segments and keeps account of them.
pub(crate) struct InitrdWriter {
    path: PathBuf,
    cancel: Cancel,
    out: HashWriter<BufWriter<SyncedFile>>,
    segments: Vec<Segment>,
}

impl InitrdWriter {
    pub(crate) fn create(path: &Path, cancel: &Cancel) -> Result<Self, Error> {
        let file = output::create(path).map_err(Error::write(path))?;
        Ok(Self {
            path: path.into(),
            cancel: cancel.clone(),
            out: HashWriter::new(BufWriter::with_capacity(1 << 20, SyncedFile::new(file))),
            segments: Vec::new(),
        })
    }

    /// Where the next byte goes.
    pub(crate) fn position(&self) -> u64 {
        self.out.count()
    }

    /// Zero bytes up to a multiple of `align`.
    pub(crate) fn align(&mut self, align: u64) -> Result<(), Error> {
        self.zeros(self.position().next_multiple_of(align) - self.position())
    }

    fn zeros(&mut self, count: u64) -> Result<(), Error> {
        let path = &self.path;
        io::copy(&mut io::Read::take(io::repeat(0), count), &mut self.out)
            .map(drop)
            .map_err(Error::write(path))
    }

    /// Adds the segment that `write` writes; `compression` says how it is compressed, `None` that it is not known.
    pub(crate) fn segment<T>(
        &mut self,
        kind: SegmentKind,
        compression: Option<Compression>,
        write: impl FnOnce(&mut dyn Write) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let offset = self.position();
        let mut digest = Sha256::new();
        let mut segment = self.cancel.watch(SegmentWriter {
            out: &mut self.out,
            digest: &mut digest,
        });
        let result = write(&mut segment)?;
        let size = self.position() - offset;
        self.segments.push(Segment {
            kind,
            offset,
            size,
            sha256: hex(&digest.finalize().into()),
            compression: compression.map(|compression| compression.to_string()),
        });
        // A segment whose form is not known may be one that does not say where it ends.
        let zeros = zeros_after(compression.unwrap_or(Compression::Lz4(Lz4Level::MIN)), size);
        self.zeros(zeros)?;
        // The next one begins on a page, also where boot loaders put the segments together from files of their own.
        self.align(PAGE)?;
        Ok(result)
    }

    /// Syncs the file; returns its segments, size and hash.
    pub(crate) fn finish(self) -> Result<(Vec<Segment>, u64, [u8; 32]), Error> {
        let failed = Error::write(&self.path);
        let (out, size, digest) = self.out.finish();
        let synced = out.into_inner().map_err(IntoInnerError::into_error);
        synced.and_then(SyncedFile::finish).map_err(failed)?;
        Ok((self.segments, size, digest))
    }
}

/// Hashes the bytes of a segment both for it and for the whole initrd. At quick levels, a build hashes about as long as
/// it compresses; so each hash has a thread.
struct SegmentWriter<'a> {
    out: &'a mut HashWriter<BufWriter<SyncedFile>>,
    digest: &'a mut Sha256,
}

impl Write for SegmentWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() < HASHED_APART {
            let count = self.out.write(bytes)?;
            self.digest.update(&bytes[..count]);
            return Ok(count);
        }
        // Not on the threads of the build: these may wait for this segment to take what they made.
        let (is_apart, written) = thread::scope(|scope| {
            let hash = || self.digest.update(bytes);
            let thread = thread::Builder::new().spawn_scoped(scope, hash);
            (thread.is_ok(), self.out.write_all(bytes))
        });
        written?;
        if !is_apart {
            self.digest.update(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
