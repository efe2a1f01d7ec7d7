//! An initrd that brings a stage 1 of its own.

use std::path::{Path, PathBuf};

use storeboot_cpio::FileType;

use super::program;
use super::segments::{self, InitrdFile, InitrdSegment, Search, Sought};
use crate::Error;
use crate::kernel::Architecture;

/// Links from `/init` on that are followed.
const LINKS_MAX: usize = 8;
/// Bytes that are kept of a member: no target of a link is longer.
const TARGET_MAX: u64 = 4096;

/// An initrd that is known to have a stage 1.
#[derive(Debug)]
pub(crate) struct OtherInitrd {
    pub(crate) path: PathBuf,
    /// Bytes of the files that the kernel unpacks of it.
    pub(crate) content_size: u64,
}

impl OtherInitrd {
    /// Reads the whole initrd, as the kernel will, and looks at its `/init`.
    pub(crate) fn read(path: &Path, kernel: Architecture) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Initrd {
            path: path.into(),
            reason,
        };
        if path.is_dir() {
            return Err(refuse("it is a directory".into()));
        }
        let (segments, init) = segments(path, b"init")?;
        let Some(init) = init else {
            return Err(refuse("it has no /init".into()));
        };
        check_init(path, init, kernel)?;
        Ok(Self {
            path: path.into(),
            content_size: segments.iter().map(|segment| segment.content_size).sum(),
        })
    }
}

/// The segments, and the last member of this name. Later archives go over earlier ones.
fn segments(path: &Path, sought: &[u8]) -> Result<(Vec<InitrdSegment>, Option<Sought>), Error> {
    let refuse = |reason: String| Error::Initrd {
        path: path.into(),
        reason,
    };
    let search = Search {
        names: &[sought],
        keep: TARGET_MAX,
    };
    match segments::read(path, Some(search)) {
        Ok(InitrdFile::Initrd(segments, found)) => Ok((segments, found)),
        Ok(InitrdFile::Image(_)) => Err(refuse("it is a store image".into())),
        Err(Error::Fault { reason, .. }) => Err(refuse(reason)),
        Err(error) => Err(error),
    }
}

/// Refuses what the kernel cannot start. What a link leads to need not be a member: a directory on the way may be a
/// link, too, and programs of `/nix/store` may come from somewhere else. Then nothing is known of it, and it is taken.
fn check_init(path: &Path, mut init: Sought, kernel: Architecture) -> Result<(), Error> {
    let mut name = b"init".to_vec();
    let mut links = 0;
    while init.file_type == Some(FileType::Symlink) {
        links += 1;
        name = target(&name, &init.start);
        match segments(path, &name)?.1 {
            Some(found) if links < LINKS_MAX => init = found,
            _ => return Ok(()),
        }
    }
    let fault = match init.file_type {
        Some(FileType::File) if !init.executable => Some("it is not executable".into()),
        // Where the data is, only the names of the same inode tell.
        Some(FileType::File) if init.start.is_empty() && init.linked => None,
        Some(FileType::File) => {
            let start = &init.start[..init.start.len().min(program::START)];
            program::check_start(start, kernel).err()
        }
        _ => Some("it is no file".into()),
    };
    match fault {
        None => Ok(()),
        Some(reason) => {
            let by_link = match links {
                0 => String::new(),
                _ => format!(" (a link to /{})", String::from_utf8_lossy(&name)),
            };
            Err(Error::Initrd {
                path: path.into(),
                reason: format!("the kernel cannot start its /init{by_link}: {reason}"),
            })
        }
    }
}

