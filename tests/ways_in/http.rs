//! A web server for one folder, with the part of HTTP/1.1 that boot loaders use.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// What may go wrong with an answer.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The server says that it cannot serve now.
    Unavailable,
    /// The connection ends in the middle of the file.
    CutOff,
}

/// A server, which runs as long as the test's process does.
pub struct Server {
    port: u16,
    content: Arc<Content>,
}

struct Content {
    folder: PathBuf,
    /// One more file: its name and its content.
    extra: (&'static str, String),
    /// A fault that occurs once, and the name of its file.
    fault: Mutex<Option<(&'static str, Fault)>>,
    /// The requested names, in order.
    asked: Mutex<Vec<String>>,
}

impl Server {
    /// Serves the folder and one more file. The first request for the file of `fault` fails in that way.
    pub fn start(
        folder: &Path,
        name: &'static str,
        text: impl Into<String>,
        fault: Option<(&'static str, Fault)>,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let content = Arc::new(Content {
            folder: folder.to_owned(),
            extra: (name, text.into()),
            fault: Mutex::new(fault),
            asked: Mutex::default(),
        });
        let served = Arc::clone(&content);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A boot loader may let go of its connection whenever it likes, and begin another one.
                let Ok(stream) = stream else { continue };
                let served = Arc::clone(&served);
                thread::spawn(move || served.serve(&stream));
            }
        });
        Self { port, content }
    }

    /// Where a file is, as a machine behind QEMU's user network sees it.
    pub fn url(&self, name: &str) -> String {
        format!("http://10.0.2.2:{}/{name}", self.port)
    }

    /// Returns the names requested until now, each once, in order.
    pub fn asked(&self) -> Vec<String> {
        let mut names = self
            .content
            .asked
            .lock()
            .expect("no server panicked")
            .clone();
        names.dedup();
        names
    }
}

impl Content {
    /// Answers one request after the other.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        while let Some(request) = lines.next().transpose()? {
            let mut range = None;
            for header in lines.by_ref() {
                match header?.to_ascii_lowercase() {
                    end if end.is_empty() => break,
                    header => {
                        range = range.or(header.strip_prefix("range: bytes=").map(str::to_owned))
                    }
                }
            }
            let mut words = request.split(' ');
            let method = words.next().unwrap_or_default();
            let name = words.next().unwrap_or_default().trim_start_matches('/');
            self.answer(stream, method, name, range.as_deref())?;
        }
        Ok(())
    }

    fn answer(
        &self,
        mut stream: &TcpStream,
        method: &str,
        name: &str,
        range: Option<&str>,
    ) -> io::Result<()> {
        self.asked
            .lock()
            .expect("no server panicked")
            .push(name.to_owned());
        let (status, whole) = match self.read(name) {
            Some(bytes) => ("200 OK", bytes),
            None => ("404 Not Found", Vec::new()),
        };
        let fault = self.fault(name);
        let (status, whole) = match fault {
            Some(Fault::Unavailable) => ("503 Service Unavailable", Vec::new()),
            _ => (status, whole),
        };
        let size = whole.len();
        let part = range.and_then(|range| {
            let (first, last) = range.split_once('-')?;
            let end = last.parse().map_or(size, |last: usize| last + 1);
            whole.get(first.parse().ok()?..end.min(size))
        });
        let (status, body) = match part {
            Some(part) => ("206 Partial Content", part),
            None => (status, &whole[..]),
        };
        let length = body.len();
        let mut head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nAccept-Ranges: bytes\r\n");
        if let Some(range) = range.filter(|_| part.is_some()) {
            head += &format!("Content-Range: bytes {range}/{size}\r\n");
        }
        head += "\r\n";
        // Send the head in one piece: some boot loaders do not join the pieces of a line.
        stream.write_all(head.as_bytes())?;
        match fault {
            _ if method == "HEAD" => Ok(()),
            Some(Fault::CutOff) => {
                stream.write_all(&body[..length / 2])?;
                stream.shutdown(Shutdown::Both)
            }
            _ => stream.write_all(body),
        }
    }

    /// Takes the fault, if this request must fail.
    fn fault(&self, name: &str) -> Option<Fault> {
        let mut next = self.fault.lock().expect("no server panicked");
        let (_, fault) = next.take_if(|(file, _)| *file == name)?;
        Some(fault)
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        if name == self.extra.0 {
            return Some(self.extra.1.clone().into_bytes());
        }
        let path = self.folder.join(name);
        (!name.contains("..") && path.is_file()).then(|| fs::read(path).expect("a file to serve"))
    }
}
