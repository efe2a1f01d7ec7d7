//! Machines that QEMU emulates, and kernels for them.
//!
//! ```no_run
//! use storeboot_tests::qemu::{Kernel, LIMIT, Machine, QUIET};
//!
//! let Some(kernel) = Kernel::debian("6.12") else { return };
//! let boot = Machine::new()
//!     .kernel(kernel.image())
//!     .initrd("result/initrd")
//!     .append(QUIET)
//!     .append("init=/nix/store/…/init")
//!     .memory_mib(512)
//!     .boot(LIMIT);
//! assert!(boot.console.contains("hello"), "{boot}");
//! ```

mod architecture;
mod kernel;
mod session;

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{installed, skip_for_want_of};
pub use architecture::Architecture;
pub use kernel::Kernel;
pub use session::Session;

/// Long enough for every boot of a test: only machines that hang get there. A boot takes 2 to 60 s, and many times that
/// where other things run beside it.
pub const LIMIT: Duration = Duration::from_secs(1800);

/// Arguments that keep the kernel from writing to the console, except for a panic. Its messages about a busy machine,
/// such as an RCU stall, would split the lines of other programs. With `quiet` alone, the kernel prints all errors.
/// Stage 1's own messages still appear.
pub const QUIET: &str = "quiet loglevel=2";

/// Older versions (such as 7.2) sometimes corrupt a guest's memory when they emulate the processor.
const OLDEST_QEMU: u32 = 10;

/// UEFI's firmware for a PC, which QEMU takes as `-bios`. Nothing where it is not installed, see [`installed`].
#[must_use]
pub fn ovmf() -> Option<PathBuf> {
    installed(&["/usr/share/ovmf/OVMF.fd", "/usr/share/qemu/OVMF.fd"])
}

/// UEFI's firmware for a 64-bit Arm machine, as [`ovmf`].
#[must_use]
pub fn uefi_arm64() -> Option<PathBuf> {
    installed(&["/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"])
}

/// A machine that boots a kernel and an initrd, without disk or network. Without a kernel, its firmware has to find what
/// to boot.
#[derive(Clone, Debug)]
pub struct Machine {
    architecture: Architecture,
    kernel: Option<PathBuf>,
    initrd: PathBuf,
    append: String,
    memory_mib: u32,
    arguments: Vec<String>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            architecture: Architecture::X86_64,
            kernel: None,
            initrd: PathBuf::new(),
            append: String::new(),
            memory_mib: 512,
            arguments: Vec::new(),
        }
    }
}

impl Machine {
    /// A machine with 512 MiB of memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with another processor.
    #[must_use]
    pub fn architecture(mut self, architecture: Architecture) -> Self {
        self.architecture = architecture;
        self
    }

    /// The kernel to boot.
    #[must_use]
    pub fn kernel(mut self, file: impl Into<PathBuf>) -> Self {
        self.kernel = Some(file.into());
        self
    }

    /// The initrd to boot.
    #[must_use]
    pub fn initrd(mut self, file: impl Into<PathBuf>) -> Self {
        self.initrd = file.into();
        self
    }

    /// More of the kernel command line; the console and `panic=-1` are on it already. Needs a kernel.
    #[must_use]
    pub fn append(mut self, text: &str) -> Self {
        self.append = [&self.append, " ", text].concat();
        self
    }

    /// How much memory it has.
    #[must_use]
    pub fn memory_mib(mut self, size: u32) -> Self {
        self.memory_mib = size;
        self
    }

    /// One more argument for QEMU.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Runs the machine until it powers off, panics or restarts. Ends a machine that hangs after `limit`. Never tries a
    /// boot twice.
    ///
    /// # Panics
    /// When QEMU cannot be run; ask [`available`] first.
    #[must_use]
    pub fn boot(&self, limit: Duration) -> Boot {
        let mut qemu = self.command();
        let mut qemu = qemu
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {qemu:?}: {error}"));
        // Both pipes are emptied while it runs, or it would stop when one is full.
        let console = drain(qemu.stdout.take().expect("stdout is a pipe"));
        let complaints = drain(qemu.stderr.take().expect("stderr is a pipe"));
        let end = wait(&mut qemu, limit);
        let read =
            |thread: thread::JoinHandle<Vec<u8>>| thread.join().expect("the reader does not panic");
        Boot {
            console: text(&read(console)),
            complaints: text(&read(complaints)),
            end,
        }
    }

