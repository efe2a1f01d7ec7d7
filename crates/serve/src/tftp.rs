//! TFTP, for firmware that knows nothing else: boot loaders, scripts and the files of directories, to read only.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_tftp::packet::Error as Refusal;
use async_tftp::server::{Handler, TftpServerBuilder};
use futures_lite::AsyncRead;

use crate::held::Held;
use crate::{Desk, Directory, Error, Machine, Step, script};

/// The port of TFTP.
pub const PORT: u16 = 69;

/// The port of TFTP, open.
pub struct Tftp {
    socket: std::net::UdpSocket,
}

impl Tftp {
    /// Opens a port.
    ///
    /// # Errors
    /// [`Error::Port`] where it cannot be opened.
    pub fn open(place: SocketAddr) -> Result<Self, Error> {
        let socket = std::net::UdpSocket::bind(place).map_err(|cause| Error::Port {
            what: "TFTP",
            port: place.port(),
            place: place.ip().to_string(),
            cause,
        })?;
        Ok(Self { socket })
    }

    /// Serves until `stop` ends.
    ///
    /// # Errors
    /// Where the socket fails.
    pub async fn serve(self, desk: Arc<Desk>, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let failed = |error: async_tftp::Error| Error::Tftp(error.to_string());
        let server = TftpServerBuilder::with_handler(Reader { desk })
            .std_socket(self.socket)
            .map_err(failed)?
            .build()
            .await
            .map_err(failed)?;
        tokio::select! {
            () = stop => Ok(()),
            ended = server.serve() => ended.map_err(failed),
        }
    }
}

struct Reader {
    desk: Arc<Desk>,
}

impl Handler for Reader {
    type Reader = Content;
    type Writer = futures_lite::io::Sink;

    async fn read_req_open(
        &mut self,
        client: &SocketAddr,
        path: &Path,
    ) -> Result<(Content, Option<u64>), Refusal> {
        let name = path.to_str().ok_or(Refusal::FileNotFound)?;
        let machine = Machine {
            address: Some(client.ip().to_canonical()),
            ..Machine::default()
        };
        let file = name.trim_start_matches('/').to_owned();
        let Some(source) = Source::find(&self.desk, name) else {
            let reason = "it is not on offer by TFTP".into();
            self.desk.watch.saw(&machine, Step::Broken { file, reason });
            return Err(Refusal::FileNotFound);
        };
        self.desk.watch.saw(&machine, Step::Loading { file });
        let size = source.size();
        Ok((Content { source, at: 0 }, Some(size)))
    }

    async fn write_req_open(
        &mut self,
        _client: &SocketAddr,
        _path: &Path,
        _size: Option<u64>,
    ) -> Result<Self::Writer, Refusal> {
        Err(Refusal::PermissionDenied)
    }
}

/// What is read.
enum Source {
    Text(Vec<u8>),
    File(Held),
    Item(Arc<Directory>, String),
}

impl Source {
    /// What has this name: a boot loader's, `/boot.ipxe`, or `/boot/ID/NAME` as by HTTP.
    fn find(desk: &Desk, name: &str) -> Option<Self> {
        let name = name.trim_start_matches('/');
        if name == script::ENTRY.trim_start_matches('/') {
            return Some(Self::Text(script::entry().into()));
        }
        if let Some(loader) = desk.loaders.named(name) {
            return Held::open(&loader.path).ok().map(Self::File);
        }
        let (id, name) = name.strip_prefix("boot/")?.split_once('/')?;
        let directory = desk.offers.get(id)?;
        directory.item(name)?;
        Some(Self::Item(directory, name.into()))
    }

    fn size(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::File(file) => file.size(),
            Self::Item(directory, name) => directory.item(name).map_or(0, |item| item.size()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Text(text) => {
                let rest = usize::try_from(offset).ok().and_then(|at| text.get(at..));
                let rest = rest.unwrap_or_default();
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
            Self::File(file) => file.read_at(buffer, offset).map_err(io::Error::other),
            Self::Item(directory, name) => match directory.item(name) {
                Some(item) => item.read_at(buffer, offset).map_err(io::Error::other),
                None => Ok(0),
            },
        }
    }
}

/// A file on its way.
pub struct Content {
    source: Source,
    at: u64,
}

impl AsyncRead for Content {
    /// Reads at once: what TFTP asks for is a block, which is in the page cache or soon is.
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let count = self.source.read_at(buffer, self.at)?;
        self.at += count as u64;
        Poll::Ready(Ok(count))
    }
}
