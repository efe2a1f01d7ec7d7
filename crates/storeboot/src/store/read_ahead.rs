//! Walks store paths on a thread of its own, ahead of the packing.
//!
//! With a cold page cache a build mostly waits for the disk: for directories, inodes and the first bytes of each file.
//! This thread waits for them while the others hash and compress what came before.

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{thread, vec};

use rustix::fs::{Advice, fadvise};
use rustix::process::{Resource, getrlimit};
use storeboot_closure::PathInfo;

use crate::store::walk::{OpenFile, Sink, walk};
use crate::{Cancel, Error, Store};

/// Entries in a batch, so that the packing thread is not woken for each of them.
const BATCH: u64 = 64;
/// Full batches that wait, besides the one being filled and the one being taken from.
const BATCHES: usize = 3;
/// Bytes of a file to ask the disk for when it is opened. The kernel reads ahead by itself once the file is read.
const HINT: u64 = 256 << 10;

/// What was found of a store path.
pub(crate) enum Found<'a, K> {
    /// `known` had it, so it was not walked.
    Known(K),
    Walked(Entries<'a, K>),
}

/// What is in a store path, to be packed.
pub(crate) struct Entries<'a, K>(&'a mut Queue<K>);

enum Event<K> {
    Known(K),
    Walked,
    Enter(Vec<u8>),
    Leave,
    File(Vec<u8>, OpenFile),
    Symlink(Vec<u8>, Vec<u8>),
    Failed(Error),
}

/// Hands store paths to `take`, in order. A path for which `known` returns something is not walked; `known` runs on the
/// other thread.
pub(crate) fn for_each<'a, K: Send>(
    store: &Store,
    paths: &[&'a PathInfo],
    cancel: &Cancel,
    known: impl Fn(&PathInfo) -> Option<K> + Send,
    mut take: impl FnMut(&'a PathInfo, Found<'_, K>) -> Result<(), Error>,
) -> Result<(), Error> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BATCHES);
        let work = move || {
            let mut walker = Walker {
                batch: Vec::new(),
                size: batch_size(),
                sender,
                cancel,
            };
            let walked = walk_all(store, paths, known, &mut walker);
            // The receiver is gone only after another error, which is the one to report.
            let _ = walked
                .or_else(|error| walker.send(Event::Failed(error)))
                .and_then(|()| walker.flush());
        };
        let thread = thread::Builder::new().spawn_scoped(scope, work);
        thread.map_err(Error::Threads)?;
        // Dropping it at the end tells the walker to stop.
        let mut queue = Queue {
            batch: Vec::new().into_iter(),
            receiver,
        };
        paths.iter().try_for_each(|info| {
            cancel.check()?;
            let found = match queue.next()? {
                Event::Known(known) => Found::Known(known),
                _ => Found::Walked(Entries(&mut queue)),
            };
            take(info, found)
        })
    })
}

/// Walks store paths into a sink, and calls `done` after each.
pub(crate) fn feed<'a, S: Sink>(
    store: &Store,
    paths: &[&'a PathInfo],
    cancel: &Cancel,
    sink: &mut S,
    mut done: impl FnMut(&'a PathInfo, &S) -> Result<(), Error>,
) -> Result<(), Error> {
    for_each(
        store,
        paths,
        cancel,
        |_| None::<Infallible>,
        |info, found| {
            let Found::Walked(entries) = found;
            sink.begin(info)?;
            entries.feed(sink)?;
            done(info, sink)
        },
    )
}

fn walk_all<K>(
    store: &Store,
    paths: &[&PathInfo],
    known: impl Fn(&PathInfo) -> Option<K>,
    walker: &mut Walker<'_, K>,
) -> Result<(), Error> {
    paths.iter().try_for_each(|info| {
        if let Some(known) = known(info) {
            return walker.send(Event::Known(known));
        }
        walker.send(Event::Walked)?;
        walk(
            &store.locate(info),
            info.path.to_basename().as_bytes(),
            walker,
        )
    })
}

/// Each entry may hold a file open. A process may have 1024 open files on most machines; five batches of 64 take less
/// than a third.
fn batch_size() -> usize {
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (allowed / 16).clamp(1, BATCH) as usize
}

/// The thread that reads ahead.
struct Walker<'a, K> {
    batch: Vec<Event<K>>,
    size: usize,
    sender: SyncSender<Vec<Event<K>>>,
    cancel: &'a Cancel,
}

impl<K> Walker<'_, K> {
    fn send(&mut self, event: Event<K>) -> Result<(), Error> {
        self.batch.push(event);
        self.cancel.check()?;
        if self.batch.len() >= self.size {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(self.size));
        self.sender
            .send(batch)
            .map_err(|_| Error::Inconsistent("the packing thread is gone".into()))
    }
}

impl<K> Sink for Walker<'_, K> {
    fn enter(&mut self, name: &[u8]) -> Result<(), Error> {
        self.send(Event::Enter(name.into()))
    }

    fn leave(&mut self) -> Result<(), Error> {
        self.send(Event::Leave)
    }

    fn file(&mut self, name: &[u8], file: OpenFile) -> Result<(), Error> {
        hint(&file);
        self.send(Event::File(name.into(), file))
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        self.send(Event::Symlink(name.into(), target.into()))
    }
}

/// Asks the disk for a file's beginning without waiting for it. A file system that cannot do that loses only time.
fn hint(file: &OpenFile) {
    if let Some(length) = NonZeroU64::new(file.size.min(HINT)) {
        let _ = fadvise(&file.file, 0, Some(length), Advice::WillNeed);
    }
}

/// What the walker found.
struct Queue<K> {
    batch: vec::IntoIter<Event<K>>,
    receiver: Receiver<Vec<Event<K>>>,
}

impl<K> Queue<K> {
    fn next(&mut self) -> Result<Event<K>, Error> {
        loop {
            match self.batch.next() {
                Some(Event::Failed(error)) => return Err(error),
                Some(event) => return Ok(event),
                None => {}
            }
            let batch = self.receiver.recv();
            self.batch = batch
                .map_err(|_| Error::Inconsistent("the thread that walks is gone".into()))?
                .into_iter();
        }
    }
}

impl<K> Entries<'_, K> {
    /// Feeds the path's entries to a sink.
    pub(crate) fn feed(self, sink: &mut impl Sink) -> Result<(), Error> {
        let mut depth = 0_usize;
        loop {
            match self.0.next()? {
                Event::Enter(name) => {
                    depth += 1;
                    sink.enter(&name)?;
                }
                Event::Leave => {
                    depth -= 1;
                    sink.leave()?;
                }
                Event::File(name, file) => sink.file(&name, file)?,
                Event::Symlink(name, target) => sink.symlink(&name, &target)?,
                Event::Known(_) | Event::Walked | Event::Failed(_) => {
                    return Err(Error::Inconsistent("a store path has no end".into()));
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
