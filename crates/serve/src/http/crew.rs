//! Threads, each with connections of its own.
//!
//! A connection stays on its thread, as with nginx's workers. tokio's threads take work from each other: whenever there is
//! something to do, a second one wakes up to look for more.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// So many threads of each one of the crew wait for a disk, or for a program.
const BLOCKING: usize = 32;

/// At the end, what these threads do has so long to end by itself: a build that is cancelled removes what is half done.
const END: Duration = Duration::from_secs(3);

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Threads that do jobs until it is dropped: what is not done then is dropped, too.
#[derive(Debug)]
pub(super) struct Crew {
    members: Vec<UnboundedSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    turn: AtomicUsize,
}

/// Waits for the threads, so that the programs that their jobs run have ended, too, and what is half built is removed.
impl Drop for Crew {
    fn drop(&mut self) {
        // A thread ends when nobody can give it a job any more.
        self.members.clear();
        for thread in self.threads.drain(..) {
            // One that panicked has ended.
            let _ = thread.join();
        }
    }
}

impl Crew {
    /// Starts so many threads, or as many as there may be.
    pub(super) fn start(number: usize) -> Self {
        let (members, threads) = (0..number).map_while(|_| member().ok()).unzip();
        Self {
            members,
            threads,
            turn: AtomicUsize::new(0),
        }
    }

    /// Gives a job to the thread whose turn it is. What it registers with tokio, it must register there.
    pub(super) fn take(&self, job: impl Future<Output = ()> + Send + 'static) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let place = turn.checked_rem(self.members.len());
        match place.and_then(|place| self.members.get(place)) {
            // It ends after its sender only.
            Some(member) => drop(member.send(Box::pin(job))),
            None => drop(tokio::spawn(job)),
        }
    }
}

fn member() -> io::Result<(UnboundedSender<Job>, JoinHandle<()>)> {
    let (sender, jobs) = unbounded_channel();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build()?;
    let name = "storeboot-http".to_owned();
    let thread = thread::Builder::new()
        .name(name)
        .spawn(move || work(runtime, jobs))?;
    Ok((sender, thread))
}

fn work(runtime: Runtime, mut jobs: UnboundedReceiver<Job>) {
    runtime.block_on(async {
        while let Some(job) = jobs.recv().await {
            tokio::spawn(job);
        }
    });
    runtime.shutdown_timeout(END);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    #[test]
    fn each_has_its_turn() {
        let crew = Crew::start(2);
        let (sender, names) = channel();
        for _ in 0..4 {
            let sender = sender.clone();
            crew.take(async move { sender.send(thread::current().id()).unwrap() });
        }
        let mut ids: Vec<_> = names.iter().take(4).map(|id| format!("{id:?}")).collect();
        ids.sort();
        assert!(
            ids[0] == ids[1] && ids[2] == ids[3] && ids[1] != ids[2],
            "{ids:?}"
        );
    }

    #[test]
    fn jobs_end_with_the_crew() {
        struct Told(Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        let (sender, ended) = channel();
        let crew = Crew::start(1);
        let told = Told(sender);
        crew.take(async move {
            std::future::pending::<()>().await;
            drop(told);
        });
        drop(crew);
        ended.recv().unwrap();
    }
}
