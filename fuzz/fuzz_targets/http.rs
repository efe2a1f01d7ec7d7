//! The head of an HTTP response, and the place that a redirect names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storeboot_fetch::Url;
use storeboot_fetch::http::{MAX_HEAD, parse_head};

fuzz_target!(|data: &[u8]| {
    let here: Url = "http://store.example/images".parse().expect("a URL");
    if let Ok(text) = core::str::from_utf8(data) {
        if let Ok(url) = text.parse::<Url>() {
            assert_eq!(
                url.to_string().parse(),
                Ok(url),
                "what it shows is the same URL"
            );
        }
        let _: Result<_, _> = here.redirect(text);
    }
    // A head after a right beginning, or most are no HTTP.
    for head in [
        data.to_vec(),
        [b"HTTP/1.1 206 x\r\n".as_slice(), data].concat(),
    ] {
        if let Ok(Some((head, length))) = parse_head(&head) {
            assert!(length <= MAX_HEAD);
            if let Some(location) = head.location {
                let _: Result<_, _> = here.redirect(&location);
            }
        }
    }
});
