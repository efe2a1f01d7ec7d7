//! Sends part of a file, and reports how far it is.

use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::spawn_blocking;

use super::answer::Transfer;
use super::wire::Wire;
use crate::held::Held;
use crate::{Machine, Step, Watch};

/// So many bytes are sent in one turn.
const SLICE: usize = 512 << 10;
/// So many bytes are in memory at once where the kernel cannot send them by itself.
const COPY: usize = 64 << 10;
/// The last bytes, which go out after the file was looked at once more: nobody gets all of an answer that is wrong.
const LAST: u64 = 4 << 10;
/// How often a report is due: after so many bytes, and after so much time.
const REPORT: (u64, Duration) = (1 << 20, Duration::from_millis(250));

/// Sends part of a file.
pub(super) async fn send(wire: &Wire, transfer: Transfer) -> io::Result<()> {
    let watch = &wire.shared().desk.watch;
    let mut report = Report::begin(watch, wire.peer().address(), &transfer);
    let result = pass(wire, &transfer, &mut report).await;
    report.end(result.as_ref().err());
    result
}

async fn pass(wire: &Wire, transfer: &Transfer, report: &mut Report<'_>) -> io::Result<()> {
    let Transfer { held, range, .. } = transfer;
    let mut at = range.start;
    let mut is_sent_by_kernel = true;
    while at < range.end {
        let left = range.end - at;
        let is_last = left <= LAST;
        let most = match is_sent_by_kernel && !is_last {
            true => (left - LAST).min(SLICE as u64),
            false => left.min(COPY as u64),
        };
        let count = wire
            .shared()
            .rate
            .slice(usize::try_from(most).unwrap_or(COPY));
        wire.shared().rate.wait(count).await;
        warm(wire, held, at, count).await?;
        held.check().map_err(io::Error::other)?;
        let end = at + count as u64;
        while is_sent_by_kernel && !is_last && at < end {
            let left = usize::try_from(end - at).unwrap_or(COPY);
            match wire.send_file(held, at, left).await {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    at += count as u64;
                    report.sent(count as u64);
                }
                // Not every file system can do it.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                    is_sent_by_kernel = false
                }
                Err(error) => return Err(error),
            }
        }
        if at < end {
            let mut buffer = vec![0; usize::try_from(end - at).unwrap_or(COPY).min(COPY)];
            let count = held.read_at(&mut buffer, at).map_err(io::Error::other)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer.truncate(count);
            wire.write(&buffer).await?;
            at += count as u64;
            report.sent(count as u64);
        }
    }
    Ok(())
}

/// Brings bytes of a file into memory, on a thread that may wait for the disk, so that those who send do not.
async fn warm(wire: &Wire, held: &Arc<Held>, from: u64, count: usize) -> io::Result<()> {
    let end = from + count as u64;
    if is_warm(held, from) && is_warm(held, end - 1) {
        return Ok(());
    }
    // A disk is not faster for being asked by all at once.
    let Ok(_turn) = wire.shared().disk.acquire().await else {
        return Ok(());
    };
    let held = Arc::clone(held);
    let read = spawn_blocking(move || {
        // The file is shared by clients that are at different places of it, so that the kernel does not see that each
        // goes on where it was. Without this advice it reads less in advance, and no wrong byte.
        let _ = fadvise(
            held.file(),
            from,
            std::num::NonZero::new(4 * SLICE as u64),
            Advice::WillNeed,
        );
        let mut buffer = vec![0; COPY];
        let mut at = from;
        while at < end {
            match held.read_at(&mut buffer, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => at += count as u64,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    });
    read.await.map_err(io::Error::other)?
}

/// Whether a byte of a file can be had without waiting for a disk, as far as the file system can tell.
fn is_warm(held: &Held, at: u64) -> bool {
    let mut byte = [0];
    let read = preadv2(
        held.file(),
        &mut [IoSliceMut::new(&mut byte)],
        at,
        ReadWriteFlags::NOWAIT,
    );
    read != Err(Errno::AGAIN)
}

/// Reports how far a transfer is, and how it ended.
struct Report<'a> {
    watch: &'a Watch,
    machine: Machine,
    address: IpAddr,
    file: Arc<str>,
    size: u64,
    /// Whether all of the file is sent.
    is_whole: bool,
    /// What was sent and not yet reported, and since when.
    unreported: (u64, Instant),
    is_over: bool,
}

impl<'a> Report<'a> {
    fn begin(watch: &'a Watch, address: IpAddr, transfer: &Transfer) -> Self {
        let size = transfer.held.size();
        let report = Self {
            watch,
            machine: Machine {
                address: Some(address),
                ..Machine::default()
            },
            address,
            file: Arc::clone(&transfer.name),
            size,
            is_whole: transfer.range == (0..size),
            unreported: (0, Instant::now()),
            is_over: false,
        };
        if report.is_whole {
            report.saw(Step::Loading {
                file: report.file(),
            });
        }
        report
    }

    fn sent(&mut self, bytes: u64) {
        self.unreported.0 += bytes;
        let (bytes, since) = self.unreported;
        if bytes >= REPORT.0 || since.elapsed() >= REPORT.1 {
            self.flush();
        }
    }

    /// Reports the bytes. Of a file that comes in parts, what the machine has of it says where it begins and ends.
    fn flush(&mut self) {
        let bytes = std::mem::replace(&mut self.unreported, (0, Instant::now())).0;
        if bytes == 0 {
            return;
        }
        let had = self.watch.sent(self.address, &self.file, bytes, self.size);
        if self.is_whole {
            return;
        }
        if had.start == 0 {
            self.saw(Step::Loading { file: self.file() });
        }
        if had.start < self.size && had.end == self.size {
            self.saw(Step::Loaded { file: self.file() });
        }
    }

    fn end(&mut self, error: Option<&io::Error>) {
        self.flush();
        self.is_over = true;
        let file = self.file();
        match error {
            None if self.is_whole => self.saw(Step::Loaded { file }),
            None => {}
            Some(error) => self.saw(Step::Broken {
                file,
                reason: reason(error),
            }),
        }
    }

    fn file(&self) -> String {
        self.file.to_string()
    }

    fn saw(&self, step: Step) {
        self.watch.saw(&self.machine, step);
    }
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(Some(&io::Error::other("the server is ending")));
        }
    }
}

/// Why a transfer is broken, for people.
fn reason(error: &io::Error) -> String {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset => {
            "the machine has closed the connection".into()
        }
        TimedOut => "the machine has read nothing for too long".into(),
        _ => error.to_string(),
    }
}