/// The member that the link `name` leads to, without a `/` in front.
fn target(name: &[u8], link: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = match link {
        [b'/', ..] => Vec::new(),
        _ => name.split(|byte| *byte == b'/').collect(),
    };
    parts.pop();
    for part in link.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use storeboot_cpio::{Metadata, Writer};

    use super::*;
    use crate::initrd::program::tests::program;

    const SCRIPT: &[u8] = b"#!/bin/sh\n";

    fn initrd(name: &str) -> Vec<u8> {
        let mut archive = Writer::new(Vec::new());
        // More members than are listed.
        for number in 0..100 {
            let name = format!("a{number}");
            archive
                .file(name, &Metadata::file(), 3, &b"abc"[..])
                .expect("a member");
        }
        file(&mut archive, name, SCRIPT);
        archive.finish().expect("an archive")
    }

    fn file(archive: &mut Writer<Vec<u8>>, name: &str, content: &[u8]) {
        let size = content.len() as u64;
        archive
            .file(name, &Metadata::executable(), size, content)
            .expect("a member");
    }

    fn read(bytes: &[u8]) -> Result<OtherInitrd, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("a file");
        OtherInitrd::read(file.path(), Architecture::X86_64).map_err(|error| error.to_string())
    }

    /// Reads an initrd with these files and links.
    fn read_with(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> Result<OtherInitrd, String> {
        let mut archive = Writer::new(Vec::new());
        for (name, content) in files {
            file(&mut archive, name, content);
        }
        for (name, target) in links {
            archive
                .symlink(*name, &Metadata::symlink(), *target)
                .expect("a member");
        }
        read(&archive.finish().expect("an archive"))
    }

    #[test]
    fn only_what_has_an_init_is_taken() {
        let mut whole = zstd::bulk::compress(&initrd("early"), 1).expect("it compresses");
        assert!(read(&whole).unwrap_err().contains("it has no /init"));
        whole.resize(whole.len().next_multiple_of(4), 0);
        for name in ["init", "./init", "/init"] {
            let mut whole = whole.clone();
            whole.extend(initrd(name));
            let other = read(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(other.content_size, 2 * (300 + SCRIPT.len() as u64));
        }
    }

    #[test]
    fn an_init_that_the_kernel_cannot_start_is_refused() {
        let [ours, others] = [Architecture::X86_64, Architecture::Aarch64].map(program);
        read_with(&[("init", &ours)], &[]).expect("a program");
        for (content, what) in [
            (&others[..], "a program for aarch64"),
            (b"init", "neither"),
            (b"", "empty"),
        ] {
            let error = read_with(&[("init", content)], &[]).unwrap_err();
            assert!(error.contains("cannot start its /init: it is"), "{error}");
            assert!(error.contains(what), "{error}");
        }
        // The last one counts.
        let mut both = initrd("init");
        let mut later = Writer::new(Vec::new());
        file(&mut later, "init", &others);
        both.extend(later.finish().expect("an archive"));
        assert!(read(&both).unwrap_err().contains("aarch64"));

        let mut archive = Writer::new(Vec::new());
        archive
            .file("init", &Metadata::file(), 10, SCRIPT)
            .expect("a member");
        let error = read(&archive.finish().expect("an archive")).unwrap_err();
        assert!(error.contains("not executable"), "{error}");
        let mut archive = Writer::new(Vec::new());
        archive
            .directory("init", &Metadata::directory())
            .expect("a member");
        let error = read(&archive.finish().expect("an archive")).unwrap_err();
        assert!(error.contains("no file"), "{error}");
    }

    #[test]
    fn links_are_followed_inside_of_the_initrd() {
        let others = program(Architecture::Aarch64);
        let (ours, name) = (program(Architecture::X86_64), "nix/store/x-systemd/init");
        for links in [
            &[("init", "/nix/store/x-systemd/init")][..],
            &[("init", "nix/store/../store/./x-systemd//init")],
            &[
                ("init", "bin/init"),
                ("bin/init", "../nix/store/x-systemd/init"),
            ],
        ] {
            read_with(&[(name, &ours)], links).expect("a program");
            let error = read_with(&[(name, &others)], links).unwrap_err();
            let words = "its /init (a link to /nix/store/x-systemd/init): it is a program for";
            assert!(error.contains(words), "{error}");
        }
        // What they lead to is not known.
        for target in ["/nix/store/y/init", "init", "../../.."] {
            read_with(&[(name, &others)], &[("init", target)]).expect("taken");
        }
    }

    #[test]
    fn what_is_none_or_cut_off_is_refused() {
        for bytes in [&b""[..], b"#!/bin/sh", &initrd("init")[..400]] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(" cannot be stage 1: "), "{error}");
        }
        let error =
            OtherInitrd::read("/no/such/initrd".as_ref(), Architecture::X86_64).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot read /no/such/initrd"),
            "{error}"
        );
    }
}
