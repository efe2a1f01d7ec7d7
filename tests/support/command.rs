//! Runs the command as users do, and other programs to compare it with.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::debian::{repository, static_binaries};

/// The user and group that own nothing.
pub const NOBODY: u32 = 65534;

/// The program `storeboot`: the one that the environment's `STOREBOOT` names, or else one that is built now, beside the
/// tests and like them.
///
/// # Panics
/// When it cannot be built.
pub fn storeboot() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match env::var_os("STOREBOOT") {
        Some(program) => repository().join(program),
        None => built(),
    })
}

/// Copies the program to a place where every user may run it.
///
/// # Panics
/// When it cannot be copied.
pub fn copy_storeboot(to: &Path) {
    // Let another program write the file: a child process of another test could inherit a descriptor that is open for
    // writing here, and then the file could not be run.
    printed(Command::new("cp").arg(storeboot()).arg(to));
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// Writes a program that can be run at once.
///
/// # Panics
/// When it cannot be written.
pub fn write_program(path: &Path, text: &str) {
    // Let another program write it, for the same reason.
    let script = r#"printf %s "$1" >"$0" && chmod 755 "$0""#;
    printed(Command::new("sh").args(["-c", script]).arg(path).arg(text));
}

fn built() -> PathBuf {
    cargo_built(&["build", "--package", "storeboot-cli"]).join("storeboot")
}

/// An example of the crate `storeboot`, built now, beside the tests and like them.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    // Use the options of a run of all tests: for one package, or without tests, cargo would rebuild nearly everything.
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| cargo_built(&["test", "--workspace", "--no-run"]));
    folder.join("examples").join(name)
}

/// Builds a program with cargo, and returns its path.
fn cargo_built(command: &[&str]) -> PathBuf {
    // TARGET/PROFILE/deps/name-of-the-test
    let test = env::current_exe().expect("the test knows where it is");
    let folder = test.ancestors().nth(2).expect("a folder of a profile");
    let target = folder.parent().expect("a target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(command)
        .arg("--quiet")
        .arg("--target-dir")
        .arg(target)
        .current_dir(repository());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    printed(&mut cargo);
    folder.to_owned()
}

/// The command that builds the netboot directory `output` for a system that has `kernel`, `kernel-modules` and `init`.
/// How it is packed and what else is to be on its command line can be added.
#[must_use]
pub fn build_command(system: &Path, layout: &str, output: &Path) -> Command {
    let mut build = Command::new(storeboot());
    build
        .args(["build", "--quiet", "--layout", layout])
        .arg("--root")
        .arg(system)
        .arg("--kernel")
        .arg(system.join("kernel"))
        .arg("--modules")
        .arg(system.join("kernel-modules"))
        .arg("--init")
        .arg(system.join("init"))
        .arg("--stage1")
        .arg(static_binaries().join("storeboot-init"))
        .arg("--output")
        .arg(output);
    build
}

/// Runs a command, which must succeed, and returns what it printed.
///
/// # Panics
/// When it fails, with what it said.
pub fn printed(command: &mut Command) -> Vec<u8> {
    let output = ran(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{said}",
        output.status
    );
    output.stdout
}

/// Runs a command and returns its output and status.
///
/// # Panics
/// When it cannot be started.
pub fn ran(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Whether programs are installed. If not, prints that the test is skipped, or fails if `CI` is set.
///
/// # Panics
/// When one is missing, and `CI` is set.
#[must_use]
pub fn have(programs: &[&str]) -> bool {
    let found = |program: &&&str| {
        let paths = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&paths).any(|folder| folder.join(program).is_file())
    };
    let missing = programs.iter().find(|program| !found(program));
    if let Some(name) = missing {
        skip_for_want_of(&format!("{name} is missing"));
    }
    missing.is_none()
}

/// Prints that the test is skipped because something that `make deps` installs is missing or too old. Fails if `CI` is
/// set.
///
/// # Panics
/// When `CI` is set.
pub fn skip_for_want_of(what: &str) {
    let why = format!("{what}; `make deps` installs what the tests need");
    assert!(env::var_os("CI").is_none(), "{why}");
    skipped(&why);
}

/// Whether this machine is a PC. If not, prints that `what` is not tested here.
#[must_use]
pub fn on_a_pc(what: &str) -> bool {
    let pc = env::consts::ARCH == "x86_64";
    if !pc {
        skipped(&format!("{what}, and this is no PC"));
    }
    pc
}

/// Returns the first of these files that exists. If none exists, prints that the test is skipped, or fails if `CI` is
/// set.
///
/// # Panics
/// When there is none and `CI` is set.
#[must_use]
pub fn installed(candidates: &[&str]) -> Option<PathBuf> {
    let found = candidates
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
    if found.is_none() {
        skip_for_want_of(&format!("none of {candidates:?} is there"));
    }
    found
}

/// Prints that something is not tested. Bypasses the test harness, which hides the output of tests that pass.
pub fn skipped(why: &str) {
    // A closed stderr is no reason for a test to fail.
    let _ = std::io::stderr().write_all(format!("\nSKIPPED: {why}\n").as_bytes());
}

/// Whether this is root, who can become others, own files of others, and read everything.
#[must_use]
pub fn is_root() -> bool {
    // The user who runs a process owns its folder in /proc.
    let metadata = fs::metadata("/proc/self").expect("/proc is mounted");
    std::os::unix::fs::MetadataExt::uid(&metadata) == 0
}

/// A command that runs another as a user who may not read everything: nobody, if this is root.
#[must_use]
pub fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg("--")
        .arg(program);
    command
}

