//! What a walk finds, as members of a newc archive.

use std::io::{Read, Write};

use storeboot_cpio::{Metadata, WriteError, Writer};

use crate::walk::{self, Extent, OpenFile, Sink};
use crate::{Error, REGISTRATION};

/// Permissions of the directories that the store is in.
const OUTER_DIRECTORY: u16 = 0o755;

/// Writes members below the directories that were entered.
pub(crate) struct ArchiveSink<W: Write> {
    writer: Writer<W>,
    /// Names of the directories entered, joined.
    directories: Vec<Vec<u8>>,
    extent: Extent,
    content_size: u64,
}

impl<W: Write> ArchiveSink<W> {
    pub(crate) fn new(writer: Writer<W>) -> Self {
        Self {
            writer,
            directories: Vec::new(),
            extent: Extent::default(),
            content_size: 0,
        }
    }

    /// Writes and enters a directory and those that it is in.
    pub(crate) fn directories(&mut self, path: &[u8]) -> Result<(), Error> {
        path.split(|&byte| byte == b'/')
            .try_for_each(|part| self.directory(part, OUTER_DIRECTORY))
    }

    /// Enters a directory that an archive before this one has.
    pub(crate) fn enter_unwritten(&mut self, path: &[u8]) {
        let path = self.name(path);
        self.directories.push(path);
    }

    /// Writes the registration.
    pub(crate) fn registration(&mut self, size: u64, content: impl Read) -> Result<(), Error> {
        let name = self.name(REGISTRATION.as_bytes());
        self.extent.add(size);
        self.writer
            .file(&name, &Metadata::mode(walk::FILE.into()), size, content)
            .map_err(error)
    }

    /// Bytes of file content so far.
    pub(crate) fn content_size(&self) -> u64 {
        self.content_size
    }

    pub(crate) fn finish(self) -> (Writer<W>, Extent) {
        (self.writer, self.extent)
    }

    /// The member's name: the path from the archive's root.
    fn name(&self, name: &[u8]) -> Vec<u8> {
        match self.directories.last() {
            None => name.to_vec(),
            Some(directory) => [directory.as_slice(), b"/", name].concat(),
        }
    }

    fn directory(&mut self, name: &[u8], mode: u16) -> Result<(), Error> {
        let name = self.name(name);
        self.writer
            .directory(&name, &Metadata::mode(mode.into()))
            .map_err(error)?;
        self.extent.add(0);
        self.directories.push(name);
        Ok(())
    }
}

impl<W: Write> Sink for ArchiveSink<W> {
    fn enter(&mut self, name: &[u8]) -> Result<(), Error> {
        self.directory(name, walk::DIRECTORY)
    }

    fn leave(&mut self) -> Result<(), Error> {
        self.directories.pop();
        Ok(())
    }

    fn file(&mut self, name: &[u8], file: OpenFile) -> Result<(), Error> {
        let name = self.name(name);
        let meta = Metadata::mode(file.mode().into());
        self.extent.add(file.size);
        self.content_size += file.size;
        self.writer
            .file(&name, &meta, file.size, file.file)
            .map_err(error)
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        let name = self.name(name);
        self.extent.add(target.len() as u64);
        self.writer
            .symlink(&name, &Metadata::mode(0o777), target)
            .map_err(error)
    }
}

pub(crate) fn error(source: WriteError) -> Error {
    Error::Archive {
        archive: "the store's archive".into(),
        source,
    }
}
