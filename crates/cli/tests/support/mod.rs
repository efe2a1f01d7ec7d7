//! What the command's tests share.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The command that the tests run.
pub fn storeboot() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("storeboot"))
}

/// A closure of one path, and a folder for what is made of it.
pub struct Sample {
    folder: tempfile::TempDir,
}

impl Sample {
    /// The path is a file with this text.
    pub fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = "/nix/store/00000000000000000000000000000000-hello";
        let file = folder.path().join(&path[1..]);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, text).expect("a file");
        fs::write(folder.path().join("graph"), format!("{path}\n\n0\n")).expect("a file");
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Packs it into `image`.
    pub fn pack(&self) -> Command {
        let mut command = storeboot();
        command
            .args(["pack", "--format", "squashfs", "--graph"])
            .arg(self.path("graph"))
            .arg("--store-root")
            .arg(self.folder.path())
            .arg("--output")
            .arg(self.path("image"));
        command
    }
}
