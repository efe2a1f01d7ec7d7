//! Writes what a walk finds as members of a newc archive.

use std::io::{Read, Seek, SeekFrom, Write};

use storeboot_cpio::{Metadata, WriteError, Writer};
use storeboot_index::{LIST, PARTS_PATH, Part, PartedFile, UNFINISHED};

use super::extent::Extent;
use super::large_files::{self, LargeFiles};
use crate::store::walk::{self, OpenFile, Sink};
use crate::{Error, REGISTRATION};

/// Permissions of the directories that the store is in.
const OUTER_DIRECTORY: u16 = 0o755;

/// Writes members below the directories that were entered.
pub(crate) struct ArchiveSink<W: Write> {
    writer: Writer<W>,
    /// Names of the directories entered, joined.
    directories: Vec<Vec<u8>>,
    /// The length of the name of the directory that the store paths are in.
    store: usize,
    large_files: LargeFiles,
    /// How many files in parts there are in the store path with this name.
    in_parts: Option<(Vec<u8>, u64)>,
    extent: Extent,
    content_size: u64,
}

impl<W: Write> ArchiveSink<W> {
    pub(crate) fn new(writer: Writer<W>, large_files: LargeFiles) -> Self {
        Self {
            writer,
            directories: Vec::new(),
            store: 0,
            large_files,
            in_parts: None,
            extent: Extent::default(),
            content_size: 0,
        }
    }

    /// Writes and enters the directory of the store paths and those that it is in.
    pub(crate) fn directories(&mut self, path: &[u8]) -> Result<(), Error> {
        self.store = path.len();
        path.split(|&byte| byte == b'/')
            .try_for_each(|part| self.directory(part, OUTER_DIRECTORY))
    }

    /// Enters the directory of the store paths, which an earlier archive holds.
    pub(crate) fn enter_unwritten(&mut self, path: &[u8]) {
        self.store = path.len();
        self.directories.push(path.to_vec());
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
        self.write_directory(&name, mode)?;
        self.directories.push(name);
        Ok(())
    }

    fn write_directory(&mut self, name: &[u8], mode: u16) -> Result<(), Error> {
        self.extent.add(0);
        self.writer
            .directory(name, &Metadata::mode(mode.into()))
            .map_err(error)
    }

    /// Writes a file in parts, for stage 1 to put together: an empty file, a list of the parts, and the parts.
    fn in_parts(&mut self, name: Vec<u8>, file: OpenFile, parts: Vec<Part>) -> Result<(), Error> {
        self.extent.add(0);
        self.writer
            .file(&name, &Metadata::mode(UNFINISHED.into()), 0, &b""[..])
            .map_err(error)?;
        let path = name.get(self.store + 1..).unwrap_or_default();
        let folder = self.folder_of_parts(path)?;
        let file_name =
            |part: &dyn std::fmt::Display| [&folder, format!("/{part}").as_bytes()].concat();
        let parted = PartedFile {
            path: path.to_vec(),
            executable: file.executable,
            size: file.size,
            parts,
        };
        parted.check()?;
        let list = parted.to_string();
        let meta = Metadata::mode(walk::FILE.into());
        self.extent.add(list.len() as u64);
        self.extent.part = self.extent.part.max(list.len() as u64);
        self.writer
            .file(file_name(&LIST), &meta, list.len() as u64, list.as_bytes())
            .map_err(error)?;
        for (number, part) in parted.parts.iter().enumerate() {
            let mut data = &file.file;
            data.seek(SeekFrom::Start(part.offset))
                .map_err(Error::read(String::from_utf8_lossy(&name).into_owned()))?;
            self.extent.add(part.size);
            self.extent.part = self.extent.part.max(part.size);
            self.writer
                .file(file_name(&number), &meta, part.size, data.take(part.size))
                .map_err(error)?;
        }
        Ok(())
    }

    /// Makes a folder for the parts of a file, whose path inside the store is given. The folder is named for the store
    /// path and a number, so that the name does not depend on other store paths.
    fn folder_of_parts(&mut self, file: &[u8]) -> Result<Vec<u8>, Error> {
        let path = file.split(|&byte| byte == b'/').next().unwrap_or_default();
        let number = match self.in_parts.take() {
            Some((last, count)) if last == path => count,
            _ => 0,
        };
        self.in_parts = Some((path.to_vec(), number + 1));
        let folder = [
            PARTS_PATH.as_bytes(),
            b"/",
            path,
            format!("-{number}").as_bytes(),
        ]
        .concat();
        // An outer folder that was written before may be written again.
        for end in (0..folder.len()).filter(|&at| folder[at] == b'/') {
            self.write_directory(&folder[..end], OUTER_DIRECTORY)?;
        }
        self.write_directory(&folder, OUTER_DIRECTORY)?;
        Ok(folder)
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
        self.content_size += file.size;
        if self.large_files.cuts(file.size) {
            let read = |error| Error::read(String::from_utf8_lossy(&name).into_owned())(error);
            if let Some(parts) = large_files::parts(&file.file, file.size).map_err(read)? {
                return self.in_parts(name, file, parts);
            }
        }
        let meta = Metadata::mode(file.mode().into());
        self.extent.add(file.size);
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

#[cfg(test)]
mod tests;
