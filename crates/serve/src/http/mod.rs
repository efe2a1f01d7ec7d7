//! HTTP: the scripts, the files of directories, and the boot loaders.
//!
//! [`serve`] takes connections. axum knows which path is whose, and httparse reads requests. What is between them is our
//! own and small, since no request has a body. It is not hyper: hyper takes the bytes of an answer from the memory of this
//! process, so that each is copied twice. Over the loopback interface, a server with hyper took several times the processor
//! time of nginx, for which the kernel sends a file by itself with sendfile(2). So does this server.
//! `make bench-serve` compares it with nginx.

mod answer;
mod archives;
mod connection;
mod crew;
mod head;
mod listen;
pub(crate) mod machine;
mod places;
mod range;
mod rate;
mod transfer;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use answer::{ASK, Content, FOR_EVER, NEVER, Source, answer};
use archives::Archives;
pub(crate) use listen::raise_file_limit;
pub use listen::serve;
use places::Places;
use rate::Rate;

use crate::held::Held;
use crate::text::Text;
use crate::{Desk, script};

const SCRIPT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";
const JSON: &str = "application/json";

/// What clients may do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// So many connections may be open at once. More are told to come again (503).
    pub connections: usize,
    /// So many of them may have the same address, or be in the same IPv6 network of 64 bits. A machine has up to five at
    /// once, and hundreds of machines may be behind one address.
    pub connections_of_address: usize,
    /// So long a client may take to send the head of a request, from its first byte on.
    pub head: Duration,
    /// So long a connection may be open without a request.
    pub idle: Duration,
    /// So long a client may read nothing of an answer.
    pub stalled: Duration,
    /// So many bytes a second the files of all answers together may have.
    pub bytes_a_second: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_of_address: 2048,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stalled: Duration::from_secs(60),
            bytes_a_second: None,
        }
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's end.
    pub remote: SocketAddr,
    /// The server's end.
    pub local: SocketAddr,
}

impl Peer {
    /// The client's address: that of IPv4 where it came to a socket of IPv6.
    pub fn address(self) -> IpAddr {
        self.remote.ip().to_canonical()
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    desk: Arc<Desk>,
    limits: Limits,
    rate: Rate,
    /// Who waits for a disk.
    disk: Semaphore,
    /// Who is connected.
    places: Arc<Places>,
    /// Who is told that there are too many.
    turned_away: Arc<Semaphore>,
}

/// What the answers need.
#[derive(Debug)]
struct Site {
    desk: Arc<Desk>,
    archives: Archives,
}

/// What is served of a desk. Each request has a [`Peer`] among its extensions.
fn router(desk: Arc<Desk>) -> Router {
    let site = Site {
        desk,
        archives: Archives::default(),
    };
    Router::new()
        .route(script::ENTRY, get(entry))
        .route(script::MACHINE, get(own))
        .route("/boot/{id}/{*name}", get(file))
        .route("/archive/{token}/{name}", get(archive))
        .route("/loader/{name}", get(loader))
        .with_state(Arc::new(site))
}

type Own = State<Arc<Site>>;

async fn entry(method: Method, headers: HeaderMap) -> Response {
    static ENTRY: LazyLock<Text> = LazyLock::new(|| Text::new(script::entry()));
    text(&method, &headers, &ENTRY, SCRIPT, ASK)
}

async fn own(
    State(site): Own,
    Extension(peer): Extension<Peer>,
    Query(query): Query<Vec<(String, String)>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let machine = machine::machine(&query, peer);
    machine::own_script(&site, &method, &headers, peer, machine).await
}

async fn file(
    State(site): Own,
    Path((id, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Some(directory) = site.desk.offers.get(&id) else {
        return nothing();
    };
    if name == "manifest.json" {
        return text(&method, &headers, directory.text(), JSON, FOR_EVER);
    }
    let Some(item) = directory.item(&name) else {
        return nothing();
    };
    if let Err(error) = item.check() {
        return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response();
    }
    let (held, tag) = (Arc::clone(item.held()), Some(item.sha256().into()));
    binary(&method, &headers, name, held, tag, FOR_EVER)
}

async fn archive(
    State(site): Own,
    Extension(peer): Extension<Peer>,
    Path((token, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Some(held) = site.archives.get(peer.address(), &token, &name) else {
        return nothing();
    };
    binary(&method, &headers, name, held, None, NEVER)
}

async fn loader(
    State(site): Own,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Some(loader) = site.desk.loaders.named(&name) else {
        return nothing();
    };
    let path = loader.path.clone();
    let Ok(Ok(held)) = spawn_blocking(move || Held::open(&path)).await else {
        return nothing();
    };
    let tag = Some(held.tag());
    binary(&method, &headers, name, Arc::new(held), tag, ASK)
}

fn binary(
    method: &Method,
    headers: &HeaderMap,
    name: String,
    held: Arc<Held>,
    tag: Option<String>,
    cache: &'static str,
) -> Response {
    let content = Content {
        bytes: Source::File {
            held,
            name: name.into(),
        },
        tag,
        media: BINARY,
        cache,
    };
    answer(method, headers, content)
}

fn text(
    method: &Method,
    headers: &HeaderMap,
    text: &Text,
    media: &'static str,
    cache: &'static str,
) -> Response {
    let content = Content {
        tag: Some(text.sha256().into()),
        bytes: Source::Text(text.bytes()),
        media,
        cache,
    };
    answer(method, headers, content)
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "There is nothing here.\n").into_response()
}

/// Reads bytes as a request, and answers it with a text: for the fuzzer. Returns the bytes of the request's head and the
/// status of the answer, or `None` where there is more to come.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) -> Option<(usize, u16)> {
    match head::parse(bytes) {
        Ok(None) => None,
        Err(status) => Some((0, status.as_u16())),
        Ok(Some(head)) => {
            let (method, headers) = (head.request.method(), head.request.headers());
            let words = Text::new("all that is served".into());
            let answer = text(method, headers, &words, SCRIPT, ASK);
            Some((head.length, answer.status().as_u16()))
        }
    }
}
