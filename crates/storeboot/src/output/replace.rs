//! Puts a complete folder into the place of an old one.
//!
//! Where the file system can exchange two names, the place is never empty. Elsewhere (FUSE, NFS, 9p, older ZFS) the old
//! folder is moved aside, the new one is moved in, and the old one is removed. If the process dies between the first
//! two, the next build moves the old folder back.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, RenameFlags, StatxAttributes, StatxFlags, renameat_with, statx};

use super::name::{Name, Origin, RANDOM, replaced_suffix};
use super::{MANIFEST, parent, stale, sync};
use crate::Error;

/// What is at the path of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing, or an empty folder, which a rename replaces.
    Free,
    /// Another output.
    Taken,
}

impl Place {
    /// Looks at `path`, where only a folder that has the file `mark` in it may be replaced, or an empty one.
    pub(super) fn look(path: &Path, mark: &'static str) -> Result<Self, Error> {
        let taken = || Error::OutputTaken {
            path: path.into(),
            expected: if mark == MANIFEST {
                "a netboot directory"
            } else {
                "a layer"
            },
        };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Free),
            Err(error) => return Err(Error::write(path)(error)),
            Ok(metadata) if !metadata.is_dir() => return Err(taken()),
            Ok(_) => {}
        }
        let mut entries = fs::read_dir(path).map_err(Error::read(path))?;
        let place = match entries.next() {
            None => Self::Free,
            Some(_) if path.join(mark).is_file() => Self::Taken,
            Some(_) => return Err(taken()),
        };
        let why = if path.file_name().is_none() {
            "`.` and `..` cannot be replaced; give the folder by its name"
        } else if is_mount_point(path) {
            "a mount point cannot be replaced; give a folder in it"
        } else {
            return Ok(place);
        };
        let source = io::Error::new(io::ErrorKind::ResourceBusy, why);
        Err(Error::write(path)(source))
    }
}

/// Kernels before Linux 5.8 do not tell. There, the rename fails.
fn is_mount_point(path: &Path) -> bool {
    let stat = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    stat.is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// How an old folder makes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Exchange,
    MoveAside,
}

impl Way {
    /// Finds out how folders are replaced on this file system, by a trial in the empty folder `scratch`.
    pub(super) fn find(scratch: &Path) -> io::Result<Self> {
        let [one, other] = ["one", "other"].map(|name| scratch.join(name));
        fs::create_dir(&one)?;
        fs::create_dir(&other)?;
        let exchanged = exchange_names(&one, &other);
        fs::remove_dir(&one)?;
        fs::remove_dir(&other)?;
        // File systems differ in the error, and a kernel before Linux 3.15 has another one.
        Ok(match exchanged {
            Ok(()) => Self::Exchange,
            Err(_) => Self::MoveAside,
        })
    }

