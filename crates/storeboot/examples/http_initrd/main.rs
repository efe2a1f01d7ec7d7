//! Serves a netboot directory over HTTP, and appends an archive for the requesting machine to the initrd.
//!
//! ```sh
//! cargo run --release -p storeboot --example http_initrd -- netboot 0.0.0.0:8080
//! ```
//!
//! `/netboot.ipxe`, `/bzImage`, `/initrd` and the other files of the manifest are served unchanged. Below a machine's
//! name, `/web1/netboot.ipxe` and `/web1/bzImage` are the same, and `/web1/initrd` is the initrd with a small archive
//! behind it that holds `/etc/hostname`. The paths in `netboot.ipxe` are relative, so the machine that chains to
//! `/web1/netboot.ipxe` boots as `web1`.
//!
//! The example does not pack the initrd while it sends it. Boot loaders need the length before the first byte, and
//! stage 1 needs the store's hashes, which precede the store in the initrd. Both are known only when packing is
//! complete. The differences between machines are small, and the kernel unpacks any number of concatenated archives. So
//! the initrd is packed once for all machines. A response is that file, or any range of it, and a few hundred bytes
//! from memory. The memory of the server does not grow with the initrd.

mod machine;
mod request;
mod response;

use std::env;
use std::io::{self, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use request::Request;

/// A connection without traffic for this long is closed.
const PATIENCE: Duration = Duration::from_secs(60);
/// After a response, the server waits this long for the client to close the connection.
const LINGER: Duration = Duration::from_secs(30);
/// The number of connections served at a time. The server closes further connections, and boot loaders try again.
const MACHINES: usize = 256;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, address] = arguments.as_slice() else {
        eprintln!("usage: http_initrd NETBOOT_DIRECTORY ADDRESS:PORT");
        return ExitCode::from(2);
    };
    match serve(folder.into(), address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http_initrd: cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(folder: PathBuf, address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    // With port 0, the system chooses a port.
    println!("http://{}/netboot.ipxe", listener.local_addr()?);
    let folder: Arc<Path> = folder.into();
    let served = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        // A client that has closed the connection already does not stop the server.
        let Ok(stream) = stream else { continue };
        if served.fetch_add(1, Ordering::Relaxed) >= MACHINES {
            served.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (folder, served) = (Arc::clone(&folder), Arc::clone(&served));
        thread::spawn(move || {
            if let Err(error) = answer(&stream, &folder) {
                eprintln!("http_initrd: {error}");
            }
            served.fetch_sub(1, Ordering::Relaxed);
        });
    }
    Ok(())
}

/// Answers one request and closes the connection, which all boot loaders accept.
fn answer(stream: &TcpStream, folder: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match Request::read(stream)? {
        Some(request) => response::write(&request, folder, stream)?,
        None => response::refuse(stream, "400 Bad Request", "the request is not valid")?,
    }
    hang_up(stream);
    Ok(())
}

/// Closes the connection without losing the response. Closing a socket with unread input resets the connection, and a
/// reset can overtake the response. So this reads and drops the rest of the input, within limits.
fn hang_up(stream: &TcpStream) {
    // The response is sent, so an error here has no one to report to.
    let _ = stream
        .set_read_timeout(Some(LINGER))
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .and_then(|()| io::copy(&mut stream.take(request::LONGEST), &mut io::sink()));
}
