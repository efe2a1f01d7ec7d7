//! Answers what the kernel reads of the images, while they are being fetched. A read of what is not there yet waits.

use alloc::vec::Vec;
use core::time::Duration;

use super::request::{Kind, REQUEST, Request};
use super::there::{Place, There};
use crate::read_at::ReadAt;
use crate::sys::{self, Errno, Fd, Poll};

/// The longest read, in bytes: the kernel's own limit for such devices.
const MAX_READ: u32 = 32 << 20;
/// How often to look whether what a read waits for has come.
const LOOK: Duration = Duration::from_millis(5);

/// How long the chunk of one read comes before those of others. Where it cannot be had, the others go on.
const TURN: Duration = Duration::from_secs(5);

/// An image, and the socket by which the kernel asks for its bytes.
pub(super) struct Export<'a> {
    pub image: usize,
    pub size: u64,
    pub file: &'a Fd,
    pub socket: Fd,
}

/// A read that cannot be answered yet.
struct Waiting {
    /// The number of the image.
    image: usize,
    request: Request,
    since: Duration,
}

/// Answers until the kernel has disconnected all devices. A read waits so long at most, and is an error then.
pub(super) fn serve(exports: Vec<Export<'_>>, there: &There, patience: Duration) {
    let mut server = Server {
        exports,
        there,
        patience,
        waiting: Vec::new(),
        wanted: None,
        wanted_since: Duration::ZERO,
        buffer: Vec::new(),
    };
    while !server.exports.is_empty() {
        server.step();
    }
}

struct Server<'a> {
    exports: Vec<Export<'a>>,
    there: &'a There,
    patience: Duration,
    waiting: Vec<Waiting>,
    /// The chunk that was asked for last.
    wanted: Option<Place>,
    wanted_since: Duration,
    buffer: Vec<u8>,
}

impl Server<'_> {
    /// Takes what the kernel asks for, and answers what can be answered.
    fn step(&mut self) {
        let timeout = (!self.waiting.is_empty()).then_some(LOOK);
        let mut polls: Vec<Poll<'_>> = self
            .exports
            .iter()
            .map(|export| Poll::to_read(&export.socket))
            .collect();
        if sys::poll(&mut polls, timeout).is_err() {
            // The kernel lacks memory for the list. It may have some later.
            sys::sleep(LOOK);
            return;
        }
        let ready: Vec<bool> = polls.iter().map(|poll| poll.ready).collect();
        let mut left = Vec::with_capacity(self.exports.len());
        for (export, ready) in core::mem::take(&mut self.exports).into_iter().zip(ready) {
            if !ready || self.take(&export).is_some() {
                left.push(export);
            }
        }
        self.exports = left;
        self.answer_waiting();
    }

    /// Takes one request. `None` ends the export.
    fn take(&mut self, export: &Export<'_>) -> Option<()> {
        let mut bytes = [0; REQUEST];
        receive_all(&export.socket, &mut bytes).ok()?;
        let request = Request::parse(&bytes)?;
        let end = request.offset.checked_add(request.length.into());
        match request.kind {
            Kind::Disconnect => return None,
            Kind::Read
                if request.length <= MAX_READ && end.is_some_and(|end| end <= export.size) =>
            {
                if self.missing(export.image, &request).is_none() {
                    return self.answer(export, &request);
                }
                self.waiting.push(Waiting {
                    image: export.image,
                    request,
                    since: sys::boot_time(),
                });
            }
            Kind::Read | Kind::Other => {
                let answer = request.answer(Errno::EINVAL.0);
                send_all(&export.socket, &answer).ok()?;
            }
        }
        Some(())
    }

    /// The first chunk of a read that is not there.
    fn missing(&self, image: usize, request: &Request) -> Option<Place> {
        let missing = self
            .there
            .missing(image, request.offset, request.length.into());
        missing.unwrap_or(Some((image, request.offset)))
    }

    /// Answers a read of what is there. `None` ends the export.
    fn answer(&mut self, export: &Export<'_>, request: &Request) -> Option<()> {
        // At most `MAX_READ`, which fits.
        let length = request.length as usize;
        self.buffer.clear();
        self.buffer.extend_from_slice(&request.answer(0));
        let start = self.buffer.len();
        self.buffer.resize(start + length, 0);
        let read = export
            .file
            .read_full(&mut self.buffer[start..], request.offset);
        if read != Ok(length) {
            self.buffer.clear();
            self.buffer.extend_from_slice(&request.answer(Errno::EIO.0));
        }
        send_all(&export.socket, &self.buffer).ok()
    }

    /// Answers the reads whose bytes have come, and those that have waited too long; asks for what the next one needs.
    fn answer_waiting(&mut self) {
        let now = sys::boot_time();
        let mut wanted = None;
        if self.wanted.is_some() && now.saturating_sub(self.wanted_since) >= TURN {
            if let Some(left) = self.waiting.len().checked_sub(1) {
                self.waiting.rotate_right(left);
            }
            self.wanted_since = now;
        }
        for waiting in core::mem::take(&mut self.waiting) {
            let Some(at) = self
                .exports
                .iter()
                .position(|export| export.image == waiting.image)
            else {
                continue;
            };
            let missing = self.missing(waiting.image, &waiting.request);
            let is_over = now.saturating_sub(waiting.since) >= self.patience;
            if missing.is_some() && !is_over {
                wanted = wanted.or(missing);
                self.waiting.push(waiting);
                continue;
            }
            let export = self.exports.swap_remove(at);
            let answered = match missing {
                None => self.answer(&export, &waiting.request),
                Some(_) => {
                    let answer = waiting.request.answer(Errno::EIO.0);
                    send_all(&export.socket, &answer).ok()
                }
            };
            if answered.is_some() {
                self.exports.push(export);
            }
        }
        if wanted != self.wanted && self.there.want(wanted).is_ok() {
            self.wanted = wanted;
            self.wanted_since = now;
        }
    }
}

/// Receives all bytes; the end of the connection before that is an error.
fn receive_all(socket: &Fd, mut buffer: &mut [u8]) -> Result<(), Errno> {
    while !buffer.is_empty() {
        match sys::receive(socket, buffer) {
            Ok(0) => return Err(Errno::EPIPE),
            Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Sends all bytes.
fn send_all(socket: &Fd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match sys::send(socket, bytes) {
            Ok(0) => return Err(Errno::EPIPE),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
