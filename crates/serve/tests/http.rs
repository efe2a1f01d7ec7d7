//! The web server as clients see it, good ones and others.

#[path = "http/hostile.rs"]
mod hostile;
#[path = "http/many.rs"]
mod many;
#[path = "http/server.rs"]
mod server;

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use storeboot_serve::http::Limits;
use storeboot_serve::{Rules, Step};

use server::{Answer, KERNEL, Server, noise};
use tokio::sync::broadcast::error::TryRecvError;

/// Long enough for all that the server does here.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn a_file_whole_and_in_parts() {
    let server = Server::start(Limits::default());
    let path = server.path(KERNEL);
    let kernel = fs::read(server.folder().join(KERNEL)).unwrap();
    let whole = server.get(&path);
    assert_eq!(whole.status, 200);
    assert!(whole.body == kernel);
    assert_eq!(whole.header("content-length"), kernel.len().to_string());
    assert_eq!(
        whole.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    let tag = whole.header("etag").to_owned();
    assert_eq!(tag.len(), 66, "a SHA-256 in quotation marks: {tag}");

    let head = server.ask(&format!(
        "HEAD {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    ));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), kernel.len().to_string());

    // One chunk, the last byte, parts around the bytes that go out last, and past the end.
    let end = kernel.len();
    for (first, last) in [
        (1 << 20, (2 << 20) - 1),
        (end - 1, end - 1),
        (end - 5000, end - 1),
        (end - 70_000, end + 9),
    ] {
        let part = server.get_with(&path, &format!("Range: bytes={first}-{last}\r\n"));
        assert_eq!(part.status, 206);
        let last = last.min(end - 1);
        assert_eq!(
            part.header("content-range"),
            format!("bytes {first}-{last}/{end}")
        );
        assert!(part.body == kernel[first..=last], "{first}-{last}");
    }
    let beyond = server.get_with(&path, &format!("Range: bytes={end}-\r\n"));
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, &*format!("bytes */{end}"))
    );
    let same = server.get_with(&path, &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((same.status, same.body.len()), (304, 0));
}

#[test]
fn a_connection_takes_one_request_after_the_other() {
    let server = Server::start(Limits::default());
    let path = server.path("initrd");
    let initrd = fs::read(server.folder().join("initrd")).unwrap();
    let one = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    let nothing = "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n";
    let last =
        format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nRange: bytes=0-9\r\n\r\n");
    // All of them at once, before there is an answer.
    let mut bytes = server.raw(format!("{one}{nothing}{one}{last}").as_bytes());
    let mut bodies = Vec::new();
    while !bytes.is_empty() {
        let (answer, rest) = Answer::read(&bytes);
        bodies.push((answer.status, answer.body));
        bytes = rest;
    }
    let statuses: Vec<u16> = bodies.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 404, 200, 206]);
    assert!(bodies[0].1 == initrd && bodies[2].1 == initrd && bodies[3].1 == initrd[..10]);
}

#[test]
fn a_machine_gets_its_script_and_its_files() {
    let server = Server::start(Limits::default());
    let entry = server.get("/boot.ipxe");
    assert!(entry.text().contains("chain /machine.ipxe?mac="));
    let script =
        server.get("/machine.ipxe?mac=52-54-00-12-34-56&uuid=&serial=&platform=efi&arch=x86_64");
    assert_eq!(
        (script.status, script.header("cache-control")),
        (200, "no-store")
    );
    let kernel = format!(
        "kernel http://boot.example{} init=/nix/store/x/init",
        server.path(KERNEL)
    );
    assert!(script.text().contains(&kernel), "{}", script.text());

    let manifest = server.get(&server.path("manifest.json"));
    assert!(manifest.text().contains("\"bzImage\""));
    server.get(&server.path(KERNEL));
    let progress = server.desk.watch.of("52:54:00:12:34:56").unwrap();
    assert_eq!(progress.platform.as_deref(), Some("UEFI x86-64"));
    assert!(matches!(progress.last.unwrap().step, Step::Loaded { file } if file == KERNEL));
    let size = fs::metadata(server.folder().join(KERNEL)).unwrap().len();
    assert_eq!(progress.files[KERNEL], (size, size));
}

#[test]
fn a_file_that_comes_in_parts_is_loaded_once() {
    let server = Server::start(Limits::default());
    let mut news = server.desk.watch.listen();
    let size = fs::metadata(server.folder().join(KERNEL)).unwrap().len();
    for first in (0..size).step_by(1 << 20) {
        let last = first + (1 << 20) - 1;
        server.get_with(
            &server.path(KERNEL),
            &format!("Range: bytes={first}-{last}\r\n"),
        );
    }
    let steps: Vec<&str> = std::iter::from_fn(|| news.try_recv().ok())
        .map(|sighting| sighting.step.name())
        .collect();
    assert_eq!(steps, ["loading", "loaded"]);
}