/// A command that runs another as the user nobody. Only root can do that: for other users, prints that the test is
/// skipped and returns None.
#[must_use]
pub fn as_nobody(program: &Path) -> Option<Command> {
    if is_root() {
        return Some(unprivileged(program));
    }
    skipped("only root can run something as another user; run the tests as root, too");
    None
}

/// A command that runs a shell script in a mount namespace of its own, where the script can mount file systems; the
/// program is its `$0`. If the system forbids that, prints that the test is skipped and returns None.
#[must_use]
pub fn with_mounts(script: &str, program: &Path) -> Option<Command> {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["sh", "-euc", script]).arg(program);
        command
    };
    let possible = unshare("mount -t tmpfs none /mnt")
        .output()
        .is_ok_and(|output| output.status.success());
    if !possible {
        skipped("nothing can be mounted here, not even in a namespace of its own");
        return None;
    }
    Some(unshare(script))
}

/// A folder for a test's files, which every user may enter. Dropping it removes the folder, whatever its permissions.
#[derive(Debug)]
pub struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    /// A folder in memory if there is room, or else among the system's temporary files.
    ///
    /// # Panics
    /// When there is no place for it.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        match memory_folder() {
            Some(folder) => Self::under(folder),
            None => Self::under(&env::temp_dir()),
        }
    }

    /// A folder in another folder.
    ///
    /// # Panics
    /// When there is no place for it.
    #[must_use]
    pub fn under(parent: &Path) -> Self {
        let folder =
            tempfile::TempDir::with_prefix_in("storeboot-test-", parent).expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        Self { folder }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// A new folder in it, which belongs to nobody if this is root.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn folder_of_nobody(&self, name: &str) -> PathBuf {
        let folder = self.join(name);
        fs::create_dir(&folder).expect("a folder");
        if is_root() {
            std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).expect("its owner");
        }
        folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        crate::fixture::make_removable(self.path());
    }
}

/// Returns a folder in memory, if this machine has one with room. It is usually on another file system than the
/// temporary files, and creates and removes tens of thousands of files quickly.
#[must_use]
pub fn memory_folder() -> Option<&'static Path> {
    const ROOM: u64 = 1 << 30;

    let folder = Path::new("/dev/shm");
    let output = Command::new("df")
        .args(["--block-size=1", "--output=fstype,avail"])
        .arg(folder)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.lines().nth(1)?.split_whitespace();
    let tmpfs = words.next()? == "tmpfs";
    let free: u64 = words.next()?.parse().ok()?;
    (tmpfs && free >= ROOM).then_some(folder)
}

/// Names of what is in a folder, hidden ones included, in order.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn names(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut names: Vec<OsString> = entries
        .map(|entry| entry.expect("a folder can be read").file_name())
        .collect();
    names.sort();
    names
}

/// A file that looks like a kernel of this release: a bzImage's header and little behind it.
#[must_use]
pub fn bz_image(release: &str) -> Vec<u8> {
    // The set-up code's sectors, with the header in the first two, and the version's text at 0x200 + 0x3f00.
    let mut image = vec![0xcc; 64 << 10];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[39]); // sectors
    put(0x1fe, &[0x55, 0xaa]);
    put(0x202, b"HdrS");
    put(0x206, &0x020f_u16.to_le_bytes()); // protocol 2.15
    put(0x20e, &0x3f00_u16.to_le_bytes()); // where the version is
    put(0x211, &[1]); // loaded high
    put(0x236, &0x007f_u16.to_le_bytes()); // 64 bits
    put(0x258, &(16_u64 << 20).to_le_bytes()); // where in memory
    put(0x260, &(64_u32 << 20).to_le_bytes()); // and how much
    put(
        0x4100,
        format!("{release} (maker@host) #1 SMP\0").as_bytes(),
    );
    image
}

/// A file that looks like a static program for x86_64: a header, and one segment that holds all of it.
#[must_use]
pub fn static_program() -> Vec<u8> {
    let mut program = vec![0; 4096];
    let mut put = |at: usize, bytes: &[u8]| program[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01"); // 64 bits, little-endian
    put(16, &2_u16.to_le_bytes()); // executable
    put(18, &62_u16.to_le_bytes()); // x86_64
    put(20, &1_u32.to_le_bytes()); // version
    put(24, &0x40_0800_u64.to_le_bytes()); // where it starts
    put(32, &64_u64.to_le_bytes()); // where the program header is
    put(52, &64_u16.to_le_bytes()); // bytes of this header
    put(54, &56_u16.to_le_bytes()); // bytes of a program header
    put(56, &1_u16.to_le_bytes()); // and how many there are
    put(64, &1_u32.to_le_bytes()); // it is loaded
    put(80, &0x40_0000_u64.to_le_bytes()); // to there
    put(96, &4096_u64.to_le_bytes()); // bytes in the file
    put(104, &4096_u64.to_le_bytes()); // bytes in memory
    program
}
