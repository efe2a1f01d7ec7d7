//! Opens regular files and nothing else: a pipe would keep us waiting, and a device may have no end.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::size::size;

/// Opens a regular file. Links are followed: this is for paths that the operator names.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// The text of a file, which has so many bytes at most.
pub(crate) fn text(file: File, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    file.take(limit + 1).read_to_string(&mut text)?;
    match text.len() as u64 > limit {
        true => Err(io::Error::other(format!(
            "it has more than {}",
            size(limit)
        ))),
        false => Ok(text),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    /// Makes a pipe that nobody writes to.
    pub(crate) fn pipe(path: &Path) {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    }

    #[test]
    fn what_is_no_regular_file_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe_path, link) = (folder.path().join("pipe"), folder.path().join("link"));
        pipe(&pipe_path);
        symlink("/dev/zero", &link).unwrap();
        for path in [&pipe_path, &link, folder.path()] {
            let error = open(path).unwrap_err().to_string();
            assert_eq!(error, "it is no regular file", "{}", path.display());
        }
    }

    #[test]
    fn a_text_has_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let read = || text(open(&path).unwrap(), 4096);
        fs::write(&path, "a".repeat(4096)).unwrap();
        assert_eq!(read().unwrap().len(), 4096);
        fs::write(&path, "a".repeat(4097)).unwrap();
        let error = read().unwrap_err().to_string();
        assert_eq!(error, "it has more than 4.0 KiB");
    }
}
