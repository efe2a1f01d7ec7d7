//! Walks store paths on a thread of its own, ahead of the packing.
//!
//! With a cold page cache most of the time goes by waiting for the disk: for directories, for inodes, for the first bytes of each
//! file. All of that is waited for here while what came before is hashed and compressed.

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{thread, vec};

use rustix::fs::{Advice, fadvise};
use rustix::process::{Resource, getrlimit};
use storeboot_closure::PathInfo;

use crate::store::walk::{OpenFile, Sink, walk};
use crate::{Cancel, Error, Store};

/// Entries that are handed on together, at most, so that no thread is woken for each of them.
const BATCH: u64 = 64;
/// Batches that wait, besides the one that is being filled and the one that is being taken from.
const BATCHES: usize = 3;
/// So much of a file is asked for when it is opened. The kernel reads ahead what comes behind it when it is read.
const HINT: u64 = 256 << 10;

/// What was found of a store path.
pub(crate) enum Found<'a, K> {
    /// It was known, and so not walked.
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

/// Hands paths of a store to `take`, in their order. Those that `known`, on another thread, says something of are not walked.
pub(crate) fn for_each<'a, K: Send>(
    store: &Store,
    paths: &[&'a PathInfo],
    cancel: &Cancel,
    known: impl Fn(&PathInfo) -> Option<K> + Send,
    mut take: impl FnMut(&'a PathInfo, Found<'_, K>) -> Result<(), Error>,
) -> Result<(), Error> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BATCHES);
        scope.spawn(move || {
            let mut walker = Walker {
                batch: Vec::new(),
                size: batch_size(),
                sender,
                cancel,
            };
            let walked = walk_all(store, paths, known, &mut walker);
            // Where nobody is there to take it, something else went wrong before.
            let _ = walked
                .or_else(|error| walker.send(Event::Failed(error)))
                .and_then(|()| walker.flush());
        });
        // It goes at the end, and so tells the walker that no more is wanted.
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

/// Packs paths of a store; `done` is called behind each.
pub(crate) fn feed<S: Sink>(
    store: &Store,
    paths: &[&PathInfo],
    cancel: &Cancel,
    sink: &mut S,
    mut done: impl FnMut(&S) -> Result<(), Error>,
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
            done(sink)
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

/// Each entry may be an open file, and of these a process may have so many: 1024 on most machines, of which five batches of 64 are
/// less than a third.
fn batch_size() -> usize {
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (allowed / 16).clamp(1, BATCH) as usize
}

/// The thread that is ahead.
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
            .map_err(|_| Error::Inconsistent("nobody takes what was walked".into()))
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

/// Has the disk read a file's beginning, and does not wait for it. What cannot do that is read when its turn comes.
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
    /// Hands on what a walk of the path hands on.
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
