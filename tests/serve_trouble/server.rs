//! `storeboot serve`, and a netboot directory that no machine could start.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest, Sha256};
use storeboot_tests::command::storeboot;

/// Long enough for all that the server does here.
pub const LIMIT: Duration = Duration::from_secs(300);

/// A netboot directory of layout `fetch`, and its files as they have to come.
pub struct Netboot {
    pub folder: PathBuf,
    pub kernel: Vec<u8>,
    pub initrd: Vec<u8>,
    /// The store image's name below the directory.
    pub image_name: String,
    pub image: Vec<u8>,
}

impl Netboot {
    /// Writes one whose initrd and image have so many MiB each, of bytes that depend on `name`.
    pub fn new(folder: &Path, name: &str, mib: usize) -> Self {
        let (kernel, initrd, image) = (
            bytes(name, "kernel", 1),
            bytes(name, "initrd", mib),
            bytes(name, "image", mib),
        );
        let image_name = format!("images/{}.squashfs", hash(&image));
        fs::create_dir_all(folder.join("images")).expect("a folder");
        let file = |name: &str, kind: &str, content: &[u8]| {
            fs::write(folder.join(name), content).expect("a file");
            json!({ "name": name, "kind": kind, "size": content.len(), "sha256": hash(content) })
        };
        let files = [
            file("bzImage", "kernel", &kernel),
            file("initrd", "initrd", &initrd),
            file(&image_name, "image", &image),
        ];
        let manifest = json!({
            "schema": 1, "layout": "fetch", "init": "/nix/store/x/init", "commandLine": "init=/nix/store/x/init",
            "memory": 0, "kernel": { "file": "bzImage", "version": "6.12", "architecture": "x86_64" },
            "closure": { "paths": 0, "narSize": 0 }, "files": files, "segments": [], "images": [],
        });
        fs::write(folder.join("manifest.json"), manifest.to_string()).expect("a manifest");
        Self {
            folder: folder.into(),
            kernel,
            initrd,
            image_name,
            image,
        }
    }
}

/// Bytes that differ everywhere, for each name and part in another way: a linear congruential generator's.
fn bytes(name: &str, part: &str, mib: usize) -> Vec<u8> {
    let seed = name.bytes().chain(part.bytes());
    let seed = seed.fold(0, |seed: u64, byte| {
        seed.wrapping_mul(257) + u64::from(byte)
    });
    let next = |state: &u64| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        )
    };
    let numbers = std::iter::successors(next(&seed), next).take(mib << 17);
    numbers.flat_map(u64::to_le_bytes).collect()
}

fn hash(content: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(content))
}

/// A server that runs until this is dropped.
pub struct Server {
    process: Child,
    said: Mutex<Receiver<String>>,
    all: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves a netboot directory at a port of this machine, and returns when machines can boot.
    pub fn start(port: u16, netboot: &Path, arguments: &[&str]) -> Self {
        let mut command = command(port);
        Self::run(command.arg(netboot).args(arguments))
    }

    /// Serves what a rules file says.
    pub fn with_rules(port: u16, rules: &Path) -> Self {
        let mut command = command(port);
        Self::run(command.arg("--rules").arg(rules))
    }

    fn run(command: &mut Command) -> Self {
        let mut process = command.spawn().expect("the server can be run");
        let stderr = process.stderr.take().expect("a pipe");
        let (sender, said) = channel();
        let all = Arc::new(Mutex::default());
        let kept: Arc<Mutex<Vec<String>>> = Arc::clone(&all);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().expect("nobody panicked").push(line.clone());
                let _ = sender.send(line);
            }
        });
        let server = Self {
            process,
            said: Mutex::new(said),
            all,
        };
        server.says("serving at http://");
        server
    }

    /// Waits until it says this, and returns the line.
    pub fn says(&self, words: &str) -> String {
        let said = self.said.lock().expect("nobody panicked");
        loop {
            match said.recv_timeout(LIMIT) {
                Ok(line) if line.contains(words) => return line,
                Ok(_) => {}
                Err(_) => panic!("the server did not say {words:?}: {:#?}", self.all),
            }
        }
    }

    /// How many of its lines so far have these words.
    pub fn count(&self, words: &str) -> usize {
        let all = self.all.lock().expect("nobody panicked");
        all.iter().filter(|line| line.contains(words)).count()
    }

    /// As kill -9.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it runs");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(port: u16) -> Command {
    let mut command = Command::new(storeboot());
    command
        .args(["serve", "--dhcp", "off", "--tftp", "off", "--listen"])
        .arg(format!("127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}
