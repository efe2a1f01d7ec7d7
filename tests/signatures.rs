//! Signatures of netboot directories, with keys that the real Nix makes: `storeboot sign`, `verify --public-key`,
//! `serve --public-key` and `uki --public-key`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::{BASE64, HEXLOWER};
use serde_json::json;
use sha2::{Digest, Sha256};
use storeboot_tests::command::{Scratch, have, printed, ran, storeboot};
use storeboot_tests::debian::nix;
use storeboot_tests::qemu::LIMIT;

/// A key that Nix made.
struct Key {
    secret: PathBuf,
    public: String,
}

impl Key {
    fn new(folder: &Path, name: &str) -> Self {
        let [secret, public] =
            ["secret", "public"].map(|half| folder.join(format!("{name}.{half}")));
        let paths = [&secret, &public].map(|path| path.to_str().expect("a path in text"));
        nix(
            "nix-store",
            ["--generate-binary-cache-key", name, paths[0], paths[1]],
        );
        // Nix makes it readable for root only.
        Self {
            public: fs::read_to_string(&public).expect("a public key"),
            secret,
        }
    }

    fn sign(&self, directory: &Path) {
        let mut sign = Command::new(storeboot());
        sign.arg("sign")
            .arg(directory)
            .arg("--key-file")
            .arg(&self.secret);
        printed(&mut sign);
    }
}

/// Writes a netboot directory that is whole, with files that no machine could start.
fn directory(folder: &Path, kernel: &str) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder).expect("a folder");
    let file = |name: &str, kind: &str, content: &[u8]| {
        fs::write(folder.join(name), content).expect("a file");
        json!({
            "name": name, "kind": kind, "size": content.len(), "sha256": HEXLOWER.encode(&Sha256::digest(content)),
        })
    };
    let files = [
        file("bzImage", "kernel", kernel.as_bytes()),
        file("initrd", "initrd", b"an initrd"),
    ];
    let manifest = json!({
        "schema": 1, "layout": "file", "init": "/nix/store/x/init", "commandLine": "init=/nix/store/x/init",
        "memory": 0, "kernel": { "file": "bzImage", "version": "6.12", "architecture": "x86_64" },
        "closure": { "paths": 0, "narSize": 0 }, "files": files, "segments": [], "images": [],
    });
    fs::write(folder.join("manifest.json"), manifest.to_string()).expect("a manifest");
}

/// What the command says, and whether it succeeds.
fn says(arguments: &[&str]) -> (bool, String) {
    let output = ran(Command::new(storeboot()).args(arguments));
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn verify(directory: &Path, key: &Key) -> (bool, String) {
    let directory = directory.to_str().expect("a path in text");
    says(&["verify", directory, "--public-key", &key.public])
}

#[test]
fn a_directory_is_signed_with_keys_of_nix() {
    if !have(&["nix-store", "openssl"]) {
        return;
    }
    let scratch = Scratch::new();
    let [ours, theirs] = ["site-1", "other-1"].map(|name| Key::new(scratch.path(), name));
    let netboot = scratch.path().join("netboot");
    directory(&netboot, "a kernel");

    let (good, said) = verify(&netboot, &ours);
    assert!(
        !good && said.contains("there is no manifest.json.sig"),
        "{said}"
    );
    ours.sign(&netboot);
    let (good, said) = verify(&netboot, &ours);
    assert!(good && said.contains("signed by site-1; 2 files"), "{said}");
    let (good, said) = verify(&netboot, &theirs);
    assert!(
        !good && said.contains("its signatures are by site-1"),
        "{said}"
    );

    // Each key has its line, and signs the same way each time.
    let signatures = netboot.join("manifest.json.sig");
    let first = fs::read_to_string(&signatures).expect("signatures");
    theirs.sign(&netboot);
    let both = fs::read_to_string(&signatures).expect("signatures");
    assert!(
        both.ends_with(&first) && both.starts_with("other-1:"),
        "{both}"
    );
    ours.sign(&netboot);
    assert_eq!(fs::read_to_string(&signatures).expect("signatures"), both);
    for key in [&ours, &theirs] {
        assert!(verify(&netboot, key).0);
    }
    checks_with_openssl(scratch.path(), &netboot, &ours, &first);

    // Of the manifest's bytes, each counts; and the manifest has the hashes of the files.
    let manifest = netboot.join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, format!("{text}\n")).expect("a manifest");
    let (good, said) = verify(&netboot, &ours);
    assert!(!good && said.contains("is of another manifest"), "{said}");
    fs::write(&manifest, text).expect("a manifest");
    fs::write(netboot.join("bzImage"), "a Kernel").expect("a kernel");
    let (good, said) = verify(&netboot, &ours);
    assert!(!good && said.contains("has the SHA-256"), "{said}");
    // And nobody signs what is damaged.
    let arguments = ["sign", netboot.to_str().expect("text"), "--key-file"];
    let secret = ours.secret.to_str().expect("text");
    let (good, said) = says(&[&arguments[..], &[secret]].concat());
    assert!(!good && said.contains("has the SHA-256"), "{said}");
}

