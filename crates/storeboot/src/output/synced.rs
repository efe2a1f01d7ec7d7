//! Has a file reach the disk while it is written, so that its last sync has little to wait for.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// A sync begins after this many bytes, unless another one is under way.
const STEP: usize = 16 << 20;

/// A file that is written from its beginning to its end.
#[derive(Debug)]
pub(crate) struct SyncedFile {
    file: Arc<File>,
    /// Bytes that no sync covers yet.
    unsynced: usize,
    /// The sync that is under way, on a thread of its own.
    under_way: Option<JoinHandle<io::Result<()>>>,
}

impl SyncedFile {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file: Arc::new(file),
            unsynced: 0,
            under_way: None,
        }
    }

    /// Returns when all of the file is on the disk.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.wait()?;
        self.file.sync_all()
    }

    fn begin(&mut self) -> io::Result<()> {
        if self
            .under_way
            .as_ref()
            .is_some_and(|sync| !sync.is_finished())
        {
            return Ok(());
        }
        // The system tells of a failed write once, and perhaps to this sync.
        self.wait()?;
        let file = Arc::clone(&self.file);
        self.unsynced = 0;
        // Without a thread, the last sync does it all.
        self.under_way = thread::Builder::new()
            .name("sync".into())
            .spawn(move || file.sync_data())
            .ok();
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        match self.under_way.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the thread that syncs the file is gone")),
        }
    }
}

impl Write for SyncedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = (&*self.file).write(bytes)?;
        self.unsynced += count;
        if self.unsynced >= STEP {
            self.begin()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SyncedFile {
    fn drop(&mut self) {
        // After an error there is one already.
        let _ = self.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_written_is_in_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let file = File::create(&path).expect("a file");
        let content: Vec<u8> = (0..11_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut out = SyncedFile::new(file);
        for part in content.chunks(1 << 20) {
            out.write_all(part).expect("written");
        }
        out.finish().expect("synced");
        assert!(std::fs::read(&path).expect("readable") == content);
    }

    /// A pipe can be written and not synced.
    #[test]
    fn a_sync_that_fails_is_told() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let drain = thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
        let mut out = SyncedFile::new(File::from(std::os::fd::OwnedFd::from(writer)));
        let written = (0..(3 * STEP) >> 20).try_for_each(|_| out.write_all(&[0; 1 << 20]));
        let error = written.and_then(|()| out.finish()).expect_err("not synced");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        drain.join().expect("no panic").expect("drained");
    }
}
