//! Clients that do what they should not.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use storeboot_serve::Step;
use storeboot_serve::http::Limits;

use crate::server::{Answer, KERNEL, Server};
use crate::{LIMIT, Until};

#[test]
fn only_what_the_manifest_names_is_served() {
    let server = Server::start(Limits::default());
    let names = [
        "secret",
        "../secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "./bzImage",
        "bzImage/",
        "bzImage%00",
        "bzImage/../secret",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "",
        "%ff",
        "%",
        "undionly.kpxe",
    ];
    let paths = names.iter().map(|name| server.path(name));
    let more = [
        "/boot/",
        "/boot/..",
        "/boot/0123456789abcdef/bzImage",
        "/loader/../secret",
        "/loader/%2e%2e%2fsecret",
    ];
    for path in paths.chain(more.map(str::to_owned)) {
        let answer = server.get(&path);
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        assert!(!answer.text().contains("secret"), "{path}");
    }
    // What is encoded without need is the same name.
    assert_eq!(server.get(&server.path("bz%49mage")).status, 200);
}

#[test]
fn requests_that_are_none() {
    let server = Server::start(Limits::default());
    let long = "a".repeat(100_000);
    for (request, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /boot.ipxe HTTP/3.0\r\n\r\n".to_owned(), 505),
        (
            format!("GET /boot.ipxe HTTP/1.1\r\nHost: h\r\na: {long}\r\n\r\n"),
            431,
        ),
        (format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"), 431),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
                "a: b\r\n".repeat(5000)
            ),
            431,
        ),
        (
            format!("POST /boot.ipxe HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n{long}"),
            413,
        ),
        (
            "GET /boot.ipxe HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
            413,
        ),
        (
            "DELETE /boot.ipxe HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_owned(),
            405,
        ),
        (
            "GET /machine.ipxe?%ff=%zz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_owned(),
            200,
        ),
    ] {
        let (answer, rest) = Answer::read(&server.raw(request.as_bytes()));
        let start: String = request.chars().take(60).collect();
        assert_eq!((answer.status, rest.len()), (status, 0), "{start:?}");
    }
    assert_eq!(server.get("/boot.ipxe").status, 200);
}

#[test]
fn who_takes_too_long_to_ask_is_told_so() {
    let mut limits = Limits::default();
    limits.head = Duration::from_millis(200);
    let server = Server::start(limits);
    let (answer, _) = Answer::read(&server.raw(b"GET /boot.ipxe HTTP/1.1\r\nHo"));
    assert_eq!(answer.status, 408);
    // Byte by byte, so that the server is never left without one for long.
    let mut stream = server.connect();
    let mut slow = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        while slow.write_all(b"a").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    writer.join().unwrap();
}

#[test]
fn a_silent_connection_is_closed() {
    let mut limits = Limits::default();
    limits.idle = Duration::from_millis(200);
    let server = Server::start(limits);
    assert!(server.raw(b"").is_empty());
    // One that is silent after its answer. On a busy machine, it may be a while before it asks.
    limits = Limits::default();
    limits.idle = Duration::from_secs(5);
    let server = Server::start(limits);
    let (answer, rest) = Answer::read(&server.raw(b"GET /boot.ipxe HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!((answer.status, rest.len()), (200, 0));
}

#[test]
fn a_client_that_reads_nothing_is_dropped() {
    let mut limits = Limits::default();
    limits.stalled = Duration::from_millis(200);
    let server = Server::start(limits);
    let mut news = server.desk.watch.listen();
    let mut half = server.begin(&server.path(KERNEL));
    let broken = news.blocking_recv_until("broken");
    assert!(
        matches!(&broken, Step::Broken { reason, .. } if reason.contains("read nothing")),
        "{broken:?}"
    );
    // The connection is closed: no more than what was on its way can come.
    let size = std::fs::metadata(server.folder().join(KERNEL))
        .unwrap()
        .len() as usize;
    assert!(half.read(usize::MAX) < size);
}

#[test]
fn a_client_that_goes_away_is_noticed() {
    let server = Server::start(Limits::default());
    let mut news = server.desk.watch.listen();
    drop(server.begin(&server.path(KERNEL)));
    let broken = news.blocking_recv_until("broken");
    assert!(
        matches!(&broken, Step::Broken { reason, .. } if reason.contains("has closed")),
        "{broken:?}"
    );
}

#[test]
fn too_many_connections_are_told_to_come_again() {
    let mut limits = Limits::default();
    limits.connections = 2;
    let server = Server::start(limits);
    let mut two = [server.connect(), server.connect()];
    for stream in &mut two {
        stream
            .write_all(b"GET /boot.ipxe HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    }
    let third = server.get("/boot.ipxe");
    assert_eq!((third.status, third.header("retry-after")), (503, "2"));
    drop(two);
    // The server hears of it in a moment.
    let start = Instant::now();
    while server.get("/boot.ipxe").status != 200 {
        assert!(start.elapsed() < LIMIT, "the server is still full");
    }
}
