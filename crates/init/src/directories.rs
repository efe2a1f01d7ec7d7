//! Making directories.

use crate::error::Error;
use crate::paths::c_path;
use crate::sys;

/// Makes a directory and the directories above it.
pub(crate) fn make_directories(path: &str) -> Result<(), Error> {
    let ends = path.match_indices('/').map(|(at, _)| at);
    for end in ends.filter(|&at| at > 0).chain([path.len()]) {
        make_directory(path.get(..end).unwrap_or(path))?;
    }
    Ok(())
}

/// Makes a directory, unless it exists already.
pub(crate) fn make_directory(path: &str) -> Result<(), Error> {
    let made = c_path(path).and_then(|c| sys::mkdir(&c));
    made.map_err(|errno| Error::Directory {
        path: path.into(),
        errno,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_with_those_above_them() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let path = base.join("a/b/c");
        for _ in 0..2 {
            make_directories(path.to_str().unwrap()).unwrap();
            assert!(path.is_dir());
        }
        std::fs::write(base.join("file"), "").unwrap();
        let error = make_directories(base.join("file/d").to_str().unwrap()).unwrap_err();
        assert!(
            std::format!("{error}").contains("file/d: not a directory"),
            "{error}"
        );
    }
}
