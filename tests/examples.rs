//! Runs the library's examples as their documentation says.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use storeboot_tests::command::{Scratch, bz_image, example, printed, static_program, storeboot};
use storeboot_tests::fixture::{CONTENTS, Fixture, MANY, Manner, Recipe, SYSTEM};

/// Makes a system as NixOS has it, whose kernel is a link to another store path. Leaves out some store paths, since
/// examples are built without optimization and pack slowly.
fn system(without: &[&str]) -> (Scratch, Fixture) {
    const KERNEL: &str = "88888888888888888888888888888888-linux";

    let scratch = Scratch::new();
    let mut recipe = Recipe::new().without(&[MANY, KERNEL]).without(without);
    recipe.file(format!("{KERNEL}/bzImage"), bz_image("6.12.1"));
    recipe.symlink(
        format!("{SYSTEM}/kernel"),
        format!("/nix/store/{KERNEL}/bzImage"),
    );
    recipe.file(
        format!("{SYSTEM}/kernel-params"),
        "loglevel=4 console=ttyS0\n",
    );
    let fixture = recipe.write(scratch.path(), Manner::default());
    fs::write(scratch.join("stage1"), static_program()).expect("a file");
    (scratch, fixture)
}

/// Runs the example that builds a netboot directory. Returns the directory and the example's output.
fn netboot(scratch: &Scratch, fixture: &Fixture) -> (PathBuf, String) {
    let output = scratch.join("netboot");
    let said = printed(
        Command::new(example("netboot_directory"))
            .arg(fixture.root.join("nix/store").join(SYSTEM))
            .arg(scratch.join("stage1"))
            .args([&output, &fixture.path_info, &fixture.root]),
    );
    (output, String::from_utf8(said).expect("text"))
}

#[test]
fn a_closure_is_packed_from_the_cache_the_second_time() {
    let (scratch, fixture) = system(&[]);
    let pack = |image: &Path| {
        let said = printed(
            Command::new(example("pack_closure"))
                .arg(&fixture.path_info)
                .args([image, &scratch.join("cache"), &fixture.root]),
        );
        (
            String::from_utf8(said).expect("text"),
            fs::read(image).expect("an image"),
        )
    };
    let (said, first) = pack(&scratch.join("first.squashfs"));
    assert!(!said.contains(", 0 are new"), "{said}");
    let (said, second) = pack(&scratch.join("second.squashfs"));
    assert!(
        said.ends_with(" came from the cache, 0 are new\n"),
        "{said}"
    );
    assert!(first == second);

    let by_command = scratch.join("by-command.squashfs");
    printed(
        Command::new(storeboot())
            .args([
                "pack",
                "--quiet",
                "--format",
                "squashfs",
                "--compression",
                "zstd:15",
            ])
            .arg("--path-info")
            .arg(&fixture.path_info)
            .arg("--store-root")
            .arg(&fixture.root)
            .arg("--output")
            .arg(&by_command),
    );
    assert!(fs::read(by_command).expect("an image") == first);
}

#[test]
fn a_netboot_directory_is_built_from_a_system() {
    let (scratch, fixture) = system(&[CONTENTS]);
    let (output, said) = netboot(&scratch, &fixture);
    assert!(said.contains("layout in-place"), "{said}");
    let command_line = fs::read_to_string(output.join("kernelAppend")).expect("a file");
    let init = format!("init=/nix/store/{SYSTEM}/init ");
    assert!(command_line.starts_with(&init), "{command_line}");
    assert!(
        command_line
            .trim_end()
            .ends_with("loglevel=4 console=ttyS0"),
        "{command_line}"
    );
    assert_eq!(
        fs::read(output.join("bzImage")).expect("a kernel"),
        bz_image("6.12.1")
    );
}

