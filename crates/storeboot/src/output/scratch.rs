//! What is written beside an output until it is complete: a file or a folder that is removed when it is not wanted any more,
//! when the process is ended by a signal, and, after a crash, by the next process that writes into the same folder.
//!
//! Its name is `.storeboot-XXXXXXXXXXXX.unfinished`. As long as its process lives, it is locked (`flock`): what can be locked
//! was left behind by one that is dead.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::mem;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;

const PREFIX: &str = ".storeboot-";
const SUFFIX: &str = ".unfinished";
/// Letters and digits between the two: nobody calls a file of his own like that.
const RANDOM: usize = 12;
/// So often at most others may take a new one for an old one, before it is locked.
const ATTEMPTS: usize = 100;

/// All that this process has not put into its place yet. Who holds the lock decides whether that happens.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all that this process has written beside outputs that are not complete: for a program that a signal is about to end.
///
/// From then on no output is begun or completed by this process: whoever tries waits for ever, and reports nothing. So
/// this is the last thing that a program does.
///
/// ```
/// storeboot::abandon_outputs();
/// // std::process::exit(130)
/// ```
pub fn abandon_outputs() {
    let unfinished = unfinished();
    for path in &*unfinished {
        // Other threads still make files in it. There is nobody left to be told of an error.
        for _ in 0..ATTEMPTS {
            let _ = remove(path);
            if fs::symlink_metadata(path).is_err() {
                break;
            }
        }
    }
    mem::forget(unfinished);
}

/// A file or a folder of one's own; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    /// Holds the lock.
    file: File,
}

impl Scratch {
    /// An empty file in a folder.
    pub(crate) fn file(parent: &Path) -> io::Result<Self> {
        Self::new(parent, |path| {
            File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
        })
    }

    /// An empty folder in a folder.
    pub(crate) fn folder(parent: &Path) -> io::Result<Self> {
        Self::new(parent, |path| {
            DirBuilder::new().mode(0o700).create(path)?;
            File::open(path)
        })
    }

    fn new(parent: &Path, make: impl Fn(&Path) -> io::Result<File>) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let scratch = {
                let mut unfinished = unfinished();
                let (file, path) = tempfile::Builder::new()
                    .prefix(PREFIX)
                    .suffix(SUFFIX)
                    .rand_bytes(RANDOM)
                    .make_in(parent, &make)?
                    .into_parts();
                let path = path.keep().map_err(|error| error.error)?;
                unfinished.push(path.clone());
                Self { path, file }
            };
            // Where nothing can be locked, nobody else can lock it either, and so nobody takes it for a dead one's.
            let _ = scratch.file.lock();
            if is(&scratch.path, &scratch.file)? {
                remove_stale(parent, scratch.file.metadata()?.uid());
                return Ok(scratch);
            }
        }
        Err(io::Error::other(
            "other processes remove every temporary file at once",
        ))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file; of a folder, what it was opened as.
    pub(crate) fn as_file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts it into its place by `rename`, unless the process is being ended. What is under its name afterwards goes.
    pub(crate) fn settle(self, rename: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let unfinished = unfinished();
        let result = rename(&self.path);
        drop(unfinished);
        result
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // While it is removed it may still be abandoned, which then removes the rest. An error has been reported, or is
        // to be: what is left behind goes the next time.
        let _ = remove(&self.path);
        unfinished().retain(|path| *path != self.path);
    }
}

/// Removes what dead processes of this user left in a folder. What cannot be removed is no reason to do nothing else.
fn remove_stale(parent: &Path, user: u32) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(is_a_name) {
            let _ = remove_if_stale(&entry.path(), user);
        }
    }
}

fn is_a_name(name: &str) -> bool {
    let random = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX));
    random.is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn remove_if_stale(path: &Path, user: u32) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    let metadata = file.metadata()?;
    let ours = metadata.uid() == user && (metadata.is_file() || metadata.is_dir());
    // It may have been completed in the meantime, and have another name now.
    if ours && file.try_lock().is_ok() && is(path, &file)? {
        remove(path)?;
    }
    Ok(())
}

/// Whether this is the open file's name.
fn is(path: &Path, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).expect("a folder").count()
    }

    #[test]
    fn what_is_not_put_into_its_place_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Scratch::file(folder.path()).expect("a file");
        let inner = Scratch::folder(folder.path()).expect("a folder");
        fs::write(inner.path().join("content"), "text").expect("a file");
        assert_eq!(count(folder.path()), 2);
        drop(file);
        drop(inner);
        assert_eq!(count(folder.path()), 0);
    }

    #[test]
    fn what_is_put_into_its_place_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("target");
        let scratch = Scratch::folder(folder.path()).expect("a folder");
        let (name, rename) = (scratch.path().to_owned(), |path: &Path| {
            fs::rename(path, &target)
        });
        scratch.settle(rename).expect("renamed");
        assert!(target.is_dir() && !name.exists());
        assert!(!unfinished().contains(&name));
    }

    #[test]
    fn what_the_living_have_locked_stays_and_what_the_dead_left_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let living = Scratch::folder(folder.path()).expect("a folder");
        let dead = folder.path().join(".storeboot-abcdefABCDEF.unfinished");
        fs::create_dir(&dead).expect("a folder");
        fs::write(dead.join("0.squashfs"), "half").expect("a file");
        let dead_file = folder.path().join(".storeboot-0123456789ab.unfinished");
        fs::write(&dead_file, "half").expect("a file");
        let next = Scratch::file(folder.path()).expect("a file");
        assert!(living.path().exists() && next.path().exists());
        assert!(!dead.exists() && !dead_file.exists());
    }

    #[test]
    fn what_is_called_otherwise_or_belongs_to_others_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in [
            ".storeboot-abcdefABCDEF",
            ".storeboot-boot.unfinished",
            ".storeboot-abcdefABCDE/.unfinished",
            "storeboot-abcdefABCDEF.unfinished",
        ] {
            fs::create_dir_all(path(name)).expect("a folder");
        }
        // A link is not followed.
        fs::create_dir(path("mine")).expect("a folder");
        let link = path(".storeboot-abcdefABCDEF.unfinished");
        std::os::unix::fs::symlink("mine", &link).expect("a link");
        let before = count(folder.path());
        drop(Scratch::file(folder.path()).expect("a file"));
        assert_eq!(count(folder.path()), before);

        let others = path(".storeboot-0123456789ab.unfinished");
        fs::write(&others, "").expect("a file");
        let user = fs::metadata(&others).expect("it is there").uid();
        remove_stale(folder.path(), user + 1);
        assert!(others.exists());
        remove_stale(folder.path(), user);
        assert!(!others.exists());
    }
}
