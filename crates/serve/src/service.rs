//! The server as a service of systemd: sockets that systemd opened, and what systemd is told.
//!
//! Without systemd there are no such sockets, and nobody is told.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use crate::{Desk, lines};

/// How often systemd hears how far the machines are.
const EVERY: Duration = Duration::from_secs(10);

/// A socket of the service manager cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "socket {number} of the service manager is not one that HTTP can listen on ({cause}): name TCP sockets with ListenStream= only"
)]
pub struct BadSocket {
    /// Which, from 1 on.
    number: usize,
    cause: io::Error,
}

/// The TCP sockets that the service manager opened for HTTP (`ListenStream=` of a unit `storeboot-serve.socket`), ready
/// for tokio. There are none where the service manager opened none: then the server opens its own.
///
/// Takes them out of the environment. So it has to be called once, and before the threads of tokio begin, which may read
/// the environment.
///
/// # Errors
/// Where one of them is no TCP socket.
pub fn listeners() -> Result<Vec<TcpListener>, BadSocket> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        let bad = |cause| BadSocket {
            number: index + 1,
            cause,
        };
        if let Some(listener) = passed.take_tcp_listener(index).map_err(bad)? {
            listener.set_nonblocking(true).map_err(bad)?;
            listeners.push(listener);
        }
    }
    Ok(listeners)
}

/// Tells the service manager that machines can boot from now on (`Type=notify`).
pub fn ready() {
    tell(NotifyState::Ready);
}

/// Tells the service manager that the server is ending.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

/// Tells the service manager how far the machines are, as `systemctl status` shows it, until the future is dropped.
pub async fn follow(desk: Arc<Desk>) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        clock.tick().await;
        let summary = lines::summary(&desk.watch.all());
        if summary != told {
            tell(NotifyState::Status(&summary));
            told = summary;
        }
    }
}

fn tell(state: NotifyState<'_>) {
    // A service manager that does not listen is no reason to serve nobody.
    let _ = sd_notify::notify(&[state]);
}