#[test]
fn an_example_reports_an_error_in_one_sentence() {
    let nowhere = ["nowhere", "nowhere", "nowhere"];
    for (name, prefix) in [
        ("pack_closure", "pack_closure: cannot"),
        ("netboot_directory", "netboot_directory: cannot"),
        ("http_initrd", "usage: http_initrd"),
    ] {
        let scratch = Scratch::new();
        let output = Command::new(example(name))
            .args(nowhere)
            .current_dir(scratch.path())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.starts_with(prefix),
            "{name}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// The example's server, which runs until the end of the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn new(folder: &Path) -> Self {
        let mut child = Command::new(example("http_initrd"))
            .arg(folder)
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_suffix("/netboot.ipxe\n"))
            .unwrap_or_else(|| panic!("{line:?}"))
            .to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("it listens")
    }

    /// Sends a request, and returns the head and the body of the response.
    fn ask(&self, request: &str, headers: &str) -> (String, Vec<u8>) {
        let mut stream = self.connect();
        let request = format!("{request} HTTP/1.1\r\nHost: here\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        Self::answer(stream)
    }

    fn answer(mut stream: TcpStream) -> (String, Vec<u8>) {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let body = answer.split_off(end.expect("an empty line") + 4);
        (String::from_utf8(answer).expect("text"), body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_initrd_is_served_whole_in_part_and_with_an_archive_of_the_machine() {
    let (scratch, fixture) = system(&[CONTENTS]);
    let (folder, _) = netboot(&scratch, &fixture);
    let server = Server::new(&folder);
    let initrd = fs::read(folder.join("initrd")).expect("an initrd");
    let length = |size: usize| format!("\r\nContent-Length: {size}\r\n");

    for name in ["initrd", "bzImage", "netboot.ipxe"] {
        let content = fs::read(folder.join(name)).expect("a file");
        let (head, body) = server.ask(&format!("GET /{name}"), "");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&length(content.len())), "{head}");
        assert!(body == content, "{name}");
    }
    let (head, body) = server.ask("HEAD /initrd?x=1", "");
    assert!(
        head.contains(&length(initrd.len())) && body.is_empty(),
        "{head}"
    );

    let (head, whole) = server.ask("GET /web1/initrd", "");
    assert!(head.contains(&length(whole.len())), "{head}");
    assert!(whole.starts_with(&initrd) && initrd.len() % 4 == 0);
    let mut archive = storeboot_cpio::Reader::new(&whole[initrd.len()..]);
    let mut found = Vec::new();
    while let Some(mut entry) = archive.next_entry().expect("an archive") {
        let name = String::from_utf8_lossy(entry.name()).into_owned();
        let mut content = String::new();
        entry.read_to_string(&mut content).expect("text");
        found.push((name, content));
    }
    let expected = [("etc", ""), ("etc/hostname", "web1\n")];
    assert_eq!(
        found,
        expected.map(|(name, content)| (name.into(), content.into()))
    );
    let (_, kernel) = server.ask("GET /web1/bzImage", "");
    assert_eq!(kernel, bz_image("6.12.1"));

    let size = whole.len();
    let seam = initrd.len();
    for (range, expected) in [
        ("0-0".to_owned(), 0..1),
        (format!("{}-{}", seam - 5, seam + 5), seam - 5..seam + 6),
        (format!("{}-", seam + 7), seam + 7..size),
        (format!("0-{}", u64::MAX), 0..size),
        ("-100".to_owned(), size - 100..size),
    ] {
        let (head, body) = server.ask("GET /web1/initrd", &format!("Range: bytes={range}\r\n"));
        assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
        let told = format!(
            "Content-Range: bytes {}-{}/{size}\r\n",
            expected.start,
            expected.end - 1
        );
        assert!(head.contains(&told), "{range}: {head}");
        assert!(body == whole[expected], "{range}");
    }
    let outside = format!("Range: bytes={size}-\r\n");
    let (head, _) = server.ask("GET /web1/initrd", &outside);
    assert!(head.starts_with("HTTP/1.1 416 "), "{head}");
    // A file that has changed since is sent whole.
    let (head, body) = server.ask("GET /initrd", "Range: bytes=5-9\r\nIf-Range: \"other\"\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200 ") && body == initrd,
        "{head}"
    );
}

#[test]
fn only_the_netboot_directory_is_served() {
    let (scratch, fixture) = system(&[CONTENTS]);
    let (folder, _) = netboot(&scratch, &fixture);
    let server = Server::new(&folder);
    for (request, status) in [
        ("GET /", "404"),
        ("GET /../path-info.json", "404"),
        ("GET //etc/passwd", "404"),
        ("GET /../initrd", "404"),
        ("GET /a.b/initrd", "404"),
        ("GET /-/initrd", "404"),
        ("GET /a/b/initrd", "404"),
        ("POST /initrd", "405"),
        ("GET initrd", "400"),
        ("GET /initrd more", "400"),
        ("nonsense", "400"),
    ] {
        let (head, _) = server.ask(request, "");
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {head}"
        );
    }
    let (head, _) = server.ask("GET /initrd", "no header\r\n");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");

    // The server answers an invalid request before it has read all of it. The unread rest must not reset the
    // connection.
    let mut stream = server.connect();
    stream.write_all(b"nonsense\r\n").expect("sent");
    stream.peek(&mut [0]).expect("an answer");
    thread::sleep(Duration::from_millis(100));
    stream.write_all(b"Host: here\r\n\r\n").expect("sent");
    stream.shutdown(Shutdown::Write).expect("sent");
    let (head, _) = Server::answer(stream);
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");

    // A file that differs from the manifest is not served.
    fs::write(folder.join("initrd"), "short").expect("it can be written");
    let (head, _) = server.ask("GET /initrd", "");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
}
