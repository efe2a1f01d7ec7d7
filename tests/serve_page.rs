//! A real Chromium shows the page of `storeboot serve` while machines load: scripts/serve-picture opens the page, waits
//! until it shows them, and takes a picture.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use data_encoding::HEXLOWER;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use serde_json::json;
use sha2::{Digest, Sha256};
use storeboot_tests::command::{Scratch, have, storeboot};
use storeboot_tests::debian::repository;

/// The picture of the book may have so many bytes.
const PICTURE: usize = 150_000;
const INITRD: usize = 64 << 20;

/// A netboot directory that is whole, with files that no machine could start.
fn directory(folder: &Path) {
    let file = |name: &str, kind: &str, content: &[u8]| {
        fs::write(folder.join(name), content).expect("a file");
        json!({
            "name": name, "kind": kind, "size": content.len(), "sha256": HEXLOWER.encode(&Sha256::digest(content)),
        })
    };
    let files = [
        file("bzImage", "kernel", b"a kernel"),
        file("initrd", "initrd", &vec![7; INITRD]),
    ];
    let manifest = json!({
        "schema": 1, "layout": "file", "init": "/nix/store/x/init", "commandLine": "init=/nix/store/x/init",
        "memory": 0, "kernel": { "file": "bzImage", "version": "6.12", "architecture": "x86_64" },
        "closure": { "paths": 0, "narSize": 0 }, "files": files, "segments": [], "images": [],
    });
    fs::write(folder.join("manifest.json"), manifest.to_string()).expect("a manifest");
}

/// A server, which ends with the test.
struct Server {
    process: Child,
    /// `127.0.0.1` and its port.
    place: String,
}

impl Server {
    fn new(directory: &Path) -> Self {
        let mut process = Command::new(storeboot())
            .args([
                "serve",
                "--dhcp",
                "off",
                "--tftp",
                "off",
                "--listen",
                "127.0.0.1:0",
            ])
            .arg(directory)
            .stderr(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut said = String::new();
        let stderr = process.stderr.take().expect("its errors");
        let mut stderr = BufReader::new(stderr);
        stderr.read_line(&mut said).expect("a line");
        // What it says later is of no interest, but has to go somewhere.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let (_, place) = said
            .split_once("http://")
            .unwrap_or_else(|| panic!("{said}"));
        let place = place.split('/').next().unwrap_or_default().to_owned();
        Self { process, place }
    }

    fn ask(&self, path: &str) -> TcpStream {
        let place: SocketAddrV4 = self.place.parse().expect("an address");
        let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("a socket");
        // What waits in buffers counts as loaded, so there is little room for it, from the first byte on.
        set_socket_recv_buffer_size(&socket, 256 << 10).expect("a small buffer");
        connect(&socket, &place).expect("a connection");
        let mut stream = TcpStream::from(socket);
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.place
        );
        stream.write_all(head.as_bytes()).expect("a request");
        stream
    }

    /// The answer's head and body.
    fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        self.ask(path)
            .read_to_string(&mut answer)
            .expect("an answer");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn chromium_shows_machines_as_they_load() {
    if !have(&["chromium"]) {
        return;
    }
    let scratch = Scratch::new();
    directory(scratch.path());
    let server = Server::new(scratch.path());
    let picture = scratch.path().join("page.png");
    let script = repository().join("scripts/serve-picture");
    let mut taking = Command::new(script);
    taking.arg("take").arg(format!("http://{}/", server.place));
    let mut taking = taking.arg(&picture).spawn().expect("a picture");
    // Chromium has the page from now on, with no machine on it.
    while !server
        .get("/metrics")
        .contains("storeboot_serve_open_pages 1\n")
    {
        assert!(
            taking.try_wait().expect("a process").is_none(),
            "no page was opened"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let mut script = String::new();
    for number in 1..=3 {
        script = server.get(&format!(
            "/machine.ipxe?mac=52-54-00-00-00-0{number}&platform=efi&arch=x86_64"
        ));
    }
    let kernel = script
        .split_whitespace()
        .find(|word| word.starts_with("http://") && word.ends_with("/bzImage"))
        .unwrap_or_else(|| panic!("no kernel in {script}"));
    let (_, path) = kernel.split_once(&server.place).expect("a URL");
    let mut initrd = server.ask(&path.replace("bzImage", "initrd"));
    // Half of it, and some more for what is on the way. The machine then waits for the rest.
    initrd.read_exact(&mut vec![0; INITRD / 2]).expect("a half");
    assert!(taking.wait().expect("a process").success());
    let picture = fs::read(picture).expect("a picture");
    assert!(picture.starts_with(b"\x89PNG"));
}

#[test]
fn the_picture_of_the_book_is_small() {
    let picture = fs::read(repository().join("docs/serve.png")).expect("docs/serve.png");
    assert!(picture.starts_with(b"\x89PNG"));
    assert!(picture.len() < PICTURE, "{} bytes", picture.len());
}
