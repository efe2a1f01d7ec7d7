//! The folder with what the server builds.
//!
//! Each build has a name, and up to three things of that name:
//!
//! - in `builds`, a netboot directory, unless the system has one of its own in the store
//! - in `roots`, a link to the system, by which Nix knows that it is in use
//! - in `given`, an empty file whose time says when a machine was last given the build

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use storeboot::Cache;

use crate::Error;

/// A build that was not given for so long goes when the server starts.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 3600);

/// The folder with what the server builds.
#[derive(Debug)]
pub(super) struct Home {
    folder: PathBuf,
    /// Keeps other servers away.
    _lock: File,
}

/// A build that an earlier server made.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) name: String,
    /// When it was last given to a machine.
    pub(super) given: SystemTime,
}

impl Home {
    /// Makes the folder if it is not there, and removes what was not completed, and what nobody asked for in a week.
    /// Refuses a folder that others can write to: they could put another system into a build.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let inner = ["builds", "roots", "given"].map(|name| folder.join(name));
        for path in [folder]
            .into_iter()
            .chain(inner.iter().map(PathBuf::as_path))
        {
            // Whatever the umask is, and whoever made it: a group that can write to it can replace what machines boot.
            let mut made = fs::DirBuilder::new();
            made.recursive(true).mode(0o755);
            made.create(path).map_err(Error::write(path))?;
            Cache::check_owner(path).map_err(Error::Folder)?;
        }
        // Links in it have to lead somewhere from anywhere.
        let folder = fs::canonicalize(folder).map_err(Error::read(folder))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(Error::write(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(folder)),
            Err(TryLockError::Error(cause)) => return Err(Error::write(&path)(cause)),
        }
        let home = Self {
            folder,
            _lock: lock,
        };
        home.clear()?;
        Ok(home)
    }

    fn clear(&self) -> Result<(), Error> {
        let now = SystemTime::now();
        for earlier in self.earlier()? {
            if now
                .duration_since(earlier.given)
                .is_ok_and(|age| age > UNUSED)
            {
                remove(&self.given(&earlier.name))?;
            }
        }
        for folder in ["builds", "roots"] {
            for name in names(&self.folder.join(folder))? {
                if is_ours(&name) && !self.given(&name).exists() {
                    remove(&self.folder.join(folder).join(name))?;
                }
            }
        }
        Ok(())
    }

    /// The builds that are there.
    pub(super) fn earlier(&self) -> Result<Vec<Earlier>, Error> {
        let names = names(&self.folder.join("given"))?;
        let earlier = names.into_iter().filter(|name| is_ours(name)).map(|name| {
            let path = self.given(&name);
            let given = fs::metadata(&path).and_then(|metadata| metadata.modified());
            let given = given.map_err(Error::read(&path))?;
            Ok(Earlier { name, given })
        });
        earlier.collect()
    }

    /// The netboot directory that the server makes.
    pub(super) fn build(&self, name: &str) -> PathBuf {
        self.folder.join("builds").join(name)
    }

    /// The link that keeps Nix from collecting the system.
    pub(super) fn root(&self, name: &str) -> PathBuf {
        self.folder.join("roots").join(name)
    }

    fn given(&self, name: &str) -> PathBuf {
        self.folder.join("given").join(name)
    }

    /// Takes down that a machine is given this build now.
    pub(super) fn give(&self, name: &str) -> Result<(), Error> {
        let path = self.given(name);
        let now = || File::create(&path)?.set_modified(SystemTime::now());
        now().map_err(Error::write(&path))
    }

    /// Removes all that there is of a build. Its directory and its link go first: what is half removed is not taken for
    /// whole.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        remove(&self.given(name))?;
        remove(&self.build(name))?;
        remove(&self.root(name))
    }
}

/// Whether the server gives such names: to a build (`build.rs` makes them), to a link while Nix builds, or to a netboot
/// directory that is not complete. What is called otherwise was put there by somebody else, and stays.
fn is_ours(name: &str) -> bool {
    const HASH: usize = 32;
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match name.split_once('-') {
        Some(("new", number)) => is_number(number),
        Some((".storeboot", _)) => true,
        Some((hash, _)) => hash.len() == HASH && is_hex(hash),
        None => false,
    }
}

/// Removes a file, a link or a folder, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::write(path)(error)),
        _ => Ok(()),
    }
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::read(folder))?;
    let names = entries.map(|entry| Ok(entry.map_err(Error::read(folder))?.file_name()));
    let names: Vec<_> = names.collect::<Result<_, Error>>()?;
    Ok(names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_was_not_completed_goes_and_what_nobody_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let make = |home: &Home, name: &str| {
            fs::create_dir(home.build(name)).unwrap();
            symlink("/nix/store", home.root(name)).unwrap();
        };
        let [whole, half, old] = ["a", "b", "c"].map(|digit| digit.repeat(32) + "-system");
        let home = Home::open(folder.path()).unwrap();
        for name in [&whole, &half, &old, "new-7", ".storeboot-half", "a-project"] {
            make(&home, name);
        }
        for name in [&whole, &old, "notes"] {
            home.give(name).unwrap();
        }
        let week = SystemTime::now() - UNUSED - Duration::from_secs(60);
        for name in [&old, "notes"] {
            let file = File::options().write(true).open(home.given(name)).unwrap();
            file.set_modified(week).unwrap();
        }
        drop(home);

        let home = Home::open(folder.path()).unwrap();
        let earlier = home.earlier().unwrap();
        let names: Vec<&str> = earlier.iter().map(|known| known.name.as_str()).collect();
        assert_eq!(names, [&whole]);
        for (name, is_there) in [
            (&*whole, true),
            (&*half, false),
            (&*old, false),
            ("new-7", false),
            (".storeboot-half", false),
            // What the server did not put there is not removed.
            ("a-project", true),
        ] {
            assert_eq!(home.build(name).exists(), is_there, "{name}");
            assert_eq!(home.root(name).is_symlink(), is_there, "{name}");
        }
        assert!(home.given("notes").exists());
        home.remove(&whole).unwrap();
        home.remove(&whole).unwrap();
        assert!(!home.build(&whole).exists() && !home.root(&whole).is_symlink());
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        for mode in [0o775, 0o777, 0o1777] {
            set(mode);
            let error = Home::open(folder.path()).unwrap_err().to_string();
            assert!(error.contains("can write to it"), "{error}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
        set(0o755);
        Home::open(folder.path()).unwrap();
    }

    #[test]
    fn one_server_at_a_time_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Home::open(folder.path()).unwrap();
        let second = Home::open(folder.path()).unwrap_err().to_string();
        assert!(second.contains("another server uses"), "{second}");
        drop(first);
        Home::open(folder.path()).unwrap();
    }
}
