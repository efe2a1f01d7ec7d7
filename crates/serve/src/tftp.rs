//! TFTP: for firmware that knows nothing else. Read only, and only what is on offer.
//!
//! async-tftp has the protocol: RFC 1350 with block sizes (2348), the size of the file (2349) and windows (7440). Numbers
//! of blocks begin again at 0, so that no file is too long.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_tftp::packet::Error as Refusal;
use async_tftp::server::{Handler, TftpServerBuilder};
use futures_util::io::{AsyncRead, Sink};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::held::Held;
use crate::{Desk, Error, Machine, Reach, Step, dhcp, script};

/// So many files may be under way at once.
const MAX_TRANSFERS: usize = 1024;
/// So much of a block goes into one Ethernet frame: firmware does not put fragments together.
const MAX_BLOCK: u16 = 1468;
/// So many blocks may be on the way without an answer.
const MAX_WINDOW: u16 = 32;
/// After this, a block that is not answered is sent again,
const TIMEOUT: Duration = Duration::from_secs(1);
/// so many times.
const RETRIES: u32 = 30;
/// So much of a file is read at once.
const CHUNK: u64 = 32 << 10;
/// After the socket failed, the next try waits so long.
const PAUSE: Duration = Duration::from_millis(100);

/// The port of TFTP.
pub const PORT: u16 = 69;

/// A port of TFTP, open.
#[derive(Debug)]
pub struct Tftp {
    socket: UdpSocket,
}

impl Tftp {
    /// Opens a port at an address of this machine, or at all of them. At all of them, answers come from the address that
    /// the route to a machine begins at, and not from the one that it asked.
    ///
    /// # Errors
    /// [`Error::Port`] where it cannot be opened.
    pub fn open(place: SocketAddr) -> Result<Self, Error> {
        let socket = UdpSocket::bind(place).map_err(|cause| Error::Port {
            what: "TFTP",
            port: place.port(),
            place: place.ip().to_string(),
            cause,
        })?;
        Ok(Self { socket })
    }

    /// Serves what a desk has until `stop` ends: boot loaders by their name, `boot/ID/NAME` as by HTTP, and `boot.ipxe`,
    /// which chains to the script by HTTP, which is where `http` says.
    ///
    /// # Errors
    /// Where the socket cannot be used.
    pub async fn serve(
        self,
        desk: Arc<Desk>,
        http: Reach,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        tokio::select! {
            end = self.run(desk, http) => end.map_err(Error::Tftp),
            () = stop => Ok(()),
        }
    }

    async fn run(&self, desk: Arc<Desk>, http: Reach) -> io::Result<()> {
        let places = Arc::new(Semaphore::new(MAX_TRANSFERS));
        loop {
            let offer = Offer {
                desk: Arc::clone(&desk),
                http: http.clone(),
                places: Arc::clone(&places),
            };
            let server = TftpServerBuilder::with_handler(offer)
                .std_socket(self.socket.try_clone()?)
                .map_err(io::Error::other)?
                .block_size_limit(MAX_BLOCK)
                .window_size_limit(MAX_WINDOW)
                .timeout(TIMEOUT)
                .ignore_client_timeout()
                .max_send_retries(RETRIES);
            let server = server.build().await.map_err(io::Error::other)?;
            // It ends only where the socket fails. The network may come back.
            let _ = server.serve().await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

struct Offer {
    desk: Arc<Desk>,
    http: Reach,
    places: Arc<Semaphore>,
}

impl Handler for Offer {
    type Reader = Reader;
    type Writer = Sink;

    async fn read_req_open(
        &mut self,
        client: &SocketAddr,
        path: &Path,
    ) -> Result<(Reader, Option<u64>), Refusal> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let busy = "too many files are under way";
            return Err(Refusal::Msg(busy.into()));
        };
        let name = path.to_str().unwrap_or_default().trim_start_matches('/');
        let content = self.find(name, client).await.ok_or(Refusal::FileNotFound)?;
        let reader = Reader::new(content, Arc::clone(&self.desk), client.ip(), place);
        let size = reader.size;
        Ok((reader, Some(size)))
    }

    async fn write_req_open(
        &mut self,
        _: &SocketAddr,
        _: &Path,
        _: Option<u64>,
    ) -> Result<Sink, Refusal> {
        Err(Refusal::PermissionDenied)
    }
}

/// What a name stands for.
enum Content {
    Text(String),
    File { name: String, held: Arc<Held> },
}

impl Offer {
    async fn find(&self, name: &str, client: &SocketAddr) -> Option<Content> {
        if name == script::ENTRY.trim_start_matches('/') {
            let http = self.http.for_machine(local_for(client)?);
            let url = dhcp::url(*http.ip(), http.port(), script::ENTRY);
            return Some(Content::Text(format!("#!ipxe\nchain {url}\n")));
        }
        if let Some((id, name)) = name
            .strip_prefix("boot/")
            .and_then(|rest| rest.split_once('/'))
        {
            let directory = self.desk.offers.get(id)?;
            if name == "manifest.json" {
                return directory.manifest().to_json().ok().map(Content::Text);
            }
            return Some(Content::File {
                name: name.into(),
                held: Arc::clone(directory.item(name)?.held()),
            });
        }
        let loader = self.desk.loaders.named(name)?;
        let path = loader.path.clone();
        let held = spawn_blocking(move || Held::open(&path)).await.ok()?;
        Some(Content::File {
            name: loader.name.clone(),
            held: Arc::new(held.ok()?),
        })
    }
}

/// The address from which this machine speaks to a client.
fn local_for(client: &SocketAddr) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Nothing is sent: the kernel only looks up the route.
    socket.connect(client).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// A file on its way to a client. The watch hears of it when the client has taken more than the first block: firmware
/// often asks for a file only to learn its size.
struct Reader {
    desk: Arc<Desk>,
    address: IpAddr,
    /// The file, with its name. A text is in the buffer from the beginning.
    file: Option<(String, Arc<Held>)>,
    size: u64,
    /// What was read from the file, how much of that the client was given, and how much of the file altogether.
    buffer: Vec<u8>,
    given: usize,
    offset: u64,
    reading: Option<JoinHandle<Result<Vec<u8>, Error>>>,
    state: State,
    failure: Option<String>,
    /// It is one of those that may be under way.
    _place: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Asked,
    FirstBlock,
    Loading,
}

impl Reader {
    fn new(
        content: Content,
        desk: Arc<Desk>,
        address: IpAddr,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let (buffer, file) = match content {
            Content::Text(text) => (text.into_bytes(), None),
            Content::File { name, held } => (Vec::new(), Some((name, held))),
        };
        let size = file
            .as_ref()
            .map_or(buffer.len() as u64, |(_, held)| held.size());
        Self {
            desk,
            address,
            file,
            size,
            buffer,
            given: 0,
            offset: 0,
            reading: None,
            state: State::Asked,
            failure: None,
            _place: place,
        }
    }

