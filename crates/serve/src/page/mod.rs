//! The page that shows how far each machine is, and the same for programs.
//!
//! - `/` is a page without anything from elsewhere. It works without a script, too, and then asks again every five
//!   seconds.
//! - `/live` are server-sent events for the page: what changed, once a second.
//! - `/machines.json` is an object with `machines`, the list of each machine's [`Progress`].
//! - `/metrics` are [`metrics`] for Prometheus.
//!
//! All of it can only be read, and by anybody who reaches the server.

mod html;
mod live;

use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use data_encoding::BASE64;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::watch::millis;
use crate::{Desk, Progress, metrics};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// So many pages can be open at once: each costs a connection and some work once a second.
const SEATS: usize = 32;

/// The browser runs our script and takes our style, and nothing else, even if something got past the escaping.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64.encode(&Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

#[derive(Clone)]
struct Page {
    desk: Arc<Desk>,
    seats: Arc<Semaphore>,
}

/// Answers for the page and for what belongs to it.
pub fn router(desk: Arc<Desk>) -> Router {
    let page = Page {
        desk,
        seats: Arc::new(Semaphore::new(SEATS)),
    };
    Router::new()
        .route("/", get(show))
        .route("/live", get(listen))
        .route("/machines.json", get(machines))
        .route("/metrics", get(numbers))
        .with_state(page)
}

/// What changes at any time is not kept anywhere, and is what we say it is.
fn fresh(kind: &'static str) -> [(HeaderName, &'static str); 3] {
    [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]
}

async fn show(State(page): State<Page>) -> Response {
    let html = html::page(&page.desk.watch.all(), millis(SystemTime::now()));
    let policy = [(CONTENT_SECURITY_POLICY, POLICY.as_str())];
    (fresh("text/html; charset=utf-8"), policy, html).into_response()
}

async fn listen(State(page): State<Page>) -> Response {
    match page.seats.try_acquire_owned() {
        Ok(seat) => live::events(page.desk, seat),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            [(RETRY_AFTER, "10")],
            "too many pages are open\n",
        )
            .into_response(),
    }
}

#[derive(Serialize)]
struct Machines {
    machines: Vec<Progress>,
}

async fn machines(State(page): State<Page>) -> Response {
    let machines = page.desk.watch.all();
    // Text and numbers are always JSON.
    let json = serde_json::to_string(&Machines { machines }).unwrap_or_default();
    (fresh("application/json"), json).into_response()
}

async fn numbers(State(page): State<Page>) -> Response {
    let pages = SEATS - page.seats.available_permits();
    let text = metrics::text(&page.desk, pages);
    (fresh(metrics::CONTENT_TYPE), text).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use super::*;
    use crate::{Loaders, Machine, Offers, Rules, Sources, Step};

    /// Serves the page on a port of its own for as long as the test runs.
    async fn served() -> (Arc<Desk>, SocketAddr) {
        let offers = Arc::new(Offers::default());
        let sources = Sources::new(Arc::clone(&offers));
        let desk = Desk::new(offers, sources, Loaders::default(), Rules::default());
        let desk = Arc::new(desk);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&desk));
        let served = Arc::clone(&desk);
        let limits = crate::http::Limits::default();
        let never = std::future::pending();
        tokio::spawn(crate::http::serve(
            served,
            router,
            vec![listener],
            limits,
            never,
        ));
        (desk, address)
    }

    fn ask(address: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        stream
    }

    /// The head and the body of an answer.
    async fn get(address: SocketAddr, path: &'static str) -> (String, String) {
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            ask(address, path).read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = answer.await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_owned())
    }

    fn machine() -> Machine {
        Machine {
            mac: "52:54:00:12:34:56".parse().ok(),
            address: "192.0.2.7".parse().ok(),
            ..Machine::default()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_page_and_its_numbers() {
        let (desk, address) = served().await;
        let reason = "no rule is for it".to_owned();
        desk.watch.saw(&machine(), Step::Refused { reason });
        let (head, page) = get(address, "/").await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(
            head.contains("content-type: text/html; charset=utf-8"),
            "{head}"
        );
        assert!(
            head.contains("content-security-policy: default-src 'none'"),
            "{head}"
        );
        assert!(page.contains("gets nothing: no rule is for it"), "{page}");
        let (head, json) = get(address, "/machines.json").await;
        assert!(head.contains("content-type: application/json"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let [machine] = &json["machines"].as_array().unwrap()[..] else {
            panic!("one machine: {json}");
        };
        assert_eq!(machine["machine"], "52:54:00:12:34:56");
        assert_eq!(machine["last"]["step"], "refused");
        let (head, numbers) = super::tests::get(address, "/metrics").await;
        assert!(
            head.contains("content-type: text/plain; version=0.0.4"),
            "{head}"
        );
        assert!(numbers.contains("storeboot_serve_steps_total{step=\"refused\"} 1"));
    }

    /// Reads events until one has the text.
    fn read_until(stream: &mut TcpStream, text: &str) -> String {
        let mut read = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the events end without {text}");
            read.extend_from_slice(&buffer[..count]);
            let so_far = String::from_utf8_lossy(&read);
            if so_far.contains(text) {
                return so_far.into_owned();
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_page_hears_what_changes() {
        let (desk, address) = served().await;
        let heard = tokio::task::spawn_blocking(move || {
            let mut stream = ask(address, "/live");
            let first = read_until(&mut stream, "none is loading");
            desk.watch.saw(
                &machine(),
                Step::Told {
                    what: "ipxe.efi".into(),
                },
            );
            (first, read_until(&mut stream, "ipxe.efi"))
        });
        let (first, next) = heard.await.unwrap();
        assert!(first.contains("text/event-stream"), "{first}");
        assert!(first.contains("data: {\"all\":true"), "{first}");
        assert!(next.contains("52:54:00:12:34:56"), "{next}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_number_of_open_pages_has_a_bound() {
        let (_desk, address) = served().await;
        let answers = tokio::task::spawn_blocking(move || {
            let open = |_| {
                let mut stream = ask(address, "/live");
                read_until(&mut stream, "HTTP/1.1 200");
                stream
            };
            let open: Vec<_> = (0..SEATS).map(open).collect();
            let refused = read_until(&mut ask(address, "/live"), "\r\n\r\n");
            drop(open);
            refused
        });
        assert!(answers.await.unwrap().starts_with("HTTP/1.1 503"));
    }
}