    /// As [`boot`](Self::boot), with these bytes as the initrd. They are in a file of `folder` meanwhile.
    ///
    /// # Panics
    /// As [`boot`](Self::boot), and when the file cannot be written.
    #[must_use]
    pub fn boot_bytes(self, initrd: &[u8], folder: &Path, limit: Duration) -> Boot {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = folder.join(format!("changed-{number}"));
        fs::write(&file, initrd).expect("an initrd");
        let boot = self.initrd(&file).boot(limit);
        fs::remove_file(&file).expect("it was written");
        boot
    }

    /// QEMU with this machine's arguments, its serial line on standard output.
    fn command(&self) -> Command {
        let append = [self.architecture.words(), &self.append].concat();
        let mut qemu = Command::new(self.architecture.qemu());
        qemu.args(self.architecture.machine())
            .args([
                "-accel",
                "tcg",
                "-nographic",
                "-no-reboot",
                "-nic",
                "none",
                "-m",
            ])
            .arg(self.memory_mib.to_string());
        if let Some(kernel) = &self.kernel {
            qemu.arg("-kernel")
                .arg(kernel)
                .arg("-initrd")
                .arg(&self.initrd)
                .args(["-append", &append]);
        }
        qemu.args(&self.arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        qemu
    }
}

/// What was read, without carriage returns.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "")
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // After an error, keep what was read before.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn wait(qemu: &mut Child, limit: Duration) -> End {
    let start = Instant::now();
    loop {
        if let Some(status) = qemu.try_wait().expect("QEMU can be waited for") {
            return End::Stopped(status);
        }
        if start.elapsed() > limit {
            // It may just have ended by itself; either way it is gone after this.
            let _ = qemu.kill();
            let _ = qemu.wait();
            return End::Hung;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// How a machine came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It powered off, or wanted to restart (as after a panic), and QEMU ended.
    Stopped(ExitStatus),
    /// It was still running at the time limit.
    Hung,
}

/// What a machine did.
#[derive(Clone, Debug)]
pub struct Boot {
    /// All that it wrote to its console, without carriage returns.
    pub console: String,
    /// What QEMU itself had to say.
    pub complaints: String,
    /// How it ended.
    pub end: End,
}

impl Boot {
    /// Whether the kernel panicked.
    #[must_use]
    pub fn panicked(&self) -> bool {
        self.console.contains("Kernel panic")
    }

    /// Whether the machine ended in good order: it did not hang, nor panic, nor crash QEMU.
    #[must_use]
    pub fn powered_off(&self) -> bool {
        matches!(self.end, End::Stopped(status) if status.success()) && !self.panicked()
    }

    /// What follows `prefix` on each line that has it, without the time that the kernel puts before its own lines.
    pub fn lines_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.console
            .lines()
            .filter_map(move |line| line.find(prefix).map(|at| line[at + prefix.len()..].trim()))
    }
}

impl fmt::Display for Boot {
    /// For the message of an assertion: everything that is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "--- console ---\n{}\n--- end: {:?} {} ---",
            self.console, self.end, self.complaints
        )
    }
}

/// Whether machines of this architecture can be run here: QEMU is installed and new enough. If not, prints that the
/// test is skipped, or fails if `CI` is set.
///
/// # Panics
/// When it is not, and `CI` is set.
#[must_use]
pub fn available(architecture: Architecture) -> bool {
    let qemu = architecture.qemu();
    let output = Command::new(qemu).arg("--version").output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let version = text
        .split_once("version ")
        .and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok());
    match version {
        Some(version) if version >= OLDEST_QEMU => return true,
        Some(version) => skip_for_want_of(&format!(
            "{qemu} is of version {version}, {OLDEST_QEMU} is needed"
        )),
        None => skip_for_want_of(&format!("{qemu} is missing")),
    }
    false
}