    /// Takes down what the client's machine does with a file.
    fn saw(&self, step: impl FnOnce(String) -> Step) {
        if let Some((name, _)) = &self.file {
            let machine = Machine {
                address: Some(self.address),
                ..Machine::default()
            };
            self.desk.watch.saw(&machine, step(name.clone()));
        }
    }

    /// Fills the buffer with what comes next in the file.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((_, held)) = &self.file else {
            return Poll::Ready(Ok(()));
        };
        let offset = self.offset;
        let length = (self.size - offset).min(CHUNK);
        let reading = self.reading.get_or_insert_with(|| {
            let held = Arc::clone(held);
            spawn_blocking(move || {
                let mut chunk = vec![0; length as usize];
                let count = held.read_at(&mut chunk, offset)?;
                chunk.truncate(count);
                Ok(chunk)
            })
        });
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let chunk = match read {
            Ok(Ok(chunk)) if !chunk.is_empty() => chunk,
            Ok(Ok(_)) => return Poll::Ready(Err(self.fail("the file ends too early".into()))),
            Ok(Err(error)) => return Poll::Ready(Err(self.fail(error.to_string()))),
            Err(_) => return Poll::Ready(Err(self.fail("the server is ending".into()))),
        };
        self.buffer = chunk;
        self.given = 0;
        Poll::Ready(Ok(()))
    }

    fn fail(&mut self, reason: String) -> io::Error {
        self.failure = Some(reason.clone());
        io::Error::other(reason)
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        block: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.state == State::FirstBlock && this.offset < this.size {
            this.state = State::Loading;
            this.saw(|file| Step::Loading { file });
        }
        if this.given == this.buffer.len() && this.offset < this.size {
            ready!(this.poll_fill(context))?;
        }
        let rest = this.buffer.get(this.given..).unwrap_or_default();
        let count = rest.len().min(block.len());
        for (to, from) in block.iter_mut().zip(rest) {
            *to = *from;
        }
        this.given += count;
        this.offset += count as u64;
        if this.state == State::Asked {
            this.state = State::FirstBlock;
        }
        if let Some((name, _)) = &this.file {
            let count = count as u64;
            this.desk.watch.sent(this.address, name, count, this.size);
        }
        Poll::Ready(Ok(count))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let step = match (self.failure.take(), self.offset >= self.size, self.state) {
            (Some(reason), ..) => Some(reason),
            (None, true, _) => return self.saw(|file| Step::Loaded { file }),
            (None, false, State::Loading) => Some("the client went away".into()),
            // It asked for the size.
            (None, false, _) => None,
        };
        if let Some(reason) = step {
            self.saw(|file| Step::Broken { file, reason });
        }
    }
}

#[cfg(test)]
#[path = "tftp_tests.rs"]
mod tests;
