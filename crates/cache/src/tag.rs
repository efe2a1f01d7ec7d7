//! The file that makes a folder a cache: `CACHEDIR.TAG`, as <https://bford.info/cachedir/> describes it, with a line of
//! ours.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use crate::Error;

const NAME: &str = "CACHEDIR.TAG";
/// Every such file begins with this line, whichever program made the folder.
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55";
/// Begins the line that tells our caches from those of other programs. The version follows.
const OURS: &str = "storeboot-cache ";
const VERSION: &str = "1";
/// What [`ensure`] writes: always the same bytes, so that two processes can write it at the same time.
const CONTENT: &str = "Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of storeboot. It can be deleted at any time, and backups can leave it out.
# For information about this file, see https://bford.info/cachedir/
storeboot-cache 1
";
/// No tag is longer. What follows is not read.
const MAX: u64 = 4096;

enum Tag {
    Ours,
    Missing,
    /// The beginning of our content: another process writes it at this moment, or was killed while it did.
    Unfinished,
    /// The reason why the folder is not our cache.
    Other(&'static str),
}

/// Makes sure that the folder is a cache of ours. Marks it as one where it is empty, and refuses it where it holds
/// something else.
pub(crate) fn ensure(folder: &Path) -> Result<(), Error> {
    let path = folder.join(NAME);
    let read = || read(&path).map_err(|source| Error::read(&path, source));
    let refuse = |reason: String| Error::NotACache {
        path: folder.into(),
        reason,
    };
    loop {
        let tag = read()?;
        match tag {
            Tag::Ours => return Ok(()),
            Tag::Other(reason) => return Err(refuse(reason.into())),
            Tag::Missing | Tag::Unfinished => {}
        }
        if let Some(name) = something_else(folder)? {
            // Another process may have marked the folder and filled it since the tag was read.
            if matches!(read()?, Tag::Ours) {
                return Ok(());
            }
            return Err(refuse(format!("it holds {name:?} and no {NAME}")));
        }
        let mut options = File::options();
        options.write(true);
        options.create_new(matches!(tag, Tag::Missing));
        let written = options.open(&path).and_then(|mut file| {
            file.write_all(CONTENT.as_bytes())?;
            // An empty tag after a crash of the machine would have the cache refused.
            file.sync_all()
        });
        match written {
            Ok(()) => return Ok(()),
            // Made or removed by another process since the tag was read.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound && folder.exists() => {}
            Err(source) => return Err(Error::write(&path, source)),
        }
    }
}

fn read(path: &Path) -> io::Result<Tag> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Tag::Missing),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.is_file() => {
            return Ok(Tag::Other("its CACHEDIR.TAG is not a regular file"));
        }
        Ok(_) => {}
    }
    let mut content = Vec::new();
    File::open(path)?.take(MAX).read_to_end(&mut content)?;
    Ok(parse(&content))
}

fn parse(content: &[u8]) -> Tag {
    if content.len() < CONTENT.len() && CONTENT.as_bytes().starts_with(content) {
        return Tag::Unfinished;
    }
    if !content.starts_with(SIGNATURE.as_bytes()) {
        return Tag::Other("its CACHEDIR.TAG does not begin with the signature of such files");
    }
    let content = String::from_utf8_lossy(content);
    match content.lines().find_map(|line| line.strip_prefix(OURS)) {
        Some(VERSION) => Tag::Ours,
        Some(_) => Tag::Other("by its CACHEDIR.TAG, it is a cache of another version of storeboot"),
        None => Tag::Other("by its CACHEDIR.TAG, it is a cache of another program"),
    }
}

/// The first name in the folder that is not the tag's.
fn something_else(folder: &Path) -> Result<Option<OsString>, Error> {
    let names = || {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()
    };
    let names = names().map_err(|source| Error::read(folder, source))?;
    Ok(names.into_iter().filter(|name| name != NAME).min())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_ours() {
        assert!(matches!(parse(CONTENT.as_bytes()), Tag::Ours));
        for length in 0..CONTENT.len() {
            let tag = parse(&CONTENT.as_bytes()[..length]);
            assert!(matches!(tag, Tag::Unfinished), "{length} bytes");
        }
    }

    #[test]
    fn tags_of_others_are_told_apart() {
        let more = format!("{SIGNATURE}\n# A comment of a user's\n{OURS}{VERSION}\n");
        assert!(matches!(parse(more.as_bytes()), Tag::Ours));
        for (content, reason) in [
            (format!("{SIGNATURE}\n# by cargo\n"), "another program"),
            (format!("{SIGNATURE}\n{OURS}2\n"), "another version"),
            (format!("{OURS}{VERSION}\n"), "signature"),
            (format!("\n{CONTENT}"), "signature"),
        ] {
            match parse(content.as_bytes()) {
                Tag::Other(said) => assert!(said.contains(reason), "{content}: {said}"),
                _ => panic!("{content} is not ours"),
            }
        }
    }
}
