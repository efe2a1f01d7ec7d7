//! The web servers of docs/fleet.md, with Debian's nginx: a server, and a cache before it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use storeboot_tests::command::{Scratch, have, printed};
use storeboot_tests::debian::repository;
use storeboot_tests::nginx::{Nginx, free_ports};
use storeboot_tests::qemu::LIMIT;

/// The size of the cache's slices.
const SLICE: usize = 4 << 20;

/// The two configurations of the page, in order: a server's, and a cache's.
fn configurations() -> [String; 2] {
    let page = fs::read_to_string(repository().join("docs/fleet.md")).expect("the page");
    let blocks = page.split("```nginx\n").skip(1);
    let blocks: Vec<String> = blocks
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect();
    blocks.try_into().expect("two configurations")
}

/// Replaces a text that must be there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from:?} in {text}");
    text.replace(from, to)
}

/// A netboot directory with an image.
struct Files {
    folder: PathBuf,
    image: String,
    bytes: Vec<u8>,
}

impl Files {
    /// An image of a little more than ten slices of the cache.
    fn in_folder(folder: &Path) -> Self {
        let bytes: Vec<u8> = (0..1_320_000_u32)
            .flat_map(|number| Sha256::digest(number.to_le_bytes()))
            .collect();
        let image = format!(
            "images/{}.squashfs",
            HEXLOWER.encode(&Sha256::digest(&bytes))
        );
        fs::create_dir_all(folder.join("images")).expect("a folder");
        fs::write(folder.join(&image), &bytes).expect("an image");
        fs::write(folder.join("netboot.ipxe"), "#!ipxe\n").expect("a script");
        Self {
            folder: folder.to_owned(),
            image,
            bytes,
        }
    }
}

/// The requests for images.
fn of_images(nginx: &Nginx) -> usize {
    let requests = nginx.requests();
    requests
        .iter()
        .filter(|request| request.path.contains("/images/"))
        .count()
}

/// Waits until so many requests for images are in the log: nginx writes a line when the client has its answer already.
fn has_images(nginx: &Nginx, count: usize) {
    let start = Instant::now();
    while of_images(nginx) < count {
        assert!(start.elapsed() < LIMIT, "{:?}", nginx.requests());
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(of_images(nginx), count, "{:?}", nginx.requests());
}

#[test]
fn a_cache_asks_the_server_once() {
    if !have(&["curl"]) {
        return;
    }
    let scratch = Scratch::new();
    let files = Files::in_folder(&scratch.join("netboot"));
    let [server, cache] = configurations();
    let ports: [u16; 2] = free_ports();
    let server = replaced(
        &server,
        "listen 80;",
        &format!("listen 127.0.0.1:{};", ports[0]),
    );
    let server = replaced(
        &server,
        "/srv/netboot",
        files.folder.to_str().expect("text"),
    );
    let cache = replaced(
        &cache,
        "listen 80;",
        &format!("listen 127.0.0.1:{};", ports[1]),
    );
    let cache = replaced(
        &cache,
        "boot.example:80",
        &format!("127.0.0.1:{}", ports[0]),
    );
    let kept = scratch.join("kept");
    let cache = replaced(
        &cache,
        "/var/cache/nginx/netboot",
        kept.to_str().expect("text"),
    );
    let Some(server) = Nginx::start(&scratch.join("server"), ports[0], &server) else {
        return;
    };
    let _cache = Nginx::start(&scratch.join("cache"), ports[1], &cache).expect("it is installed");
    let url = |name: &str| format!("http://127.0.0.1:{}/{name}", ports[1]);

    assert_eq!(fetched(&url(&files.image), files.bytes.len()), files.bytes);
    let slices = files.bytes.len().div_ceil(SLICE);
    has_images(&server, slices);
    assert_eq!(fetched(&url(&files.image), files.bytes.len()), files.bytes);
    has_images(&server, slices);

    let script = url("netboot.ipxe");
    for text in ["#!ipxe\n", "#!ipxe\nanother build\n"] {
        fs::write(files.folder.join("netboot.ipxe"), text).expect("a script");
        assert_eq!(curl(&[&script]), text.as_bytes());
        assert_eq!(cache_control(&script), "no-cache");
    }
    assert_eq!(
        cache_control(&url(&files.image)),
        "public, max-age=31536000, immutable"
    );
}

/// Fetches an image as stage 1 does: runs of chunks, in another order than the image's.
fn fetched(url: &str, size: usize) -> Vec<u8> {
    const RUN: usize = 16 << 20;

    let mut bytes = vec![0; size];
    for start in (0..size).step_by(RUN).rev() {
        let end = size.min(start + RUN);
        let range = format!("{start}-{}", end - 1);
        bytes[start..end].copy_from_slice(&curl(&["--range", &range, url]));
    }
    bytes
}

/// The value of a header of the answer.
fn cache_control(url: &str) -> String {
    let head = String::from_utf8(curl(&["--head", url])).expect("text");
    let mut values = head
        .lines()
        .filter_map(|line| line.strip_prefix("Cache-Control: "));
    values.next().expect("it is there").trim().to_owned()
}

fn curl(arguments: &[&str]) -> Vec<u8> {
    let mut curl = Command::new("curl");
    printed(
        curl.args(["--silent", "--show-error", "--fail"])
            .args(arguments),
    )
}
