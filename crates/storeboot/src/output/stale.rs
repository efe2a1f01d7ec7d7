//! Clears away what builds that have died left beside their outputs.
//!
//! As long as its process lives, what lies beside an output is locked (`flock`). But some file systems keep the locks
//! of each host apart, and then another host's build looks as if it had died. So a lock alone tells only of this host.
//! What others left has to lie unchanged for a long time, too.

use std::cmp::Reverse;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use walkdir::WalkDir;

use super::name::{Name, Origin};

/// How long something of another host has to lie unchanged, in seconds: three days. A build writes all the time, but a
/// machine may sleep over a weekend in the middle of one, and the clocks of two hosts may differ.
const AGE: i64 = 3 * 24 * 60 * 60;

/// Clears the folder `parent`, for the user `user`. `now` is the time of a change that was just made in the folder:
/// where a server tells the time of changes, this process's clock does not matter.
///
/// An error leaves something behind, and does not keep this build from doing its work.
pub(super) fn clear(parent: &Path, user: u32, now: i64) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    let mut left: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let name = Name::parse(&entry.file_name())?;
            let changed = entry.metadata().ok()?.ctime();
            Some((entry.path(), name, changed))
        })
        .collect();
    // Of two old outputs with the same name, the newer one is put back.
    left.sort_by_key(|(_, _, changed)| Reverse(*changed));
    for (path, name, _) in left {
        let _ = clear_one(&path, &name, user, now);
    }
}

fn clear_one(path: &Path, name: &Name, user: u32, now: i64) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    let is_ours = metadata.uid() == user && (metadata.is_file() || metadata.is_dir());
    if !is_ours || file.try_lock().is_err() {
        return Ok(());
    }
    if !name.origin.is_known_by_locks(Origin::here())
        && now.saturating_sub(newest_change(path)?) < AGE
    {
        return Ok(());
    }
    // Before it was locked here, it may have been completed, and have another name now.
    if !is(path, &file)? {
        return Ok(());
    }
    let Some(output) = &name.replaced else {
        return remove(path);
    };
    let output = path.with_file_name(output);
    match fs::symlink_metadata(&output) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(path, &output),
        Err(error) => Err(error),
        Ok(_) => remove_replaced(path, name),
    }
}

/// When something under a path was changed last.
fn newest_change(path: &Path) -> io::Result<i64> {
    let mut newest = i64::MIN;
    for entry in WalkDir::new(path) {
        newest = newest.max(entry?.metadata()?.ctime());
    }
    Ok(newest)
}

/// Removes an old output that was moved aside. It is renamed first: a name that ends in `.replaced` is always that of a
/// whole output, since the next build may put it back.
pub(super) fn remove_replaced(path: &Path, name: &Name) -> io::Result<()> {
    let unfinished = path.with_file_name(name.unfinished());
    fs::rename(path, &unfinished)?;
    remove(&unfinished)
}

