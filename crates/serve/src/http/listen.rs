//! Takes connections, as many as there may be.

use std::future::Future;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use axum::Router;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::connection::{talk, turn_away};
use super::crew::Crew;
use super::places::Places;
use super::rate::Rate;
use super::wire::Wire;
use super::{Limits, Peer, Shared, router};
use crate::Desk;

/// So many clients that are too many are told so at once. More find the connection closed.
const TURNED_AWAY: usize = 256;
/// So many threads wait for a disk at once.
const DISK: usize = 16;
/// So many bytes of a connection the kernel takes before it sends them: what the processor's cache has room for. With
/// twice as many, one client on the loopback interface was a third slower.
const UNSENT: u32 = 64 << 10;
/// So long no connection is taken after one could not be: there are too many open files, or too little memory.
const PAUSE: Duration = Duration::from_millis(100);
/// After so long without such a failure, the next one is told of again.
const QUIET: Duration = Duration::from_secs(60);

/// Serves what a desk has, and what `more` has, until `stop` ends. Then all connections are closed.
///
/// `more` is what other parts of the server show. Its requests have a [`Peer`] among their extensions, and no body.
///
/// Raises this process's limit of open files as far as it may.
pub async fn serve(
    desk: Arc<Desk>,
    more: Router,
    listeners: Vec<TcpListener>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    raise_file_limit();
    let router = router(Arc::clone(&desk)).merge(more);
    let shared = Arc::new(Shared {
        desk,
        rate: Rate::new(limits.bytes_a_second),
        disk: Semaphore::new(DISK),
        places: Arc::new(Places::new(
            limits.connections,
            limits.connections_of_address,
        )),
        turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
        limits,
    });
    let number = available_parallelism().map_or(1, usize::from);
    let crew = Arc::new(Crew::start(number));
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let (shared, router, crew) = (Arc::clone(&shared), router.clone(), Arc::clone(&crew));
        tasks.spawn(accept(listener, shared, router, crew));
    }
    stop.await;
    // The crew ends when the last that accepts has ended.
    drop(crew);
    tasks.shutdown().await;
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, router: Router, crew: Arc<Crew>) {
    let mut failed: Option<Instant> = None;
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // It comes again with each try, until other connections have ended.
                if failed.is_none_or(|last| last.elapsed() > QUIET) {
                    let told =
                        format!("machines have to wait: no connection can be taken: {error}");
                    shared.desk.sources.tell(&told);
                }
                failed = Some(Instant::now());
                sleep(PAUSE).await;
                continue;
            }
        };
        // Either fails where the client has gone again.
        if let (Ok(local), Ok(stream)) = (stream.local_addr(), stream.into_std()) {
            begin(stream, Peer { remote, local }, &shared, &router, &crew);
        }
    }
}

fn begin(stream: TcpStream, peer: Peer, shared: &Arc<Shared>, router: &Router, crew: &Crew) {
    // Without either, a connection works and is slower: a small answer waits for more, and what lies unsent in the kernel
    // is no longer in the processor's cache when it is sent.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    let wire = {
        let shared = Arc::clone(shared);
        // On the thread of the crew, whose connection it is from now on.
        move || {
            Some(Wire::new(
                tokio::net::TcpStream::from_std(stream).ok()?,
                peer,
                shared,
            ))
        }
    };
    if let Some(place) = shared.places.take(peer.address()) {
        let router = router.clone();
        crew.take(async move {
            if let Some(wire) = wire() {
                talk(wire, router).await;
            }
            drop(place);
        });
    } else if let Ok(place) = Arc::clone(&shared.turned_away).try_acquire_owned() {
        crew.take(async move {
            if let Some(wire) = wire() {
                turn_away(wire).await;
            }
            drop(place);
        });
    }
}

/// Each connection is an open file, and many systems let a process have only 1024 unless it asks for more.
pub(crate) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it may not, fewer connections are open at once.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
