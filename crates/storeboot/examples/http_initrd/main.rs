//! Serves a netboot directory over HTTP, and behind the initrd an archive that is made for the machine that asks.
//!
//! ```sh
//! cargo run --release -p storeboot --example http_initrd -- netboot 0.0.0.0:8080
//! ```
//!
//! `/netboot.ipxe`, `/bzImage`, `/initrd` and whatever else the manifest names are the files as they are. Below a machine's name,
//! `/web1/netboot.ipxe` and `/web1/bzImage` are the same, and `/web1/initrd` is the initrd with a small archive behind it that
//! holds `/etc/hostname`. The paths in `netboot.ipxe` are relative, so the machine that chains to `/web1/netboot.ipxe` boots as `web1`.
//!
//! Why so, and not with an initrd that is made while it is sent: boot loaders need its length before its first byte, and
//! stage 1 needs the store's hashes, which come before the store. Both are there only when all is packed. What differs from
//! machine to machine is small, and the kernel unpacks any number of archives one behind the other. So one file is packed,
//! once, for everybody, and the response is that file and a few hundred bytes from memory: any range of it, too, and
//! at the cost of no memory for any number of machines.

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

/// Who says nothing for so long is hung up on.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who has its answer and does not hang up is waited for so long.
const LINGER: Duration = Duration::from_secs(30);
/// Machines that are served at once; further ones wait, or try again.
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
    // With port 0 the system chooses one.
    println!("http://{}/netboot.ipxe", listener.local_addr()?);
    let folder: Arc<Path> = folder.into();
    let served = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        // Somebody who is gone already is no reason to stop.
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

/// One request, one answer; then the connection ends, which boot loaders are content with.
fn answer(stream: &TcpStream, folder: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match Request::read(stream)? {
        Some(request) => response::write(&request, folder, stream)?,
        None => response::refuse(stream, "400 Bad Request", "this is no request")?,
    }
    hang_up(stream);
    Ok(())
}

/// Lets the other side read to the end. To close while something that it sent is unread would reset the connection, and
/// a reset can overtake the answer: so what still comes is taken and thrown away, within limits.
fn hang_up(stream: &TcpStream) {
    // The answer is out, and whoever is gone by now has it or does not want it: there is nobody to tell of an error.
    let _ = stream
        .set_read_timeout(Some(LINGER))
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .and_then(|()| io::copy(&mut stream.take(request::LONGEST), &mut io::sink()));
}