/// Whether this is the open file's name.
pub(super) fn is(path: &Path, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// A folder where things are left behind.
    struct Left {
        folder: tempfile::TempDir,
    }

    impl Left {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            Self { folder }
        }

        /// A folder of this name, with a file in it.
        fn folder(&self, name: &str) -> PathBuf {
            let path = self.folder.path().join(name);
            fs::create_dir(&path).expect("a folder");
            fs::write(path.join("content"), name).expect("a file");
            path
        }

        fn made_by(&self, origin: Origin, rest: &str) -> PathBuf {
            self.folder(&format!("{}0123456789{rest}", origin.prefix()))
        }

        /// Clears it as if so much time had passed since now.
        fn clear_after(&self, seconds: i64) {
            let metadata = self.folder.path().metadata().expect("it is there");
            clear(
                self.folder.path(),
                metadata.uid(),
                metadata.ctime() + seconds,
            );
        }

        fn names(&self) -> Vec<String> {
            crate::output::tests::names(self.folder.path())
        }
    }

    #[test]
    fn what_this_host_left_is_removed_at_once() {
        let left = Left::new();
        left.made_by(Origin::here(), "ab.unfinished");
        let file = format!("{}ABCDEFabcdef.unfinished", Origin::here().prefix());
        fs::write(left.folder.path().join(file), "half").expect("a file");
        left.clear_after(0);
        assert_eq!(left.names(), [""; 0]);
    }

    #[test]
    fn what_another_host_left_is_removed_when_it_is_old() {
        let left = Left::new();
        let other = left.made_by(Origin::of_another_host(), "ab.unfinished");
        let earlier_version = left.folder(".storeboot-0123456789ab.unfinished");
        left.clear_after(AGE - 60);
        assert!(other.exists() && earlier_version.exists());
        // A clock that is behind does not make anything old.
        left.clear_after(-10 * AGE);
        assert!(other.exists() && earlier_version.exists());
        left.clear_after(AGE + 60);
        assert_eq!(left.names(), [""; 0]);
    }

    #[test]
    fn the_newest_change_inside_counts() {
        let left = Left::new();
        let other = left.made_by(Origin::of_another_host(), "ab.unfinished");
        let deep = other.join("deep");
        fs::create_dir(&deep).expect("a folder");
        let changed = |path: &Path| fs::symlink_metadata(path).expect("it is there").ctime();
        let before = changed(&other);
        // Whole seconds are compared.
        while changed(&deep) <= before {
            thread::sleep(Duration::from_millis(20));
            fs::write(deep.join("written"), "to").expect("a file");
            fs::remove_file(deep.join("written")).expect("it is there");
        }
        assert!(changed(&other) < changed(&deep));
        assert_eq!(newest_change(&other).expect("readable"), changed(&deep));
    }

    #[test]
    fn what_is_locked_stays_however_old_it_is() {
        let left = Left::new();
        for origin in [Origin::here(), Origin::of_another_host()] {
            let path = left.made_by(origin, "ab.unfinished");
            let file = File::open(&path).expect("it is there");
            file.try_lock().expect("locked");
            left.clear_after(10 * AGE);
            assert!(path.exists());
        }
    }

    #[test]
    fn an_output_that_was_moved_aside_is_put_back_if_there_is_none() {
        let left = Left::new();
        left.made_by(Origin::here(), "ab.netboot.replaced");
        left.clear_after(0);
        assert_eq!(left.names(), ["netboot"]);

        left.made_by(Origin::of_another_host(), "ab.netboot.replaced");
        fs::remove_dir_all(left.folder.path().join("netboot")).expect("removed");
        left.clear_after(0);
        assert_ne!(left.names(), ["netboot"]);
        left.clear_after(AGE + 60);
        assert_eq!(left.names(), ["netboot"]);
    }

    #[test]
    fn an_output_that_was_moved_aside_is_removed_if_there_is_another() {
        let left = Left::new();
        let output = left.folder("netboot");
        left.made_by(Origin::here(), "ab.netboot.replaced");
        left.clear_after(0);
        assert_eq!(left.names(), ["netboot"]);
        let content = fs::read_to_string(output.join("content"));
        assert_eq!(content.expect("a file"), "netboot");
    }

    #[test]
    fn what_is_called_otherwise_or_belongs_to_others_stays() {
        let left = Left::new();
        left.folder(".storeboot-boot.unfinished");
        left.folder("storeboot-01234567-01234567-0123456789ab.unfinished");
        let prefix = Origin::here().prefix();
        // A link is not followed.
        let mine = left.folder("mine");
        let link = left
            .folder
            .path()
            .join(format!("{prefix}0123456789ab.unfinished"));
        std::os::unix::fs::symlink("mine", link).expect("a link");
        let before = left.names();
        left.clear_after(10 * AGE);
        assert_eq!(left.names(), before);
        assert!(mine.join("content").exists());

        let others = left.made_by(Origin::here(), "AB.unfinished");
        let user = fs::metadata(&others).expect("it is there").uid();
        clear(left.folder.path(), user + 1, i64::MAX);
        assert!(others.exists());
    }
}
