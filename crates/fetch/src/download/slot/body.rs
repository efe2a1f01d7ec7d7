//! The bytes of an answer, which make chunks.

use alloc::string::ToString;
use core::time::Duration;

use sha2::{Digest, Sha256};

use super::{Failure, Slot, State, Step, Then};
use crate::download::engine::Shared;
use crate::download::{CHUNK_SIZE, Cause, Error, Event, Machine, Sink, Trouble};

impl<C> Slot<C> {
    pub(super) fn receive_body<M: Machine<Connection = C>, S: Sink>(
        &mut self,
        left: Option<u64>,
        keeps_alive: bool,
        shared: &mut Shared<'_>,
        machine: &mut M,
        sink: &mut S,
    ) -> Result<Result<Step, Failure>, Error<S::Error>> {
        let (Some(job), Some(open)) = (&mut self.job, &mut self.connection) else {
            return Ok(Ok(Step::Wait));
        };
        let size = shared.work.size_of(job.image);
        if job.offset == size || left == Some(0) {
            self.end_answer(left == Some(0) && keeps_alive, shared);
            return Ok(Ok(Step::Again));
        }
        let within = job.offset % CHUNK_SIZE;
        let number = shared.work.chunks_of(job.image).start + (job.offset / CHUNK_SIZE) as usize;
        let piece = shared.work.piece(number);
        // Nothing of a chunk may have been there when it was begun.
        if within == 0 && job.current != Some(number) {
            job.current = None;
            self.filled = 0;
            if job.chunks.start == number && !job.chunks.is_empty() {
                job.chunks.start += 1;
                job.current = Some(number);
            } else if job.whole && shared.work.is_missing(number) {
                shared.work.ask(number);
                job.current = Some(number);
            } else {
                let is_over = match job.whole {
                    true => !shared.work.misses_behind(job.image, number),
                    // Another connection took over what follows.
                    false => job.chunks.is_empty(),
                };
                if is_over {
                    self.end_answer(false, shared);
                    return Ok(Ok(Step::Again));
                }
            }
            self.begun = shared.now;
            self.hash = Sha256::new();
        }
        // Both are at most a chunk.
        let rest_of_chunk = piece.size - (within as usize).min(piece.size);
        let want = left.map_or(rest_of_chunk, |left| {
            left.min(rest_of_chunk as u64) as usize
        });
        let to = match job.current {
            Some(_) => self.filled,
            None => 0,
        };
        let Some(buffer) = self.chunk.get_mut(to..to + want) else {
            return Ok(Ok(Step::Wait));
        };
        let early = self.head.get(self.at..).unwrap_or_default();
        let count = if early.is_empty() {
            match machine.receive(&mut open.connection, buffer) {
                Ok(None) => return Ok(Ok(Step::Wait)),
                Ok(Some(0)) if left.is_none() => {
                    let cause = Cause::Size {
                        found: job.offset,
                        expected: size,
                    };
                    return Ok(Err((cause, Then::Later)));
                }
                Ok(Some(0)) => {
                    let cause = Cause::Closed { offset: job.offset };
                    return Ok(Err((cause, Then::Later)));
                }
                Ok(Some(count)) => count.min(want),
                Err(error) => {
                    let cause = Cause::Connection(error.to_string());
                    return Ok(Err((cause, Then::Later)));
                }
            }
        } else {
            let count = early.len().min(want);
            buffer[..count].copy_from_slice(&early[..count]);
            self.at += count;
            count
        };
        self.last_byte = shared.now;
        self.window.bytes += count as u64;
        job.offset += count as u64;
        self.state = State::Body {
            left: left.map(|left| left - count as u64),
            keeps_alive,
        };
        let Some(chunk) = job.current else {
            return Ok(Ok(Step::Again));
        };
        self.hash.update(&buffer[..count]);
        self.filled += count;
        if self.filled < piece.size {
            return Ok(Ok(Step::Again));
        }
        job.current = None;
        let found: [u8; 32] = core::mem::take(&mut self.hash).finalize().into();
        if found == *piece.hash {
            let bytes = self.chunk.get(..piece.size).unwrap_or_default();
            sink.keep(piece.image, piece.offset, bytes)
                .map_err(Error::Sink)?;
            let time = shared.now.saturating_sub(self.begun);
            shared.arrived(chunk, piece.size, job.place, time);
            return Ok(Ok(Step::Again));
        }
        shared.work.give_back(chunk);
        shared.work.wrong(chunk, job.place);
        shared.summary.wrong += 1;
        let offset = piece.offset;
        let trouble = Trouble {
            url: job.url.to_string(),
            cause: Cause::Wrong { offset },
            wait: Some(Duration::ZERO),
        };
        machine.report(Event::Trouble(&trouble));
        if shared.is_wrong_everywhere(chunk) {
            return Err(Error::Wrong {
                path: shared.path(piece.image),
                offset,
                url: trouble.url,
            });
        }
        shared.last = Some(trouble);
        Ok(Ok(Step::Again))
    }
}
