//! Systems that real Nix builds from Debian packages, and Nix's commands as this machine can run them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use crate::qemu::Architecture;

/// The top of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests have a folder of their own")
}

/// Runs a command of `scripts/` in the repository and returns what it printed.
///
/// # Panics
/// When it fails, with what it said.
pub fn script<S: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let mut command = Command::new(repository().join("scripts").join(name));
    printed(command.args(arguments).current_dir(repository()))
}

/// Runs one of Nix's commands, set up so that it can build on this machine, and returns what it printed.
///
/// # Panics
/// When it fails, with what it said.
pub fn nix<S: AsRef<OsStr>>(command: &str, arguments: impl IntoIterator<Item = S>) -> String {
    printed(nix_command(command).args(arguments))
}

/// One of Nix's commands, set up so that it can build on this machine.
pub fn nix_command(command: &str) -> Command {
    let mut nix = Command::new(repository().join("scripts/nix-here"));
    nix.arg(command).current_dir(repository());
    nix
}

/// Returns the value of a Nix expression, in which `./.` is the repository.
///
/// # Panics
/// When Nix cannot evaluate it, with what it said.
pub fn evaluate(expression: &str) -> Value {
    let text = nix(
        "nix-instantiate",
        [
            "--eval",
            "--strict",
            "--json",
            "--read-write-mode",
            "--expr",
            expression,
        ],
    );
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The folder with the Debian packages that the demo is made of, downloaded if they are not there.
///
/// # Panics
/// When they cannot be had.
pub fn demo_packages() -> PathBuf {
    script::<&str>("demo-packages", []);
    repository().join("target/demo/debs")
}

/// The store path of the demo's system: it has `init`, `kernel`, `kernel-modules` and `kernel-params` in it, and its
/// closure is a few dozen Debian packages. Built once, however many tests ask.
///
/// # Panics
/// When it cannot be built.
pub fn demo_system() -> PathBuf {
    system("demo", &demo_packages())
}

/// The store path of a system as NixOS has it, with systemd: it has what the demo's has, and more; see
/// `docs/systemd.md`.
///
/// # Panics
/// When it cannot be built.
pub fn systemd_system() -> PathBuf {
    script::<&str>("systemd-packages", []);
    system("systemd", &repository().join("target/systemd/debs"))
}

fn system(name: &str, debs: &Path) -> PathBuf {
    let folder = repository().join("target").join(name);
    let lock = File::create(folder.join("lock")).expect("a lock file in target");
    lock.lock().expect("the lock file in target");

    // The link keeps Nix from collecting it.
    let link = folder.join("toplevel");
    nix(
        "nix-build",
        [
            OsStr::new("--attr"),
            OsStr::new(&format!("netboot_{name}.toplevel")),
            OsStr::new("--arg"),
            OsStr::new("debs"),
            debs.as_os_str(),
            OsStr::new("--out-link"),
            link.as_os_str(),
        ],
    );
    fs::read_link(&link).expect("nix-build leaves a link to what it built")
}

/// The folder with the static `storeboot` and `storeboot-init`: where the environment's `STOREBOOT` lies, or else built
/// now.
///
/// # Panics
/// When they cannot be built.
pub fn static_binaries() -> PathBuf {
    match std::env::var_os("STOREBOOT") {
        Some(program) => Path::new(&program)
            .parent()
            .expect("STOREBOOT names a file")
            .to_owned(),
        None => PathBuf::from(script::<&str>("build-static", [])),
    }
}

/// Stage 1 for a machine with this processor, built once.
///
/// # Panics
/// When it cannot be built.
pub fn stage1(architecture: Architecture) -> PathBuf {
    static AARCH64: OnceLock<PathBuf> = OnceLock::new();
    match architecture {
        Architecture::X86_64 => static_binaries().join("storeboot-init"),
        Architecture::Aarch64 => AARCH64
            .get_or_init(|| script::<&str>("build-aarch64", []).into())
            .clone(),
    }
}

/// A static busybox for this processor: this machine's own, or Debian's.
///
/// # Panics
/// When it cannot be downloaded.
pub fn busybox(architecture: Architecture) -> PathBuf {
    match architecture {
        Architecture::X86_64 => "/bin/busybox".into(),
        Architecture::Aarch64 => {
            let folder = unpacked("bookworm:arm64", "busybox-static");
            let places = ["bin/busybox", "usr/bin/busybox"].map(|place| folder.join(place));
            let mut places = places.into_iter();
            places
                .find(|place| place.is_file())
                .expect("the package holds busybox")
        }
    }
}

/// The folder with the files of a Debian package of this suite, which is not installed.
///
/// # Panics
/// When it cannot be downloaded.
pub fn unpacked(suite: &str, package: &str) -> PathBuf {
    script("unpack-deb", [suite, package]).into()
}

/// The folder with Kea and dhcpd, which are not installed.
///
/// # Panics
/// When they cannot be downloaded.
pub fn dhcp_servers() -> PathBuf {
    script("dhcp-servers", [""; 0]).into()
}

fn printed(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{said}");
    String::from_utf8(stdout)
        .expect("what a command prints is text")
        .trim_end()
        .to_owned()
}
