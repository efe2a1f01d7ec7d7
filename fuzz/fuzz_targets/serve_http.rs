//! Requests to the web server, and their ranges and entity tags.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storeboot_serve::http::fuzz;

fuzz_target!(|data: &[u8]| {
    check(data);
    // Most inputs are headers of a request, or the check of its first lines would hide what comes after them.
    check(&[b"GET / HTTP/1.1\r\nHost: h\r\n", data, b"\r\n\r\n"].concat());
    check(
        &[
            b"GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=",
            data,
            b"\r\n\r\n",
        ]
        .concat(),
    );
});

fn check(bytes: &[u8]) {
    if let Some((length, status)) = fuzz(bytes) {
        assert!(length <= bytes.len());
        let statuses: &[u16] = match length {
            0 => &[400, 413, 431, 505],
            _ => &[200, 206, 304, 416],
        };
        assert!(statuses.contains(&status), "{status}");
    }
}