#[test]
fn a_machine_for_which_there_is_nothing_is_told_so() {
    let server = Server::start_with(Limits::default(), |_| Rules::default());
    let script = server.get("/machine.ipxe?mac=52-54-00-12-34-56");
    assert_eq!(script.status, 200);
    assert!(
        script
            .text()
            .starts_with("#!ipxe\necho storeboot: no rule "),
        "{}",
        script.text()
    );
    let progress = server.desk.watch.of("52:54:00:12:34:56").unwrap();
    assert!(matches!(progress.last.unwrap().step, Step::Refused { .. }));
}

#[test]
fn a_directory_that_is_broken_is_a_sentence() {
    let server = Server::start(Limits::default());
    fs::write(server.folder().join("manifest.json"), "{").unwrap();
    let script = server.get("/machine.ipxe?mac=52-54-00-12-34-56");
    assert_eq!(script.status, 200);
    // What was good is served on, or the reason is said.
    assert!(script.text().contains("kernel http://") || script.text().contains("manifest.json"));
    assert_eq!(server.get(&server.path("initrd")).status, 200);
}

#[test]
fn an_archive_is_for_one_machine() {
    let server = Server::start_with(Limits::default(), |folder| {
        fs::write(folder.join("keys.cpio"), "secret").unwrap();
        let rules = format!(
            "[default]\ndirectory = {:?}\narchives = [{:?}]\n",
            folder,
            folder.join("keys.cpio")
        );
        Rules::parse(&rules, folder).unwrap()
    });
    let script = server.get("/machine.ipxe?mac=52-54-00-12-34-56");
    let script = script.text();
    let url = script
        .split_whitespace()
        .find(|word| word.contains("/archive/"))
        .unwrap_or_else(|| panic!("{script}"));
    let path = url.strip_prefix("http://boot.example").unwrap();
    let archive = server.get(path);
    assert_eq!(
        (archive.text().as_str(), archive.header("cache-control")),
        ("secret", "no-store")
    );
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let (other, _) =
        Answer::read(&server.raw_from(Ipv4Addr::new(127, 0, 0, 2), request.as_bytes()));
    assert_eq!(other.status, 404);
    assert_eq!(
        server.get(&path.replace("/archive/", "/archive/0")).status,
        404
    );
}

#[test]
fn a_boot_loader_is_served_by_its_name() {
    let server = Server::start(Limits::default());
    let loader = server.get("/loader/undionly.kpxe");
    assert_eq!(loader.text(), "a loader");
    let same = server.get_with(
        "/loader/undionly.kpxe",
        &format!("If-None-Match: {}\r\n", loader.header("etag")),
    );
    assert_eq!(same.status, 304);
    assert_eq!(server.get("/loader/other").status, 404);
}

#[test]
fn a_file_that_is_written_to_never_comes_whole() {
    let server = Server::start(Limits::default());
    let mut news = server.desk.watch.listen();
    let size = fs::metadata(server.folder().join(KERNEL)).unwrap().len() as usize;
    let mut half = server.begin(&server.path(KERNEL));
    let had = half.read(1 << 20);
    fs::write(server.folder().join(KERNEL), noise(size, 9)).unwrap();
    let rest = half.read(usize::MAX);
    assert!(had + rest < size, "{had} and {rest} of {size} bytes");
    let broken = news.blocking_recv_until("broken");
    assert!(
        matches!(&broken, Step::Broken { reason, .. } if reason.contains("it was changed")),
        "{broken:?}"
    );
    // Nobody gets a byte of it from now on.
    let after = server.get(&server.path(KERNEL));
    assert_eq!(after.status, 500);
    assert!(after.text().contains("it was changed"), "{}", after.text());
}

#[test]
fn all_together_keep_to_the_rate() {
    let mut limits = Limits::default();
    limits.bytes_a_second = Some(16 << 20);
    let server = Server::start(limits);
    let size = fs::metadata(server.folder().join(KERNEL)).unwrap().len();
    let start = Instant::now();
    let path = server.path(KERNEL);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(server.get(&path).body.len() as u64, size));
        }
    });
    // At least as long as the rate says, less the burst and the last slice; a slow machine only takes longer.
    let least = Duration::from_secs_f64(2.0 * size as f64 / f64::from(16 << 20))
        - Duration::from_millis(150);
    assert!(
        start.elapsed() >= least,
        "{:?} instead of {least:?}",
        start.elapsed()
    );
}

/// Waits for what the watch tells.
trait Until {
    fn blocking_recv_until(&mut self, name: &str) -> Step;
}

impl Until for tokio::sync::broadcast::Receiver<storeboot_serve::Sighting> {
    fn blocking_recv_until(&mut self, name: &str) -> Step {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            match self.try_recv() {
                Ok(sighting) if sighting.step.name() == name => return sighting.step,
                Ok(_) => {}
                Err(TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => panic!("no {name}: {error}"),
            }
        }
        panic!("no {name} in {LIMIT:?}");
    }
}
