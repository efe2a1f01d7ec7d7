//! A real Nix with a store of its own, which nothing outside of a test sees.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use storeboot_closure::StoreDir;
use tempfile::TempDir;

/// Whether all of these programs are here. Where not, the test says that it is skipped; in CI,
/// where all of them must be, it fails.
pub fn have(tools: &[&str]) -> bool {
    let missing: Vec<_> = tools
        .iter()
        .filter(|tool| {
            let run = Command::new(tool)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            run.is_err()
        })
        .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI must have these: {missing:?}"
    );
    // Not `eprintln!`: the harness hides that where a test passes.
    let text = format!("\nSKIPPED: these programs are missing: {missing:?}\n");
    let _ = std::io::stderr().write_all(text.as_bytes());
    false
}

/// Settings under which Nix builds on any machine, also as root and in a container.
pub const NIX_CONFIG: &str = "sandbox = false\nbuild-users-group =\nsubstituters =\n\
                              experimental-features = nix-command\n";

/// Runs to the end, or fails the test with what the command said.
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The same as a string without its last newline.
pub fn line(command: &mut Command) -> String {
    let text = String::from_utf8(run(command)).unwrap();
    text.trim_end().to_owned()
}

/// A private Nix: another store directory, another database.
pub struct PrivateNix {
    dir: TempDir,
    pub store_dir: StoreDir,
}

impl PrivateNix {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Nix takes no store whose path has a symbolic link in it.
        let real = dir.path().canonicalize().unwrap();
        let store = real.join("store").into_os_string().into_string().unwrap();
        Self {
            dir,
            store_dir: StoreDir::new(store).unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("NIX_STORE_DIR", self.store_dir.as_str())
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_CONFIG", NIX_CONFIG)
            .env("HOME", self.path("home"))
            .env_remove("NIX_REMOTE")
            .current_dir(self.dir.path());
        command
    }

    /// Builds the attribute of `tests/closures.nix` and returns its store path.
    pub fn build(&self, attribute: &str) -> PathBuf {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/closures.nix");
        let mut build = self.command("nix-build");
        build.arg(file).args(["-A", attribute, "--no-out-link"]);
        line(&mut build).into()
    }

    /// The paths of a closure in the order in which Nix sorts them.
    pub fn requisites(&self, path: &Path) -> Vec<String> {
        let text = line(self.command("nix-store").arg("-qR").arg(path));
        let mut paths: Vec<_> = text.lines().map(str::to_owned).collect();
        paths.sort();
        paths
    }
}
