use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{Node, Tree};

/// The files of this machine as a [`Tree`]. A file is found by its path.
///
/// Symbolic links are not followed. What a NAR cannot hold (devices, pipes, sockets) is an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Tree for Disk {
    type Id = PathBuf;
    type Data<'a> = File;
    type Error = io::Error;

    fn node(&mut self, path: &PathBuf) -> io::Result<Node<PathBuf, File>> {
        let kind = fs::symlink_metadata(path)?.file_type();
        if kind.is_symlink() {
            return Ok(Node::Symlink(
                fs::read_link(path)?.into_os_string().into_vec(),
            ));
        }
        if kind.is_dir() {
            let entries = fs::read_dir(path)?.map(|entry| {
                let entry = entry?;
                Ok((entry.file_name().into_vec(), entry.path()))
            });
            return Ok(Node::Directory(entries.collect::<io::Result<_>>()?));
        }
        // Examined before it is opened: opening a pipe would wait for its writer.
        if !kind.is_file() {
            let text = "it is no file, directory or symbolic link; a store path holds nothing else";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let data = File::open(path)?;
        let metadata = data.metadata()?;
        Ok(Node::File {
            // Like Nix, looks at the owner's bit alone.
            executable: metadata.permissions().mode() & 0o100 != 0,
            size: metadata.len(),
            data,
        })
    }
}
