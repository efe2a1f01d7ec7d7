//! Makes archives such as users add to an initrd.

use std::collections::BTreeSet;

use storeboot_cpio::{Metadata, Writer};

/// An archive that is being written.
pub struct Archive {
    writer: Writer<Vec<u8>>,
    folders: BTreeSet<String>,
}

impl Archive {
    pub fn new() -> Self {
        Self {
            writer: Writer::new(Vec::new()),
            folders: BTreeSet::new(),
        }
    }

    /// Adds the parent folders of a name, which the kernel does not create by itself.
    fn folders(&mut self, name: &str) {
        for (at, _) in name.match_indices('/') {
            let folder = &name[..at];
            if self.folders.insert(folder.to_owned()) {
                self.writer
                    .directory(folder, &Metadata::directory())
                    .expect("a folder");
            }
        }
    }

    pub fn file(&mut self, name: &str, metadata: &Metadata, content: &[u8]) {
        self.folders(name);
        let size = content.len() as u64;
        self.writer
            .file(name, metadata, size, content)
            .expect("a file");
    }

    pub fn link(&mut self, name: &str, target: &str) {
        self.folders(name);
        self.writer
            .symlink(name, &Metadata::symlink(), target)
            .expect("a link");
    }

    /// The archive's bytes.
    pub fn finish(self) -> Vec<u8> {
        self.writer.finish().expect("an archive in memory")
    }
}
