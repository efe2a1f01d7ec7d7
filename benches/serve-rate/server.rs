//! Our server, and the netboot directory that both servers have.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use storeboot_benches::noise;
use storeboot_serve::http::{self, Limits};
use storeboot_serve::{Desk, Directory, Loaders, Offers, Rules, Source, Sources};
use storeboot_tests::nginx::free_port;

use crate::clients;

/// The file for one client.
pub const LARGE: &str = "bzImage";
/// The file for each of many: a sixteenth of the other.
pub const SMALL: &str = "initrd";

/// Writes a netboot directory with two files of noise, and returns its number.
pub fn make(folder: &Path, size: u64) -> Result<String> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let noise = noise(size / 4);
    let small = &noise[..noise.len() / 16];
    let file = |name: &str, kind: &str, bytes: &[u8]| -> Result<serde_json::Value> {
        fs::write(folder.join(name), bytes).with_context(|| name.to_owned())?;
        let sha256 = HEXLOWER.encode(&Sha256::digest(bytes));
        Ok(serde_json::json!({ "name": name, "kind": kind, "size": bytes.len(), "sha256": sha256 }))
    };
    let files = [
        file(LARGE, "kernel", &noise)?,
        file(SMALL, "initrd", small)?,
    ];
    let manifest = serde_json::json!({
        "schema": 1, "layout": "file", "init": "/nix/store/x/init", "commandLine": "init=/nix/store/x/init",
        "memory": 0, "kernel": { "file": LARGE, "version": "6.12", "architecture": "x86_64" },
        "closure": { "paths": 0, "narSize": 0 }, "files": files, "segments": [], "images": [],
    });
    fs::write(folder.join("manifest.json"), manifest.to_string())?;
    Ok(Directory::open(folder)?.id().to_string())
}

/// Serves the directory for ever.
pub fn run(folder: &Path, port: u16) -> Result<()> {
    let offers = Arc::new(Offers::default());
    offers.add(Directory::open(folder)?);
    let sources = Sources::new(Arc::clone(&offers));
    let rules = Rules::same_for_all(Source::Directory(folder.to_owned()));
    let desk = Arc::new(Desk::new(offers, sources, Loaders::default(), rules));
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
            let listeners = vec![listener];
            http::serve(
                desk,
                axum::Router::new(),
                listeners,
                Limits::default(),
                std::future::pending(),
            )
            .await;
            Ok(())
        })
}

/// Our server in a process of its own, until it is dropped.
pub struct Ours {
    process: Child,
    pub port: u16,
}

impl Ours {
    pub fn start(work: &Path) -> Result<Self> {
        let port = free_port();
        let process = Command::new(env::current_exe().context("this program")?)
            .arg("--serve")
            .arg(port.to_string())
            .arg("--work")
            .arg(work)
            .stdin(Stdio::null())
            .spawn()
            .context("our server")?;
        let mut ours = Self { process, port };
        while !clients::answers(port) {
            ensure!(ours.process.try_wait()?.is_none(), "our server has ended");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(ours)
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The most memory that it ever had, in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let mut lines = status.lines();
        let peak = lines.find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.split_whitespace().next());
        let kibibytes: u64 = kibibytes.context("proc_pid_status(5)")?.parse()?;
        Ok(kibibytes << 10)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
