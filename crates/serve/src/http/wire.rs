//! The server's end of a connection: it writes answers, and gives up on a client that does not read.

use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::HttpBody;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, DATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use rustix::fs::sendfile;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::Transfer;
use super::{Limits, Peer, Shared, transfer};
use crate::held::Held;

/// A body that is not larger goes out together with its head.
const SMALL: usize = 16 << 10;

/// The server's end of a connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    peer: Peer,
    shared: Arc<Shared>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, peer: Peer, shared: Arc<Shared>) -> Self {
        Self {
            stream,
            peer,
            shared,
        }
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Tells the client that nothing comes after this.
    pub(super) async fn shut(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Writes an answer. Returns whether another can follow on this connection.
    pub(super) async fn answer(
        &mut self,
        mut answer: Response,
        is_head: bool,
        is_kept: bool,
    ) -> io::Result<bool> {
        let transfer = answer.extensions_mut().remove::<Transfer>();
        let (parts, mut body) = answer.into_parts();
        let length = length(&parts.headers).or_else(|| body.size_hint().exact());
        // A body whose length nobody knows ends with the connection.
        let is_kept = is_kept && (length.is_some() || is_head);
        let mut out = head(parts.status, &parts.headers, length, is_kept).into_bytes();
        if is_head || parts.status == StatusCode::NOT_MODIFIED {
            self.write(&out).await?;
            return Ok(is_kept);
        }
        if let Some(transfer) = transfer {
            self.write(&out).await?;
            transfer::send(self, transfer).await?;
            return Ok(is_kept);
        }
        let mut sent = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(io::Error::other)?.into_data() else {
                continue;
            };
            sent += data.len() as u64;
            if out.len() + data.len() > SMALL {
                self.write(&out).await?;
                self.write(&data).await?;
            } else {
                out.extend_from_slice(&data);
                self.write(&out).await?;
            }
            out.clear();
        }
        self.write(&out).await?;
        match length {
            Some(length) if length != sent => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(is_kept),
        }
    }

    /// Writes all of it.
    pub(super) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = self
                .stream
                .async_io(Interest::WRITABLE, || self.stream.try_write(bytes));
            let count = timeout(self.limits().stalled, write).await??;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends bytes of a file, without a copy in this process: as many as the client takes at once.
    pub(super) async fn send_file(
        &self,
        held: &Held,
        from: u64,
        count: usize,
    ) -> io::Result<usize> {
        let send = self.stream.async_io(Interest::WRITABLE, || {
            let mut from = from;
            Ok(sendfile(&self.stream, held.file(), Some(&mut from), count)?)
        });
        timeout(self.limits().stalled, send).await?
    }
}

/// The length that an answer says it has.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The head of an answer.
fn head(status: StatusCode, headers: &HeaderMap, length: Option<u64>, is_kept: bool) -> String {
    let mut head = format!(
        "HTTP/1.1 {} {}\r\n",
        status.as_str(),
        status.canonical_reason().unwrap_or_default()
    );
    // Writing to a string does not fail.
    let mut line = |name: &str, value: &str| {
        let _ = write!(head, "{name}: {value}\r\n");
    };
    for (name, value) in headers {
        let is_ours = [CONTENT_LENGTH, CONNECTION, DATE].contains(name);
        // Those of handlers are text.
        if let (false, Ok(value)) = (is_ours, value.to_str()) {
            line(name.as_str(), value);
        }
    }
    line("date", &httpdate::fmt_http_date(SystemTime::now()));
    if let (Some(length), false) = (length, status == StatusCode::NOT_MODIFIED) {
        line("content-length", &length.to_string());
    }
    if !is_kept {
        line("connection", "close");
    }
    head.push_str("\r\n");
    head
}