    /// Finds out whether the old folder `path` can be renamed; `scratch` is an empty folder beside it.
    pub(super) fn try_on(self, path: &Path, scratch: &Path) -> io::Result<()> {
        match self {
            Self::Exchange => try_rename(path, scratch),
            // Such file systems follow POSIX less closely, and the old folder must not be lost. Only its name is tried.
            Self::MoveAside => {
                let mut name = OsString::from(Origin::here().prefix());
                name.push("0".repeat(RANDOM));
                name.push(replaced_suffix(file_name(path)?));
                match fs::symlink_metadata(path.with_file_name(name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// Tries to rename the folder `path` to a folder that is not empty, which always fails. The error tells whether
/// anything else is in the way.
fn try_rename(path: &Path, scratch: &Path) -> io::Result<()> {
    let inside = scratch.join("inside");
    fs::create_dir(&inside)?;
    let Err(error) = fs::rename(path, scratch) else {
        fs::rename(scratch, path)?;
        let why = "this file system replaces a folder that is not empty, so nothing is safe here";
        return Err(io::Error::other(why));
    };
    fs::remove_dir(&inside)?;
    match error.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => Ok(()),
        kind @ io::ErrorKind::CrossesDevices => {
            let why = "the old one is in a lower layer of an overlay and cannot be renamed; remove it first";
            Err(io::Error::new(kind, why))
        }
        _ => Err(error),
    }
}

/// Renames the complete folder `written` to `path`, whose place was looked at. After an exchange, the old folder is at
/// `written`. After an error, all is as it was, but for an empty folder that was there.
pub(super) fn put(written: &Path, path: &Path, place: Place, way: Way) -> io::Result<()> {
    match (place, way) {
        (Place::Free, _) => rename(written, path),
        (Place::Taken, Way::Exchange) => exchange(written, path),
        (Place::Taken, Way::MoveAside) => {
            let old = Aside::take(path)?;
            match rename(written, path) {
                Ok(()) => {
                    old.remove();
                    Ok(())
                }
                Err(error) => Err(old.put_back(path, error)),
            }
        }
    }
}

/// Renames the complete file `written` to `path`. After an exchange, the old file is at `written`. After an error, all is
/// as it was, except where names cannot be exchanged: there, an old file is gone.
pub(super) fn put_file(written: &Path, path: &Path) -> io::Result<()> {
    match exchange_names(written, path) {
        Ok(()) => sure(path, || exchange_names(written, path)),
        // There is no old file, or this file system cannot exchange names.
        Err(_) => rename(written, path),
    }
}

/// Renames so that the new name is sure to be there after a power cut.
fn rename(written: &Path, path: &Path) -> io::Result<()> {
    fs::rename(written, path)?;
    sure(path, || fs::rename(path, written))
}

/// As [`rename`], with the old folder at `written` afterwards.
fn exchange(written: &Path, path: &Path) -> io::Result<()> {
    exchange_names(written, path)?;
    sure(path, || exchange_names(written, path))
}

/// Syncs the names beside `path`; undoes what was done to them if the disk cannot take them.
fn sure(path: &Path, undo: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    sync(&parent(path)).inspect_err(|_| {
        // The first error is the one to tell.
        let _ = undo();
    })
}

fn exchange_names(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

fn file_name(path: &Path) -> io::Result<&OsStr> {
    path.file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))
}

/// An old output that was moved aside.
struct Aside {
    path: PathBuf,
    /// Holds the lock that keeps other builds from putting it back, or from removing it.
    _file: File,
}

impl Aside {
    fn take(output: &Path) -> io::Result<Self> {
        let file = File::open(output)?;
        // If another program holds a lock, no build gets one either.
        let _ = file.try_lock();
        let prefix = Origin::here().prefix();
        let suffix = replaced_suffix(file_name(output)?);
        let aside = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(&suffix)
            .rand_bytes(RANDOM)
            .disable_cleanup(true)
            .make_in(parent(output), |aside| fs::rename(output, aside))?;
        Ok(Self {
            path: aside.path().into(),
            _file: file,
        })
    }

    /// Moves it back after an error, which is returned. If that cannot be done, the error tells where it is.
    fn put_back(self, output: &Path, error: io::Error) -> io::Error {
        match fs::rename(&self.path, output) {
            Ok(()) => error,
            Err(second) => io::Error::other(format!(
                "{error}; the old one is at {} now, since it could not be moved back: {second}",
                self.path.display()
            )),
        }
    }

    /// Removes it. What cannot be removed now, the next build tries to remove.
    fn remove(self) {
        if let Some(name) = self.path.file_name().and_then(Name::parse) {
            let _ = stale::remove_replaced(&self.path, &name);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::output::tests::names;

    /// Leaves what is there if a process dies after it has moved an old folder aside.
    pub(in crate::output) fn crash_between_the_renames(path: &Path) {
        drop(Aside::take(path).expect("moved"));
    }

    /// A folder with an old output `out` and a new one.
    fn world() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let [written, path] = ["new", "out"].map(|name| {
            let path = folder.path().join(name);
            fs::create_dir(&path).expect("a folder");
            fs::write(path.join(MANIFEST), name).expect("a file");
            path
        });
        (folder, written, path)
    }

    fn content(path: &Path) -> String {
        fs::read_to_string(path.join(MANIFEST)).expect("it is there")
    }

    #[test]
    fn an_old_folder_is_replaced_either_way() {
        let (folder, written, path) = world();
        put(&written, &path, Place::Taken, Way::Exchange).expect("exchanged");
        assert_eq!(
            [content(&path), content(&written)],
            ["new", "out"].map(String::from)
        );

        put(&written, &path, Place::Taken, Way::MoveAside).expect("moved in");
        assert_eq!(content(&path), "out");
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn the_old_folder_is_back_when_the_new_one_cannot_be_moved_in() {
        let (folder, written, path) = world();
        fs::remove_dir_all(&written).expect("removed");
        let error = put(&written, &path, Place::Taken, Way::MoveAside).expect_err("it is gone");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(content(&path), "out");
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn an_error_tells_where_the_old_folder_is_if_it_cannot_be_put_back() {
        let (folder, _, path) = world();
        let old = Aside::take(&path).expect("moved");
        // Something else takes the place.
        fs::write(&path, "").expect("a file");
        let aside = old.path.clone();
        let error = old.put_back(&path, io::Error::other("no")).to_string();
        assert!(error.starts_with("no; "), "{error}");
        assert!(error.contains(&*aside.to_string_lossy()), "{error}");
        assert_eq!(content(&aside), "out");
        assert_eq!(names(folder.path()).len(), 3);
    }

    #[test]
    fn what_was_moved_aside_is_left_alone_while_its_process_lives() {
        let (folder, _, path) = world();
        let user = std::os::unix::fs::MetadataExt::uid(&path.metadata().expect("there"));
        let old = Aside::take(&path).expect("moved");
        stale::clear(folder.path(), user, i64::MAX);
        assert!(!path.exists() && old.path.exists());
        drop(old);
        stale::clear(folder.path(), user, i64::MAX);
        assert_eq!(content(&path), "out");
    }

    #[test]
    fn the_trial_leaves_nothing_behind_and_finds_the_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let way = Way::find(folder.path()).expect("tried");
        assert_eq!(names(folder.path()), [""; 0]);
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        fs::write(&one, "").expect("a file");
        fs::write(&other, "").expect("a file");
        assert_eq!(exchange_names(&one, &other).is_ok(), way == Way::Exchange);
    }

    #[test]
    fn a_name_that_is_too_long_to_be_moved_aside_is_found_beforehand() {
        let (folder, scratch, _) = world();
        fs::remove_file(scratch.join(MANIFEST)).expect("removed");
        let path = folder.path().join("n".repeat(250));
        fs::create_dir(&path).expect("a folder");
        Way::Exchange
            .try_on(&path, &scratch)
            .expect("no other name is needed");
        let error = Way::MoveAside.try_on(&path, &scratch);
        let error = error.expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidFilename);
        let short = folder.path().join("out");
        for way in [Way::MoveAside, Way::Exchange] {
            way.try_on(&short, &scratch).expect("it can be replaced");
            assert_eq!(content(&short), "out");
            assert_eq!(names(&scratch), [""; 0]);
        }
    }
}
