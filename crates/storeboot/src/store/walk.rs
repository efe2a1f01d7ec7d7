//! Walks a store path in the order of its names' bytes, whatever order the file system has.

use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use storeboot_closure::PathInfo;

use crate::Error;

/// Where the entries of a walk go. Names are those of one directory level, without slashes.
pub(crate) trait Sink {
    /// A store path comes next.
    fn begin(&mut self, _: &PathInfo) -> Result<(), Error> {
        Ok(())
    }
    fn enter(&mut self, name: &[u8]) -> Result<(), Error>;
    fn leave(&mut self) -> Result<(), Error>;
    fn file(&mut self, name: &[u8], file: OpenFile) -> Result<(), Error>;
    fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error>;
}

/// A file that is about to be packed.
pub(crate) struct OpenFile {
    pub(crate) file: File,
    pub(crate) size: u64,
    pub(crate) executable: bool,
}

impl OpenFile {
    /// The permissions that Nix gives every file of its store.
    pub(crate) fn mode(&self) -> u16 {
        file_mode(self.executable)
    }
}

pub(crate) fn file_mode(executable: bool) -> u16 {
    if executable { EXECUTABLE } else { FILE }
}

/// Permissions of directories in a Nix store.
pub(crate) const DIRECTORY: u16 = 0o555;
/// Permissions of files in a Nix store.
pub(crate) const FILE: u16 = 0o444;
/// Permissions of programs in a Nix store.
pub(crate) const EXECUTABLE: u16 = 0o555;

/// Walks the file, directory or symbolic link at `path`, which is called `name` in the output.
pub(crate) fn walk(path: &Path, name: &[u8], sink: &mut impl Sink) -> Result<(), Error> {
    let metadata = fs::symlink_metadata(path).map_err(Error::read(path))?;
    walk_entry(path, name, metadata.file_type(), sink)
}

fn walk_entry(path: &Path, name: &[u8], kind: FileType, sink: &mut impl Sink) -> Result<(), Error> {
    if kind.is_file() {
        let (file, metadata) = open(path).map_err(Error::read(path))?;
        if !metadata.is_file() {
            return Err(Error::Special { path: path.into() });
        }
        let file = OpenFile {
            file,
            size: metadata.len(),
            executable: metadata.mode() & 0o100 != 0,
        };
        sink.file(name, file)
    } else if kind.is_dir() {
        sink.enter(name)?;
        for (child, kind) in list(path)? {
            let path = path.join(&child);
            walk_entry(&path, child.as_bytes(), kind, sink)?;
        }
        sink.leave()
    } else if kind.is_symlink() {
        let target = fs::read_link(path).map_err(Error::read(path))?;
        sink.symlink(name, &target.into_os_string().into_vec())
    } else {
        Err(Error::Special { path: path.into() })
    }
}

/// Opens a file without following a link or waiting for a pipe, should one have taken its place.
pub(crate) fn open(path: &Path) -> std::io::Result<(File, Metadata)> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

fn list(path: &Path) -> Result<Vec<(OsString, FileType)>, Error> {
    let mut entries = fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| {
                    let entry = entry?;
                    Ok((entry.file_name(), entry.file_type()?))
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(Error::read(path))?;
    entries.sort_unstable_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    Ok(entries)
}
