//! The firmware files that modules name.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::modules::ModulesError;

/// Where the kernel looks for firmware.
const PLACE: &str = "lib/firmware";
/// What a file's name may end with, in the order in which the kernel looks.
const ENDINGS: [&str; 3] = ["", ".zst", ".xz"];

/// A firmware file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Firmware {
    /// Its path in the initrd, such as `lib/firmware/tigon/tg3.bin` or `lib/firmware/tigon/tg3.bin.xz`.
    pub name: String,
    /// The file it comes from, which is packed as its name says.
    pub path: PathBuf,
}

/// Looks for what modules name; returns the files, and the names of those that are not there.
pub(super) fn find(
    folder: Option<&Path>,
    names: BTreeSet<&str>,
) -> Result<(Vec<Firmware>, Vec<String>), ModulesError> {
    let mut folders = Vec::new();
    if let Some(folder) = folder {
        fs::read_dir(folder).map_err(|source| read_error(folder, source))?;
        folders = vec![folder.to_owned(), folder.join(PLACE)];
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        match find_one(&folders, name)? {
            Some(firmware) => found.push(firmware),
            None => missing.push(name.to_owned()),
        }
    }
    Ok((found, missing))
}

fn find_one(folders: &[PathBuf], name: &str) -> Result<Option<Firmware>, ModulesError> {
    // It becomes a path in the initrd, and the module's file may come from anywhere.
    let is_path = name.bytes().all(|byte| byte.is_ascii_graphic())
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !is_path {
        return Ok(None);
    }
    for folder in folders {
        for ending in ENDINGS {
            let path = folder.join(format!("{name}{ending}"));
            match fs::metadata(&path) {
                Ok(file) if file.is_file() => {
                    let name = format!("{PLACE}/{name}{ending}");
                    return Ok(Some(Firmware { name, path }));
                }
                Ok(_) => {}
                // A link that leads nowhere is as good as none.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) => {}
                Err(error) => return Err(read_error(&path, error)),
            }
        }
    }
    Ok(None)
}

fn read_error(path: &Path, source: io::Error) -> ModulesError {
    ModulesError::Read {
        path: path.into(),
        source,
    }
}
