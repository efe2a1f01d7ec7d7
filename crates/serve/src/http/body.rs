//! The body of an answer that is part of a file.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};

use super::answer::Transfer;
use crate::{Desk, Error, Machine, Step};

const SLICE: u64 = 64 << 10;

pub(super) struct FileBody {
    transfer: Transfer,
    desk: Arc<Desk>,
    machine: Machine,
    address: IpAddr,
    error: Option<String>,
}

impl FileBody {
    pub(super) fn new(transfer: Transfer, desk: Arc<Desk>, address: IpAddr) -> Body {
        let machine = Machine {
            address: Some(address),
            ..Machine::default()
        };
        let file = transfer.name.to_string();
        desk.watch.saw(&machine, Step::Loading { file });
        Body::new(Self {
            transfer,
            desk,
            machine,
            address,
            error: None,
        })
    }

    fn next(&mut self) -> Result<Bytes, Error> {
        let range = &mut self.transfer.range;
        let count = (range.end - range.start).min(SLICE);
        let mut buffer = vec![0; count as usize];
        let count = self.transfer.held.read_at(&mut buffer, range.start)?;
        buffer.truncate(count);
        range.start += count as u64;
        self.desk.watch.sent(
            self.address,
            &self.transfer.name,
            count as u64,
            self.transfer.held.size(),
        );
        Ok(buffer.into())
    }
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.transfer.range.is_empty() {
            return Poll::Ready(None);
        }
        let next = self.next();
        if let Err(error) = &next {
            self.error = Some(error.to_string());
        }
        Poll::Ready(Some(next.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.transfer.range.end - self.transfer.range.start)
    }
}

impl Drop for FileBody {
    fn drop(&mut self) {
        let file = self.transfer.name.to_string();
        let step = match self.transfer.range.is_empty() {
            true => Step::Loaded { file },
            false => Step::Broken {
                file,
                reason: self
                    .error
                    .take()
                    .unwrap_or_else(|| "the client went away".into()),
            },
        };
        self.desk.watch.saw(&self.machine, step);
    }
}
