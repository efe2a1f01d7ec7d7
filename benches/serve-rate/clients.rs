//! Clients that count what they get.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

/// Whether something listens on a port.
pub fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Loads a file with curl. Returns bytes a second.
pub fn curl(port: u16, path: &str, size: u64) -> Result<f64> {
    let start = Instant::now();
    let output = storeboot_benches::curl(&format!("http://127.0.0.1:{port}{path}"))
        .output()
        .context("install curl")?;
    let seconds = start.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        said.trim() == size.to_string(),
        "curl got {said} of {size} bytes"
    );
    Ok(size as f64 / seconds)
}

/// Loads a file with many clients at once. Returns bytes a second of all together.
pub fn many(number: u32, port: u16, path: &str, size: u64) -> Result<f64> {
    let start = Instant::now();
    let clients: Vec<_> = (0..number)
        .map(|_| {
            let path = path.to_owned();
            thread::spawn(move || load(port, &path, size))
        })
        .collect();
    for client in clients {
        match client.join() {
            Ok(loaded) => loaded?,
            Err(_) => bail!("a client has panicked"),
        }
    }
    Ok(f64::from(number) * size as f64 / start.elapsed().as_secs_f64())
}

/// Loads a file, and checks how much comes.
fn load(port: u16, path: &str, size: u64) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    )?;
    let mut buffer = vec![0; 256 << 10];
    let mut head = Vec::new();
    let body = loop {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the server has closed the connection");
        head.extend_from_slice(&buffer[..count]);
        if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break head.len() - end - 4;
        }
    };
    ensure!(
        head.starts_with(b"HTTP/1.1 200 "),
        "{}",
        String::from_utf8_lossy(&head[..32.min(head.len())])
    );
    let mut got = body as u64;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            count => got += count as u64,
        }
    }
    ensure!(got == size, "{got} instead of {size} bytes came");
    Ok(())
}
