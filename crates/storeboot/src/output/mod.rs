//! Outputs that appear whole or not at all: written beside their place, synced, renamed.

pub(crate) mod consume;
mod name;
pub(crate) mod scratch;
mod stale;

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::Error;
use scratch::Scratch;

/// The file by which a netboot directory is recognised.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The file by which a layer is recognised.
pub(crate) const LAYER: &str = "layer.json";

/// Writes a file by `write`; the file at `path` is replaced when it is complete, and left as it is on an error.
///
/// # Errors
/// What `write` says, and where the file cannot be written beside `path` or renamed to it.
///
/// ```
/// # fn main() -> Result<(), storeboot::Error> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("archive.cpio");
/// use std::io::Write;
///
/// let written = storeboot::write_file(&path, |file| {
///     file.write_all(b"whole").map_err(|source| storeboot::Error::Write { path: path.clone(), source })
/// });
/// assert!(written.is_ok());
/// # Ok(())
/// # }
/// ```
pub fn write_file<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut scratch = Scratch::file(&parent(path)).map_err(Error::write(path))?;
    let result = write(scratch.as_file());
    let result = result.map_err(|error| error.of_output(scratch.path(), path))?;
    let finish = |mut scratch: Scratch| -> io::Result<()> {
        let file = scratch.as_file();
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()?;
        scratch.settle(|written| fs::rename(written, path))?;
        sync(&parent(path))
    };
    finish(scratch).map_err(Error::write(path))?;
    Ok(result)
}

/// Fills a folder by `fill`; it takes the place of `path` when it is complete. What stands there may only be another one
/// that has the file `mark` in it, or an empty folder.
pub(crate) fn write_folder<T>(
    path: &Path,
    mark: &'static str,
    fill: impl FnOnce(&Path) -> Result<T, Error>,
) -> Result<T, Error> {
    let taken = replaceable(path, mark)?;
    let scratch = Scratch::folder(&parent(path)).map_err(Error::write(path))?;
    let result = fill(scratch.path());
    let result = result.map_err(|error| error.of_output(scratch.path(), path))?;
    let finish = |scratch: Scratch| -> io::Result<()> {
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o755))?;
        sync(scratch.path())?;
        scratch.settle(|written| {
            if taken {
                // The old folder lands where the new one was, and goes with it.
                Ok(renameat_with(
                    CWD,
                    written,
                    CWD,
                    path,
                    RenameFlags::EXCHANGE,
                )?)
            } else {
                fs::rename(written, path)
            }
        })?;
        sync(&parent(path))
    };
    finish(scratch).map_err(Error::write(path))?;
    Ok(result)
}

/// Creates a file of an output: for everybody to read, as a web server has to, whatever the umask is.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let file = File::create_new(path)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    Ok(file)
}

/// Copies a file into an output that is at `to`, and returns how much it was.
pub(crate) fn copy(from: &Path, out: &mut dyn Write, to: &Path) -> Result<u64, Error> {
    let source = File::open(from).map_err(Error::read(from))?;
    copy_from(source, from, out, to)
}

/// The same from a file that is open.
pub(crate) fn copy_from(
    mut source: impl Read,
    from: &Path,
    out: &mut dyn Write,
    to: &Path,
) -> Result<u64, Error> {
    let mut buffer = vec![0; 256 << 10];
    let mut copied = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => {
                out.write_all(&buffer[..count]).map_err(Error::write(to))?;
                copied += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::read(from)(error)),
        }
    }
}

/// Creates a folder of an output, likewise.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// Whether something stands at `path`, which a folder with the file `mark` may then replace.
fn replaceable(path: &Path, mark: &'static str) -> Result<bool, Error> {
    let taken = || Error::OutputTaken {
        path: path.into(),
        expected: if mark == MANIFEST {
            "a netboot directory"
        } else {
            "a layer"
        },
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::write(path)(error)),
        Ok(metadata) if !metadata.is_dir() => Err(taken()),
        Ok(_) => {
            let empty = fs::read_dir(path)
                .map_err(Error::read(path))?
                .next()
                .is_none();
            if empty || path.join(mark).is_file() {
                Ok(true)
            } else {
                Err(taken())
            }
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.into(),
        _ => ".".into(),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("readable")
            .map(|entry| {
                entry
                    .expect("readable")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    fn failure() -> Error {
        Error::CommandLine("no".into())
    }

    #[test]
    fn a_failed_output_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        assert!(write_file(&path, |_| Err::<(), _>(failure())).is_err());
        assert!(write_folder(&path, MANIFEST, |_| Err::<(), _>(failure())).is_err());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_netboot_directory_is_replaced_and_anything_else_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        for text in ["old", "new"] {
            write_folder(&path, MANIFEST, |inside| {
                fs::write(inside.join(MANIFEST), text).map_err(Error::write(inside))
            })
            .expect("written");
        }
        assert_eq!(
            fs::read_to_string(path.join(MANIFEST)).expect("there"),
            "new"
        );
        assert_eq!(names(folder.path()), ["out"]);

        fs::remove_file(path.join(MANIFEST)).expect("removed");
        fs::write(path.join("mine"), "").expect("written");
        for mark in [MANIFEST, LAYER] {
            let error = write_folder(&path, mark, |_| Ok(())).expect_err("not replaced");
            assert!(matches!(error, Error::OutputTaken { .. }), "{error}");
            assert_eq!(names(&path), ["mine"]);
        }
    }
}
