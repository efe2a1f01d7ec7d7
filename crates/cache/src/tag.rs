//! The file that makes a folder a cache: `CACHEDIR.TAG`, as <https://bford.info/cachedir/> describes it, with a line of
//! ours.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use crate::trust::{self, Users};
use crate::{Distrust, Error};

const NAME: &str = "CACHEDIR.TAG";
/// Every such file begins with this line, whichever program made the folder.
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55";
/// Begins the line that tells our caches from those of other programs. The version follows, and who uses the cache.
const OURS: &str = "storeboot-cache ";
const ONE_USER: &str = "1";
const A_GROUP: &str = "1 shared";

/// What [`ensure`] writes: always the same bytes for the same users, so that two processes can write it at the same
/// time.
const fn content(users: Users) -> &'static str {
    match users {
        Users::One => {
            "Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of storeboot. It can be deleted at any time, and backups can leave it out.
# For information about this file, see https://bford.info/cachedir/
storeboot-cache 1
"
        }
        Users::Group => {
            "Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of storeboot. It can be deleted at any time, and backups can leave it out.
# For information about this file, see https://bford.info/cachedir/
# Every member of its group can write to it, and so decides what is in the outputs of all who use it.
storeboot-cache 1 shared
"
        }
    }
}

/// No tag is longer. What follows is not read.
const MAX: u64 = 4096;

enum Tag {
    Ours(Users),
    Missing,
    /// The beginning of our content: another process writes it at this moment, or was killed while it did.
    Unfinished,
    /// The reason why the folder is not our cache.
    Other(&'static str),
}

/// Makes sure that the folder is a cache of ours. Marks it as one where it is empty, and refuses it where it holds
/// something else, or where somebody else can write to it.
pub(crate) fn ensure(folder: &Path, users: Users) -> Result<(), Error> {
    let path = folder.join(NAME);
    let read = || read(&path).map_err(|source| Error::read(&path, source));
    let refuse = |reason: String| Error::NotACache {
        path: folder.into(),
        reason,
    };
    loop {
        let tag = read()?;
        match tag {
            Tag::Ours(made_for) => return check(folder, users, made_for),
            Tag::Other(reason) => return Err(refuse(reason.into())),
            Tag::Missing | Tag::Unfinished => {}
        }
        if let Some(name) = something_else(folder)? {
            // Another process may have marked the folder and filled it since the tag was read.
            if let Tag::Ours(made_for) = read()? {
                return check(folder, users, made_for);
            }
            return Err(refuse(format!("it holds {name:?} and no {NAME}")));
        }
        users.check(folder)?;
        let shared = users.share_folder(folder);
        shared.map_err(|source| Error::write(folder, source))?;
        let mut options = File::options();
        options.create_new(matches!(tag, Tag::Missing));
        let written = users.open(&path, &mut options).and_then(|mut file| {
            file.write_all(content(users).as_bytes())?;
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

/// Checks a cache of ours.
fn check(folder: &Path, users: Users, made_for: Users) -> Result<(), Error> {
    let refuse = |why| Error::NotTrusted {
        path: folder.into(),
        why,
    };
    match (users, made_for) {
        (Users::One, Users::Group) => Err(refuse(Distrust::Shared)),
        (Users::Group, Users::One) => Err(refuse(Distrust::NotShared)),
        _ => users.check(folder),
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
    trust::open(path)?.take(MAX).read_to_end(&mut content)?;
    Ok(parse(&content))
}

fn parse(content: &[u8]) -> Tag {
    let whole = [Users::One, Users::Group].map(|users| self::content(users).as_bytes());
    if whole
        .iter()
        .any(|whole| content.len() < whole.len() && whole.starts_with(content))
    {
        return Tag::Unfinished;
    }
    if !content.starts_with(SIGNATURE.as_bytes()) {
        return Tag::Other("its CACHEDIR.TAG does not begin with the signature of such files");
    }
    let content = String::from_utf8_lossy(content);
    match content.lines().find_map(|line| line.strip_prefix(OURS)) {
        Some(ONE_USER) => Tag::Ours(Users::One),
        Some(A_GROUP) => Tag::Ours(Users::Group),
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
        for users in [Users::One, Users::Group] {
            let whole = content(users).as_bytes();
            assert!(matches!(parse(whole), Tag::Ours(found) if found == users));
            for length in 0..whole.len() {
                let tag = parse(&whole[..length]);
                assert!(matches!(tag, Tag::Unfinished), "{length} bytes");
            }
        }
    }

    #[test]
    fn tags_of_others_are_told_apart() {
        let more = format!("{SIGNATURE}\n# A comment of a user's\n{OURS}{ONE_USER}\n");
        assert!(matches!(parse(more.as_bytes()), Tag::Ours(Users::One)));
        for (content, reason) in [
            (format!("{SIGNATURE}\n# by cargo\n"), "another program"),
            (format!("{SIGNATURE}\n{OURS}2\n"), "another version"),
            (format!("{SIGNATURE}\n{OURS}1 for all\n"), "another version"),
            (format!("{OURS}{ONE_USER}\n"), "signature"),
            (format!("\n{}", content(Users::One)), "signature"),
        ] {
            match parse(content.as_bytes()) {
                Tag::Other(said) => assert!(said.contains(reason), "{content}: {said}"),
                _ => panic!("{content} is not ours"),
            }
        }
    }
}
