//! Opens files of a folder that somebody else may have filled. None may lead out of it.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::{Error, regular};

/// Where links may lead, for a folder in it: what builds put here, everybody may read.
const STORE: &str = "/nix/store";

/// A folder, to open files of it.
///
/// Its own path may have links in it, such as Nix's `result`. No link is followed below it: it could lead to any file of
/// this machine. The exception is a folder in a Nix store, where links to other paths of the store are usual.
#[derive(Debug)]
pub(crate) struct Inside {
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

impl Inside {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::open_in(path, Path::new(STORE)).map_err(Error::read(path))
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
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a regular file of the folder.
    pub(crate) fn file(&self, name: &str) -> Result<File, Error> {
        self.find(name).map_err(Error::read(&self.path(name)))
    }

    fn find(&self, name: &str) -> io::Result<File> {
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
        let opened = match is_last {
            true => openat(
                at,
                name,
                OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
                Mode::empty(),
            ),
            false => open_folder(at, Path::new(name)),
        };
        let opened = opened.map_err(|error| match is_link(at, Path::new(name)) {
            true => io::Error::other("it is a link, and could lead out of the directory"),
            false => error.into(),
        })?;
        if is_last {
            return regular::check(File::from(opened));
        }
        folder = Some(opened);
    }
    Err(io::Error::other("it is not in the directory"))
}

/// Opens a folder to open what is in it, which takes no right to list it.
fn open_folder(at: BorrowedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, path, flags, Mode::empty())
}

fn is_link(at: BorrowedFd, name: &Path) -> bool {
    let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use crate::regular::tests::pipe;

    fn read(inside: &Inside, name: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut file = inside.file(name).map_err(|error| error.to_string())?;
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
        pipe(&folder.join("pipe"));
        // The folder itself may be one.
        let result = world.path().join("result");
        symlink(&folder, &result).unwrap();
        for path in [&folder, &result] {
            let inside = Inside::open(path).unwrap();
            assert_eq!(read(&inside, "kernel").unwrap(), "a kernel");
            assert_eq!(read(&inside, "images/a").unwrap(), "an image");
            for (name, reason) in [
                ("link", "it is a link, and could lead out"),
                ("others/a", "it is a link, and could lead out"),
                ("pipe", "it is no regular file"),
                ("images", "it is no regular file"),
                ("kernel/a", "Not a directory"),
                ("none", "No such file"),
                ("../netboot/kernel", "it is not in the directory"),
                ("/etc/passwd", "it is not in the directory"),
            ] {
                let error = read(&inside, name).unwrap_err();
                assert!(error.contains(reason), "{name}: {error}");
                let place = path.join(name).display().to_string();
                assert!(error.starts_with(&place), "{error}");
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
            let inside = Inside::open_in(path, &store).unwrap();
            assert_eq!(read(&inside, "kernel").unwrap(), "a kernel");
            assert_eq!(read(&inside, "others/kernel").unwrap(), "a kernel");
            for name in ["secret", "zero"] {
                let error = read(&inside, name).unwrap_err();
                assert!(error.contains("leads out of the store"), "{error}");
            }
        }
        // What is not in a store has no links.
        let outside = Inside::open_in(&folder, world.path().join("none").as_path()).unwrap();
        let error = read(&outside, "kernel").unwrap_err();
        assert!(error.contains("it is a link"), "{error}");
    }
}
