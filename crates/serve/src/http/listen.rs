//! Takes connections, as many as there may be.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::connection::{talk, turn_away};
use super::rate::Rate;
use super::wire::Wire;
use super::{Limits, Peer, Shared, router};
use crate::Desk;

/// So many clients that are too many are told so at once. More find the connection closed.
const TURNED_AWAY: usize = 256;
/// So many threads wait for a disk at once.
const DISK: usize = 16;
/// So long no connection is taken after one could not be: there are too many open files, or too little memory.
const PAUSE: Duration = Duration::from_millis(100);

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
        places: Arc::new(Semaphore::new(limits.connections)),
        turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
        limits,
    });
    // Whoever has the other end of the channel learns that this one is gone.
    let (_open, closed) = watch::channel(());
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept(
            listener,
            Arc::clone(&shared),
            router.clone(),
            closed.clone(),
        ));
    }
    stop.await;
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    router: Router,
    closed: watch::Receiver<()>,
) {
    loop {
        let Ok((stream, remote)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        // The client may have gone again.
        let Ok(local) = stream.local_addr() else {
            continue;
        };
        begin(
            stream,
            Peer { remote, local },
            &shared,
            &router,
            closed.clone(),
        );
    }
}

fn begin(
    stream: TcpStream,
    peer: Peer,
    shared: &Arc<Shared>,
    router: &Router,
    mut closed: watch::Receiver<()>,
) {
    // A small answer does not wait for a larger one. A kernel that cannot do it sends it a little later.
    let _ = stream.set_nodelay(true);
    let wire = Wire::new(stream, peer, Arc::clone(shared));
    if let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() {
        let router = router.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = talk(wire, router) => {}
                _ = closed.changed() => {}
            }
            drop(place);
        });
    } else if let Ok(place) = Arc::clone(&shared.turned_away).try_acquire_owned() {
        tokio::spawn(async move {
            turn_away(wire).await;
            drop(place);
        });
    }
}

/// Each connection is an open file, and many systems let a process have only 1024 unless it asks for more.
fn raise_file_limit() {
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
