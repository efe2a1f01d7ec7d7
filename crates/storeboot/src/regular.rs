//! Opens files of folders that come from elsewhere, such as netboot directories and layers.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::Error;

/// What is wrong with a link. A web server follows it, and so would the one who copies the folder.
pub(crate) const LINK: &str = "it is a link, and could lead out of the directory";

/// What is wrong with a pipe or a device.
pub(crate) const NOT_REGULAR: &str = "it is no regular file";

/// Opens the regular file `name` of a folder, a path of plain names. The folder itself may be a link, such as Nix's
/// `result`; what is in it may not, since a link can lead out of it. A pipe would keep us waiting, and a device may have
/// no end.
pub(crate) fn open(folder: &Path, name: &str) -> Result<File, Error> {
    let mut path = folder.to_owned();
    let refuse = |path: &Path, reason: &str| Error::Fault {
        path: path.into(),
        reason: reason.into(),
    };
    for part in Path::new(name) {
        path.push(part);
        let metadata = fs::symlink_metadata(&path).map_err(Error::read(&path))?;
        if metadata.is_symlink() {
            return Err(refuse(&path, LINK));
        }
        // Not even opened: a device may do something then.
        if !metadata.is_file() && !metadata.is_dir() {
            return Err(refuse(&path, NOT_REGULAR));
        }
    }
    // Whatever may have taken its place since.
    let opened = || {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = File::options();
        let file = options
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(&path)?;
        let is_file = file.metadata()?.is_file();
        Ok::<_, io::Error>(Some(file).filter(|_| is_file))
    };
    opened()
        .map_err(Error::read(&path))?
        .ok_or_else(|| refuse(&path, NOT_REGULAR))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    #[test]
    fn only_a_regular_file_below_the_folder_is_opened() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("folder");
        fs::create_dir_all(folder.join("inside")).unwrap();
        for name in ["file", "inside/file"] {
            fs::write(folder.join(name), "content").unwrap();
        }
        symlink("folder", scratch.path().join("result")).unwrap();
        for name in ["file", "inside/file"] {
            for folder in ["folder", "result"] {
                let mut text = String::new();
                let mut file = open(&scratch.path().join(folder), name).unwrap();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text, "content");
            }
        }
        symlink("file", folder.join("link")).unwrap();
        symlink("inside", folder.join("linked")).unwrap();
        symlink("/dev/zero", folder.join("zero")).unwrap();
        rustix::fs::mknodat(CWD, folder.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let _socket = UnixListener::bind(folder.join("socket")).unwrap();
        for (name, at, reason) in [
            ("link", "link", LINK),
            ("linked/file", "linked", LINK),
            ("zero", "zero", LINK),
            ("pipe", "pipe", NOT_REGULAR),
            ("inside", "inside", NOT_REGULAR),
            ("socket", "socket", NOT_REGULAR),
        ] {
            let error = open(&folder, name).unwrap_err();
            let expected = format!("{}: {reason}", folder.join(at).display());
            assert_eq!(error.to_string(), expected, "{name}");
        }
        let error = open(&folder, "missing").unwrap_err();
        let cause = error.io_error().map(io::Error::kind);
        assert_eq!(cause, Some(io::ErrorKind::NotFound));
    }
}
