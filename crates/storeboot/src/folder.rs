//! Opens files of folders that somebody else may have filled, such as netboot directories and layers.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::Error;

/// What is wrong with a link. A web server follows it, and so would the one who copies the folder.
pub(crate) const LINK: &str = "it is a link, and could lead out of the directory";

/// What is wrong with a pipe, which would keep us waiting, and a device, which may have no end.
pub(crate) const NOT_REGULAR: &str = "it is no regular file";

/// Where links may lead, for a folder in it: what builds put here, everybody may read.
const STORE: &str = "/nix/store";

/// A folder that somebody else may have filled, to open files of it.
///
/// Its own path may have links in it, such as Nix's `result`. No link is followed below it: it could lead to any file of
/// this machine. The exception is a folder in a Nix store, where links to other paths of the store are usual.
///
/// ```
/// let scratch = tempfile::tempdir()?;
/// std::fs::write(scratch.path().join("initrd"), "bytes")?;
/// std::os::unix::fs::symlink("/etc/passwd", scratch.path().join("secret"))?;
/// let folder = storeboot::Folder::open(scratch.path())?;
/// assert_eq!(folder.file("initrd")?.metadata()?.len(), 5);
/// assert!(folder.file("secret").is_err());
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    root: OwnedFd,
    in_store: Option<InStore>,
}

/// Where a folder and its store are, without links. `root` is the store then.
#[derive(Debug)]
struct InStore {
    store: PathBuf,
    folder: PathBuf,
}

impl Folder {
    /// Opens a folder.
    ///
    /// # Errors
    /// Where it is not there or no folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_in(path, Path::new(STORE))
    }

    fn open_in(path: &Path, store: &Path) -> io::Result<Self> {
        let folder = fs::canonicalize(path)?;
        let in_store = fs::canonicalize(store).ok();
        let in_store = in_store.filter(|store| folder.starts_with(store) && folder != *store);
        let root = in_store.as_ref().unwrap_or(&folder);
        Ok(Self {
            path: path.into(),
            root: open_folder(CWD, root)?,
            in_store: in_store.map(|store| InStore { store, folder }),
        })
    }

    /// The path of a file, for people.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a regular file of the folder, by its name or a path of names. Does not wait for a pipe.
    ///
    /// # Errors
    /// Where it is not there, is no regular file, or lies behind a link that is not followed.
    pub fn file(&self, name: &str) -> io::Result<File> {
        let Some(InStore { store, folder }) = &self.in_store else {
            return below(self.root.as_fd(), Path::new(name));
        };
        let place = fs::canonicalize(folder.join(name))?;
        match place.strip_prefix(store) {
            Ok(place) => below(self.root.as_fd(), place),
            Err(_) => Err(io::Error::other("it is a link that leads out of the store")),
        }
    }
}

/// Opens a regular file below a folder, and follows no link on the way.
fn below(root: BorrowedFd, path: &Path) -> io::Result<File> {
    let mut folder: Option<OwnedFd> = None;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            break;
        };
        let at = folder.as_ref().map_or(root, AsFd::as_fd);
        let is_last = parts.peek().is_none();
        // Before it is opened: a device may do something then.
        match FileType::from_raw_mode(statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode) {
            FileType::Symlink => return Err(io::Error::other(LINK)),
            FileType::RegularFile | FileType::Directory => {}
            _ => return Err(io::Error::other(NOT_REGULAR)),
        }
        if !is_last {
            folder = Some(open_folder(at, Path::new(name))?);
            continue;
        }
        // Something else may have taken its place since.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(at, name, flags, Mode::empty())?);
        return match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other(NOT_REGULAR)),
        };
    }
    Err(io::Error::other("it is not in the directory"))
}

/// Opens a folder to open what is in it, which takes no right to list it.
fn open_folder(at: BorrowedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, path, flags, Mode::empty())
}

/// Opens a regular file of a folder, see [`Folder`].
pub(crate) fn open_file(folder: &Path, name: &str) -> Result<File, Error> {
    let path = folder.join(name);
    let file = Folder::open(folder).and_then(|folder| folder.file(name));
    file.map_err(|error| match error.raw_os_error() {
        Some(_) => Error::read(&path)(error),
        None => Error::Fault {
            reason: error.to_string(),
            path,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::mknodat;

    fn read(folder: &Folder, name: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut file = folder.file(name).map_err(|error| error.to_string())?;
        file.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn no_link_below_a_folder_is_followed() {
        let world = tempfile::tempdir().unwrap();
        let folder = world.path().join("netboot");
        fs::create_dir_all(folder.join("images")).unwrap();
        fs::write(folder.join("images/a"), "an image").unwrap();
        fs::write(folder.join("kernel"), "a kernel").unwrap();
        symlink("kernel", folder.join("link")).unwrap();
        symlink("images", folder.join("others")).unwrap();
        mknodat(CWD, folder.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = UnixListener::bind(folder.join("socket")).unwrap();
        // The folder itself may be one.
        let result = world.path().join("result");
        symlink(&folder, &result).unwrap();
        for path in [&folder, &result] {
            let opened = Folder::open(path).unwrap();
            assert_eq!(read(&opened, "kernel").unwrap(), "a kernel");
            assert_eq!(read(&opened, "images/a").unwrap(), "an image");
            for (name, reason) in [
                ("link", "it is a link, and could lead out"),
                ("others/a", "it is a link, and could lead out"),
                ("pipe", "it is no regular file"),
                ("socket", "it is no regular file"),
                ("images", "it is no regular file"),
                ("kernel/a", "Not a directory"),
                ("none", "No such file"),
                ("../netboot/kernel", "it is not in the directory"),
                ("/etc/passwd", "it is not in the directory"),
            ] {
                let error = read(&opened, name).unwrap_err();
                assert!(error.contains(reason), "{name}: {error}");
                let error = open_file(path, name).unwrap_err();
                assert_eq!(error.path(), Some(path.join(name).as_path()), "{error}");
                let is_missing = error.io_error().map(io::Error::kind);
                let expected = (name == "none").then_some(io::ErrorKind::NotFound);
                assert_eq!(
                    is_missing.filter(|kind| *kind == io::ErrorKind::NotFound),
                    expected
                );
            }
        }
    }

    #[test]
    fn links_in_a_store_may_lead_to_what_is_in_it() {
        let world = tempfile::tempdir().unwrap();
        let store = world.path().join("store");
        let [folder, other] = ["a-netboot", "b-kernel"].map(|name| store.join(name));
        for path in [&folder, &other] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(other.join("kernel"), "a kernel").unwrap();
        fs::write(world.path().join("secret"), "a secret").unwrap();
        symlink(other.join("kernel"), folder.join("kernel")).unwrap();
        symlink("../b-kernel", folder.join("others")).unwrap();
        symlink("../../secret", folder.join("secret")).unwrap();
        symlink("/dev/zero", folder.join("zero")).unwrap();
        let result = world.path().join("result");
        symlink(&folder, &result).unwrap();
        for path in [&folder, &result] {
            let opened = Folder::open_in(path, &store).unwrap();
            assert_eq!(read(&opened, "kernel").unwrap(), "a kernel");
            assert_eq!(read(&opened, "others/kernel").unwrap(), "a kernel");
            for name in ["secret", "zero"] {
                let error = read(&opened, name).unwrap_err();
                assert!(error.contains("leads out of the store"), "{error}");
            }
        }
        // What is not in a store has no links.
        let outside = Folder::open_in(&folder, world.path().join("none").as_path()).unwrap();
        let error = read(&outside, "kernel").unwrap_err();
        assert!(error.contains("it is a link"), "{error}");
    }
}
