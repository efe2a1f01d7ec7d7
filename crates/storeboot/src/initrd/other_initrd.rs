//! An initrd that brings a stage 1 of its own.

use std::path::{Path, PathBuf};

use super::segments::{self, InitrdFile};
use crate::Error;

/// An initrd that is known to have a stage 1.
#[derive(Debug)]
pub(crate) struct OtherInitrd {
    pub(crate) path: PathBuf,
    /// Bytes of the files that the kernel unpacks of it.
    pub(crate) content_size: u64,
}

impl OtherInitrd {
    /// Reads the whole initrd, as the kernel will.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Initrd {
            path: path.into(),
            reason,
        };
        if path.is_dir() {
            return Err(refuse("it is a directory".into()));
        }
        let segments = match segments::read(path) {
            Ok(InitrdFile::Initrd(segments)) => segments,
            Ok(InitrdFile::Image(_)) => return Err(refuse("it is a store image".into())),
            Err(Error::Fault { reason, .. }) => return Err(refuse(reason)),
            Err(error) => return Err(error),
        };
        if !segments.iter().any(|segment| segment.has_init) {
            return Err(refuse("it has no /init".into()));
        }
        Ok(Self {
            path: path.into(),
            content_size: segments.iter().map(|segment| segment.content_size).sum(),
        })
    }
}

#[cfg(test)]
mod tests {
    use storeboot_cpio::{Metadata, Writer};

    use super::*;

    fn initrd(name: &str) -> Vec<u8> {
        let mut archive = Writer::new(Vec::new());
        // More members than are listed.
        for number in 0..100 {
            let name = format!("a{number}");
            archive
                .file(name, &Metadata::file(), 3, &b"abc"[..])
                .expect("a member");
        }
        archive
            .file(name, &Metadata::executable(), 4, &b"init"[..])
            .expect("a member");
        archive.finish().expect("an archive")
    }

    fn read(bytes: &[u8]) -> Result<OtherInitrd, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("a file");
        OtherInitrd::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn only_what_has_an_init_is_taken() {
        let mut whole = zstd::bulk::compress(&initrd("early"), 1).expect("it compresses");
        assert!(read(&whole).unwrap_err().contains("it has no /init"));
        whole.resize(whole.len().next_multiple_of(4), 0);
        for name in ["init", "./init", "/init"] {
            let mut whole = whole.clone();
            whole.extend(initrd(name));
            let foreign = read(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(foreign.content_size, 2 * 304);
        }
    }

    #[test]
    fn what_is_none_or_cut_off_is_refused() {
        for bytes in [&b""[..], b"#!/bin/sh", &initrd("init")[..400]] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(" cannot be stage 1: "), "{error}");
        }
        let error = OtherInitrd::read("/no/such/initrd".as_ref()).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot read /no/such/initrd"),
            "{error}"
        );
    }
}
