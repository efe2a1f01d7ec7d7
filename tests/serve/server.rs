//! `storeboot serve` in a LAN, and what it serves.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use storeboot_index::Layout;
use storeboot_tests::command::storeboot;
use storeboot_tests::lan::Lan;
use storeboot_tests::qemu::{Architecture, Kernel, LIMIT};
use storeboot_tests::small_system::SmallSystem;

use crate::machine::Firmware;

/// Where the server has HTTP, where that is said.
pub const ADDRESS: &str = "192.0.2.1:8080";

/// The same at the second address that it has in the LAN.
pub const SECOND: &str = "192.0.2.2:8080";

/// Returns the system for a processor, or None if machines cannot be run.
pub fn system(architecture: Architecture) -> Option<&'static SmallSystem> {
    static SYSTEMS: [OnceLock<Option<SmallSystem>>; 2] = [const { OnceLock::new() }; 2];
    let make = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("serve");
        let kernel = Kernel::debian_for(architecture, "6.12")?;
        let folder = folder.join(architecture.debian());
        Some(SmallSystem::in_folder(&folder, kernel))
    };
    SYSTEMS[architecture as usize].get_or_init(make).as_ref()
}

/// Returns the system's netboot directory of a layout.
pub fn netboot(system: &SmallSystem, layout: Layout) -> &'static Path {
    static FOLDERS: [[OnceLock<PathBuf>; 4]; 2] = [const { [const { OnceLock::new() }; 4] }; 2];
    let folder = &FOLDERS[system.kernel.architecture() as usize][layout as usize];
    folder.get_or_init(|| system.build(&layout.to_string(), layout, &[]))
}

/// The server. Dropping it ends it.
pub struct Server {
    process: Child,
    log: PathBuf,
}

impl Server {
    /// Serves with these arguments, and returns when machines can boot.
    pub fn start(lan: &Lan, arguments: &[&Path]) -> Self {
        let log = lan.file("serve.log");
        let file = File::create(&log).expect("a log");
        let mut command = Command::new(storeboot());
        command
            .arg("serve")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        let process = lan.inside(|| command.spawn().expect("the server can be run"));
        let mut server = Self { process, log };
        server.says(&["serving at"]);
        server
    }

    /// Waits until it wrote all of these.
    pub fn says(&mut self, words: &[&str]) {
        let start = Instant::now();
        while !words.iter().all(|words| self.log().contains(words)) {
            let ended = self.process.try_wait().expect("the server can be asked");
            assert!(ended.is_none(), "{}", self.log());
            assert!(start.elapsed() < LIMIT, "{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("a log")
    }

    /// Checks that it told a machine with this firmware what that needs, and nothing else.
    pub fn told(&self, firmware: Firmware, http: &str) {
        let log = self.log();
        let mut told: Vec<&str> = log
            .lines()
            .filter_map(|line| line.split_once(" is told ")?.1.split(' ').next())
            .collect();
        // Firmware may ask more than once.
        told.dedup();
        let script = format!("http://{http}/boot.ipxe");
        let expected = match firmware {
            Firmware::Bios => vec![script],
            Firmware::UefiPxe => vec!["ipxe.efi".into(), script],
            Firmware::UefiArm64Pxe => vec!["ipxe-arm64.efi".into(), script],
            Firmware::UefiHttp => vec![format!("http://{http}/loader/ipxe.efi"), script],
        };
        assert_eq!(told, expected, "{log}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
