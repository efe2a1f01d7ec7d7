//! Makes initrds whose stage 1 is a busybox script.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use storeboot_tests::command::printed;

/// A static busybox, with every applet that the scripts call.
pub const BUSYBOX: &str = "/bin/busybox";
const APPLETS: [&str; 9] = [
    "cat",
    "env",
    "insmod",
    "mkdir",
    "mount",
    "poweroff",
    "sh",
    "switch_root",
    "umount",
];

/// Makes a folder with the script as `init`, busybox, and empty mount points.
///
/// # Errors
/// If a file cannot be read or written.
pub fn stage1(folder: &Path, script: &str) -> Result<PathBuf> {
    let folder = empty(folder)?;
    let program = |name: &str, bytes: &[u8]| -> Result<()> {
        let path = folder.join(name);
        fs::write(&path, bytes)?;
        Ok(fs::set_permissions(&path, Permissions::from_mode(0o755))?)
    };
    for name in ["bin", "dev", "lib", "lib/modules", "proc", "sys"] {
        fs::create_dir(folder.join(name))?;
    }
    program("init", script.as_bytes())?;
    let busybox = fs::read(BUSYBOX).context("install busybox-static")?;
    program("bin/busybox", &busybox)?;
    for applet in APPLETS {
        symlink("busybox", folder.join("bin").join(applet))?;
    }
    Ok(folder)
}

/// Makes an empty folder.
///
/// # Errors
/// If it cannot be made.
pub fn empty(folder: &Path) -> Result<PathBuf> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    Ok(folder.to_owned())
}

/// Packs each folder into an archive, compresses each archive on its own, and concatenates them.
///
/// # Panics
/// If a program fails.
pub fn pack(folders: &[&Path], initrd: &Path) {
    let script = r#"
        set -o pipefail
        initrd=$1
        shift
        for folder in "$@"; do
          (cd "$folder" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
            cpio --quiet -o -H newc -R +0:+0 --reproducible --null | zstd -q -10)
        done >"$initrd.new"
        mv "$initrd.new" "$initrd""#;
    let mut bash = Command::new("bash");
    bash.args(["-euc", script, "bash"])
        .arg(initrd)
        .args(folders);
    printed(&mut bash);
}
