//! Outputs that appear whole or not at all: written beside their place, synced, renamed.
//!
//! - `scratch.rs`: what is written, beside its place, until it is complete
//! - `replace.rs`: how a complete folder takes the place of an old one
//! - `name.rs`: the names of what lies beside an output, and what they tell
//! - `stale.rs`: how the next build clears away what a dead one left
//! - `consume.rs`: reads a file and frees its disk space at the same time
//! - `synced.rs`: has a file reach the disk while it is written

pub(crate) mod consume;
mod name;
mod replace;
mod scratch;
mod stale;
pub(crate) mod synced;

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::Error;
use replace::{Place, Way};
use scratch::Scratch;

/// The file by which a netboot directory is recognised.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The signatures of that file.
pub(crate) const SIGNATURES: &str = "manifest.json.sig";
/// The file by which a layer is recognised.
pub(crate) const LAYER: &str = "layer.json";

/// Writes a file by `write`, and gives it the name `path` when it is complete. After an error, an old file is as it
/// was; except where names cannot be exchanged and the disk fails at the very end: there, it is gone.
///
/// # Errors
/// The error of `write`, or [`Error::Write`] if the file cannot be written beside `path` or renamed to it.
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
    check_replaceable(path)?;
    let mut scratch = Scratch::file(&parent(path)).map_err(Error::write(path))?;
    let result = write(scratch.as_file());
    let result = result.map_err(|error| error.of_output(scratch.path(), path))?;
    let finish = |mut scratch: Scratch| -> io::Result<()> {
        let file = scratch.as_file();
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()?;
        scratch.settle(|written| replace::put_file(written, path))
    };
    finish(scratch).map_err(Error::write(path))?;
    Ok(result)
}

/// Makes a file in several steps: `make` gets a folder beside `path`, and returns the complete file in it. After an error,
/// an old file is as it was, as with [`write_file`], and nothing else is left.
pub(crate) fn write_file_by_steps<T>(
    path: &Path,
    make: impl FnOnce(&Path) -> Result<(PathBuf, T), Error>,
) -> Result<T, Error> {
    check_replaceable(path)?;
    let scratch = Scratch::folder(&parent(path)).map_err(Error::write(path))?;
    // What is written there is the output, under whatever name.
    let (made, result) = make(scratch.path()).map_err(|error| match error {
        Error::Write {
            path: written,
            source,
        } if written.starts_with(scratch.path()) => Error::write(path)(source),
        other => other,
    })?;
    File::open(&made)
        .and_then(|file| {
            file.set_permissions(Permissions::from_mode(0o644))?;
            file.sync_all()
        })
        .and_then(|()| replace::put_file(&made, path))
        .map_err(Error::write(path))?;
    Ok(result)
}

/// Checks that a file may take the place of what is at `path`, or behind a link there: nothing, or a regular file. A
/// device or a pipe would not get what is written, and would be gone.
fn check_replaceable(path: &Path) -> Result<(), Error> {
    let source = match fs::metadata(path) {
        Ok(there) if there.is_dir() => io::ErrorKind::IsADirectory.into(),
        Ok(there) if !there.is_file() => io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file, and the output takes the place of what is there; write to a file, and copy that",
        ),
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => error,
    };
    Err(Error::write(path)(source))
}

/// Fills a folder by `fill` and gives it the name `path` when it is complete. What is there may only be another folder
/// that has the file `mark` in it, or an empty folder.
///
/// Whether `path` can be replaced, and how, is found out before `fill`, which may take hours.
pub(crate) fn write_folder<T>(
    path: &Path,
    mark: &'static str,
    fill: impl FnOnce(&Path) -> Result<T, Error>,
) -> Result<T, Error> {
    Place::look(path, mark)?;
    let scratch = Scratch::folder(&parent(path)).map_err(Error::write(path))?;
    let way = Way::find(scratch.path()).map_err(Error::write(path))?;
    // The scratch folder may have put back an old output that a build had moved aside before it died.
    if Place::look(path, mark)? == Place::Taken {
        way.try_on(path, scratch.path())
            .map_err(Error::write(path))?;
    }
    let result = fill(scratch.path());
    let result = result.map_err(|error| error.of_output(scratch.path(), path))?;
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755))
        .and_then(|()| sync(scratch.path()))
        .map_err(Error::write(path))?;
    scratch.settle(|written| {
        let place = Place::look(path, mark)?;
        replace::put(written, path, place, way).map_err(Error::write(path))
    })?;
    Ok(result)
}

/// Creates a file of an output. Everybody may read it, whatever the umask is, since web servers have to.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let file = File::create_new(path)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    Ok(file)
}

/// Copies a file into an output that is at `to`, and returns the number of bytes.
pub(crate) fn copy(from: &Path, out: &mut dyn Write, to: &Path) -> Result<u64, Error> {
    let source = File::open(from).map_err(Error::read(from))?;
    copy_from(source, from, out, to)
}

/// As [`copy`], from an open file.
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

/// Creates a folder of an output. Everybody may enter it, whatever the umask is.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.into(),
        _ => ".".into(),
    }
}

/// Has a folder's names survive a power cut, on file systems that can tell when they do.
fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
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
    fn an_error_names_the_output_and_not_what_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let error = write_file_by_steps::<()>(&path, |steps| {
            Err(Error::write(&steps.join("unsigned"))(
                io::ErrorKind::StorageFull.into(),
            ))
        });
        let error = error.expect_err("it fails").to_string();
        assert!(
            !error.contains("unsigned") && error.contains("out"),
            "{error}"
        );
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_pipe_or_a_device_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let fails = || {
            let never = |_: &mut File| -> Result<(), Error> { panic!("nothing is packed") };
            let error = write_file(&path, never).expect_err("it is no file");
            let by_steps = write_file_by_steps::<()>(&path, |_| panic!("nothing is packed"));
            for error in [error, by_steps.expect_err("it is no file")] {
                let source = std::error::Error::source(&error)
                    .expect("a cause")
                    .to_string();
                assert!(source.starts_with("it is no regular file"), "{source}");
            }
        };
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo").success());
        fails();
        fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink("/dev/null", &path).expect("a link");
        fails();
        assert_eq!(names(folder.path()), ["out"]);
        fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink("nothing", &path).expect("a link");
        write_file(&path, |_| Ok(())).expect("there is nothing to lose");
        assert!(fs::symlink_metadata(&path).expect("there").is_file());
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

    #[test]
    fn an_old_output_that_a_crash_left_aside_is_back_when_the_next_build_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        fs::create_dir(&path).expect("a folder");
        fs::write(path.join(MANIFEST), "old").expect("a file");
        replace::tests::crash_between_the_renames(&path);
        assert!(!path.exists());
        assert!(write_folder(&path, MANIFEST, |_| Err::<(), _>(failure())).is_err());
        assert_eq!(
            fs::read_to_string(path.join(MANIFEST)).expect("there"),
            "old"
        );
        assert_eq!(names(folder.path()), ["out"]);

        replace::tests::crash_between_the_renames(&path);
        write_folder(&path, MANIFEST, |inside| {
            fs::write(inside.join(MANIFEST), "new").map_err(Error::write(inside))
        })
        .expect("written");
        assert_eq!(
            fs::read_to_string(path.join(MANIFEST)).expect("there"),
            "new"
        );
        assert_eq!(names(folder.path()), ["out"]);
    }
}