/// openssl takes the same signature for one of the manifest.
fn checks_with_openssl(folder: &Path, netboot: &Path, key: &Key, line: &str) {
    let bytes = |text: &str| {
        let (_, encoded) = text.trim().split_once(':').expect("NAME:BASE64");
        BASE64.decode(encoded.as_bytes()).expect("base64")
    };
    // SubjectPublicKeyInfo of Ed25519 (RFC 8410) ends with the key.
    let start = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
    let [public, signature] = ["public.der", "signature"].map(|name| folder.join(name));
    fs::write(&public, [&start[..], &bytes(&key.public)].concat()).expect("a key");
    fs::write(&signature, bytes(line)).expect("a signature");
    let mut openssl = Command::new("openssl");
    openssl
        .args(["pkeyutl", "-verify", "-rawin", "-keyform", "DER", "-pubin"])
        .arg("-inkey")
        .arg(&public)
        .arg("-sigfile")
        .arg(&signature)
        .arg("-in")
        .arg(netboot.join("manifest.json"));
    printed(&mut openssl);
}

#[test]
fn a_secret_key_that_is_none_is_told_and_nothing_is_written() {
    if !have(&["nix-store"]) {
        return;
    }
    let scratch = Scratch::new();
    let key = Key::new(scratch.path(), "site-1");
    let netboot = scratch.path().join("netboot");
    directory(&netboot, "a kernel");
    let public = scratch.path().join("site-1.public");
    let paths = [&netboot, &public].map(|path| path.to_str().expect("a path in text"));
    let (good, said) = says(&["sign", paths[0], "--key-file", paths[1]]);
    assert!(
        !good && said.contains("it has 32 bytes after its name, and a secret key has 64"),
        "{said}"
    );
    assert!(!said.contains(key.public.split_once(':').expect("a key").1));
    assert!(!netboot.join("manifest.json.sig").exists());
    let (good, said) = says(&["verify", paths[0], "--public-key", "site-1"]);
    assert!(!good && said.contains("it is not NAME:BASE64"), "{said}");
}

/// A server, which ends with the test.
struct Server {
    process: Child,
    log: PathBuf,
}

impl Server {
    fn start(log: &Path, arguments: &[&str]) -> Self {
        let file = File::create(log).expect("a log");
        let process = Command::new(storeboot())
            .args(["serve", "--dhcp=off", "--tftp=off", "--listen=127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("a server");
        Self {
            process,
            log: log.into(),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("a log")
    }

    /// Waits until it says this, or ends.
    fn wait_for(&mut self, text: &str) {
        let start = Instant::now();
        while !self.log().contains(text) {
            assert!(start.elapsed() < LIMIT, "no {text:?} in {}", self.log());
            if self.process.try_wait().expect("it can be asked").is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert!(self.log().contains(text), "no {text:?} in {}", self.log());
    }

    /// The script of a machine: without the head of the answer, which has the time.
    fn script(&self) -> String {
        let log = self.log();
        let (_, place) = log.split_once("http://").expect("its address");
        let place = place.split('/').next().expect("its address");
        let mut stream = TcpStream::connect(place).expect("a connection");
        let request = format!(
            "GET /machine.ipxe?mac=52-54-00-12-34-56 HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, script) = answer.split_once("\r\n\r\n").expect("a whole head");
        script.to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_uki_is_made_only_of_what_one_of_the_keys_has_signed() {
    if !have(&["nix-store"]) {
        return;
    }
    let folder = Scratch::new();
    let [site, other] = ["site-1", "other-1"].map(|name| Key::new(folder.path(), name));
    let netboot = folder.join("netboot");
    directory(&netboot, "a kernel");
    let output = folder.join("machine.efi");
    let uki = |key: &Key| {
        let (is_done, said) = says(&[
            "uki",
            netboot.to_str().expect("a path in text"),
            "--public-key",
            &key.public,
            "--output",
            output.to_str().expect("a path in text"),
        ]);
        assert!(!is_done && !output.exists(), "{said}");
        said
    };
    let refusal = "is not signed by";
    let said = uki(&site);
    assert!(said.contains(refusal), "{said}");
    other.sign(&netboot);
    let said = uki(&site);
    assert!(said.contains(refusal), "{said}");
    // With the right key, it gets as far as the kernel, which is none.
    let said = uki(&other);
    assert!(said.contains("UEFI cannot start it"), "{said}");
}

#[test]
fn a_server_that_insists_serves_only_what_is_signed() {
    if !have(&["nix-store"]) {
        return;
    }
    let scratch = Scratch::new();
    let [ours, theirs] = ["site-1", "other-1"].map(|name| Key::new(scratch.path(), name));
    let [netboot, new, log, rules] =
        ["netboot", "new", "log", "rules.toml"].map(|name| scratch.path().join(name));
    let insists = ["--public-key", &ours.public, "--rules"];
    fs::write(&rules, "default.directory = \"netboot\"\n").expect("rules");
    let arguments = [&insists[..], &[rules.to_str().expect("text")]].concat();

    directory(&netboot, "first");
    theirs.sign(&netboot);
    let mut server = Server::start(&log, &arguments);
    server.wait_for(
        "manifest.json is not signed by a key that is trusted: its signatures are by other-1",
    );
    assert!(!server.process.wait().expect("it ends").success());

    ours.sign(&netboot);
    let mut server = Server::start(&log, &arguments);
    server.wait_for("serving at");
    let first = server.script();
    assert!(first.contains("/bzImage init="), "{first}");

    // What takes its place without a signature is not served; with one, it is.
    directory(&new, "second");
    fs::remove_dir_all(&netboot).expect("removed");
    fs::rename(&new, &netboot).expect("renamed");
    assert_eq!(server.script(), first);
    server.wait_for("there is no manifest.json.sig beside it; machines get what was there before");
    ours.sign(&netboot);
    let second = server.script();
    assert!(second.contains("/bzImage init="), "{second}");
    assert_ne!(second, first);
}
