//! A web server for one folder, with the part of HTTP/1.1 that boot loaders and stage 1 use, and with faults.
//!
//! ```no_run
//! use storeboot_tests::http::{Fault, Site};
//!
//! let server = Site::of("netboot").fault("images/", 1, Fault::CutOff).serve();
//! // As a machine behind QEMU's user network sees it.
//! println!("{}", server.url("netboot.ipxe"));
//! ```

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// The size of the pieces in which a body is sent.
const PIECE: usize = 64 << 10;

/// What may go wrong with an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The server says that it cannot serve now, and after how many seconds to ask again.
    Unavailable(Option<u32>),
    /// The connection ends in the middle of the body.
    CutOff,
    /// The server takes the request and never answers.
    Silent,
    /// The server sends the body at one byte a second.
    Trickle,
    /// The server does not know `Range`, and sends the whole file.
    Whole,
    /// The server sends another byte at this place of the file. It is for requests that ask for this byte.
    Wrong(u64),
    /// A redirect with this status. The new place is this text with the file's name, without its folders, behind it.
    Redirect(u16, String),
}

/// What to serve, and what goes wrong.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
    texts: Vec<(String, String)>,
    files: Vec<(String, PathBuf)>,
    faults: Mutex<Vec<Planned>>,
    stop: Mutex<Option<Stop>>,
    rate: Option<u64>,
}

/// A fault that is to come.
#[derive(Debug)]
struct Planned {
    /// How the names begin that it is for.
    prefix: String,
    /// How many requests it is for.
    times: usize,
    fault: Fault,
}

/// The server stops once, and starts again.
#[derive(Clone, Copy, Debug)]
struct Stop {
    after: u64,
    pause: Duration,
}

impl Site {
    /// Serves the files of a folder and of those in it.
    #[must_use]
    pub fn of(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            texts: Vec::new(),
            files: Vec::new(),
            faults: Mutex::default(),
            stop: Mutex::default(),
            rate: None,
        }
    }

    /// Serves one more file, from elsewhere.
    #[must_use]
    pub fn file(mut self, name: &str, path: impl Into<PathBuf>) -> Self {
        self.files.push((name.into(), path.into()));
        self
    }

    /// Serves one more file with this text.
    #[must_use]
    pub fn text(mut self, name: &str, text: impl Into<String>) -> Self {
        self.texts.push((name.into(), text.into()));
        self
    }

    /// Lets as many requests fail in this way, among those for names that begin with the prefix.
    #[must_use]
    pub fn fault(self, prefix: &str, times: usize, fault: Fault) -> Self {
        lock(&self.faults).push(Planned {
            prefix: prefix.into(),
            times,
            fault,
        });
        self
    }

    /// Lets all requests for names that begin with the prefix fail in this way.
    #[must_use]
    pub fn always(self, prefix: &str, fault: Fault) -> Self {
        self.fault(prefix, usize::MAX, fault)
    }

    /// Stops the server when it has sent so many bytes of files: it ends all connections and takes no new ones. It
    /// starts again after a pause, at the same port.
    #[must_use]
    pub fn stops(self, after: u64, pause: Duration) -> Self {
        *lock(&self.stop) = Some(Stop { after, pause });
        self
    }

    /// Sends so many bytes of files a second at most, to all connections together.
    #[must_use]
    pub fn rate(mut self, bytes: u64) -> Self {
        self.rate = Some(bytes);
        self
    }

    /// Starts to serve.
    ///
    /// # Panics
    /// When there is no port for it.
    #[must_use]
    pub fn serve(self) -> Server {
        self.serve_at(TcpListener::bind(("127.0.0.1", 0)).expect("a port"))
    }

    /// Starts to serve at an address of the caller's, which may be in another network namespace.
    ///
    /// # Panics
    /// When the listener has no address.
    #[must_use]
    pub fn serve_at(self, listener: TcpListener) -> Server {
        let port = listener.local_addr().expect("an address").port();
        let running = Arc::new(Running {
            site: self,
            port,
            stopped: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            free_at: Mutex::new(Instant::now()),
            connections: Mutex::default(),
            asked: Mutex::default(),
        });
        let served = Arc::clone(&running);
        thread::spawn(move || served.accept(listener));
        Server { running }
    }
}

/// A server, which runs as long as the test's process does.
#[derive(Debug)]
pub struct Server {
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    site: Site,
    port: u16,
    /// Whether the server is to end its connections and to pause.
    stopped: AtomicBool,
    /// The bytes of files that were sent.
    sent: AtomicU64,
    /// When the next bytes may be sent.
    free_at: Mutex<Instant>,
    connections: Mutex<Vec<TcpStream>>,
    /// The requested names, in order.
    asked: Mutex<Vec<String>>,
}

impl Server {
    /// Where a file is, as a machine behind QEMU's user network sees it.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("http://10.0.2.2:{}/{name}", self.running.port)
    }

    /// Where a file is, as this machine sees it.
    #[must_use]
    pub fn local_url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.running.port)
    }

    /// Returns the names requested until now, in order; a name that follows itself is there once.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        let mut names = self.requests();
        names.dedup();
        names
    }

    /// Returns the name of each request until now, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        lock(&self.running.asked).clone()
    }

    /// Returns how many bytes of files were sent until now.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.running.sent.load(Ordering::SeqCst)
    }
}

/// A request, as far as it matters here.
struct Request {
    method: String,
    name: String,
    /// What follows `bytes=`.
    range: Option<String>,
    /// Whether the connection ends after the answer.
    last: bool,
}

impl Running {
    /// Takes connections until the process ends, except during the pause.
    fn accept(self: Arc<Self>, mut listener: TcpListener) {
        loop {
            listener.set_nonblocking(true).expect("a socket");
            while !self.stopped.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => self.begin(stream),
                    // There is none yet, or a boot loader has let go of its connection already.
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
            drop(listener);
            let pause = lock(&self.site.stop).take().expect("it stops once").pause;
            // Connections that were taken while the others ended.
            self.end_connections();
            thread::sleep(pause);
            self.stopped.store(false, Ordering::SeqCst);
            listener = TcpListener::bind(("127.0.0.1", self.port)).expect("the same port");
        }
    }

    fn begin(self: &Arc<Self>, stream: TcpStream) {
        stream.set_nonblocking(false).expect("a socket");
        lock(&self.connections).push(stream.try_clone().expect("a descriptor"));
        let served = Arc::clone(self);
        // A boot loader may end its connection whenever it likes, and begin another one.
        thread::spawn(move || served.serve(&stream));
    }

    fn end_connections(&self) {
        for stream in lock(&self.connections).drain(..) {
            // The other side may have ended it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Answers one request after the other.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some(request) = request(&mut reader)? {
            lock(&self.asked).push(request.name.clone());
            self.answer(stream, &request)?;
            if request.last {
                break;
            }
        }
        stream.shutdown(Shutdown::Both)
    }

    fn answer(&self, mut stream: &TcpStream, request: &Request) -> io::Result<()> {
        let fault = self.fault(request);
        let refusal = match &fault {
            Some(Fault::Silent) => {
                // Until the other side has enough of waiting, or the server stops.
                let _ = stream.read(&mut [0]);
                return stream.shutdown(Shutdown::Both);
            }
            Some(Fault::Unavailable(None)) => Some("503 Service Unavailable".to_owned()),
            Some(Fault::Unavailable(Some(seconds))) => {
                Some(format!("503 Service Unavailable\r\nRetry-After: {seconds}"))
            }
            Some(Fault::Redirect(status, place)) => {
                let file = request.name.rsplit('/').next().unwrap_or_default();
                Some(format!("{status} Elsewhere\r\nLocation: {place}{file}"))
            }
            _ => None,
        };
        let (status, mut body) = match refusal {
            Some(refusal) => (refusal, None),
            None => match self.open(&request.name)? {
                Some(body) => ("200 OK".to_owned(), Some(body)),
                None => ("404 Not Found".to_owned(), None),
            },
        };
        let size = body.as_ref().map_or(0, Body::size);
        let range = match fault {
            Some(Fault::Whole) => None,
            _ => request.range.as_deref(),
        };
        let part = range
            .and_then(|range| part(range, size))
            .filter(|_| body.is_some());
        let (head, first, length) = match part {
            Some((first, end)) => (
                format!(
                    "206 Partial Content\r\nContent-Range: bytes {first}-{}/{size}",
                    end - 1
                ),
                first,
                end - first,
            ),
            None => (status, 0, size),
        };
        let ranges = match fault {
            Some(Fault::Whole) => "",
            _ => "Accept-Ranges: bytes\r\n",
        };
        // Send the head in one piece: some boot loaders do not join the pieces of a line.
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n{ranges}\r\n");
        stream.write_all(head.as_bytes())?;
        let Some(body) = body.as_mut().filter(|_| request.method != "HEAD") else {
            return Ok(());
        };
        match fault {
            Some(Fault::CutOff) => {
                self.send(stream, body, first, length / 2)?;
                stream.shutdown(Shutdown::Both)
            }
            Some(Fault::Trickle) => {
                for at in first..first + length {
                    self.send(stream, body, at, 1)?;
                    thread::sleep(Duration::from_secs(1));
                }
                Ok(())
            }
            Some(Fault::Wrong(at)) => {
                self.send(stream, body, first, at - first)?;
                let mut byte = [0];
                body.seek(at)?;
                body.read_exact(&mut byte)?;
                stream.write_all(&[!byte[0]])?;
                self.send(stream, body, at + 1, first + length - at - 1)
            }
            _ => self.send(stream, body, first, length),
        }
    }

    /// Sends a part of a body, and stops the server if it is time for that.
    fn send(
        &self,
        mut stream: &TcpStream,
        body: &mut Body,
        first: u64,
        length: u64,
    ) -> io::Result<()> {
        let mut bytes = vec![0; PIECE];
        let mut to_go = length;
        body.seek(first)?;
        while to_go > 0 {
            let piece = &mut bytes[..to_go.min(PIECE as u64) as usize];
            body.read_exact(piece)?;
            self.wait_for_turn(piece.len() as u64);
            stream.write_all(piece)?;
            to_go -= piece.len() as u64;
            let sent = self.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
            if lock(&self.site.stop).is_some_and(|stop| sent >= stop.after) {
                self.stopped.store(true, Ordering::SeqCst);
                self.end_connections();
            }
        }
        Ok(())
    }

    /// Waits until the rate allows to send so many bytes.
    fn wait_for_turn(&self, bytes: u64) {
        let Some(rate) = self.site.rate else { return };
        let turn = {
            let mut free_at = lock(&self.free_at);
            let turn = Instant::now().max(*free_at);
            *free_at = turn + Duration::from_secs_f64(bytes as f64 / rate as f64);
            turn
        };
        thread::sleep(turn.saturating_duration_since(Instant::now()));
    }

    /// Takes the fault, if this request must fail.
    fn fault(&self, request: &Request) -> Option<Fault> {
        let has = |at: u64| {
            let range = request
                .range
                .as_deref()
                .and_then(|range| part(range, u64::MAX));
            range.is_none_or(|(first, end)| (first..end).contains(&at))
        };
        let is_for = |planned: &Planned| {
            let is_named = planned.times > 0 && request.name.starts_with(&planned.prefix);
            is_named && !matches!(planned.fault, Fault::Wrong(at) if !has(at))
        };
        let mut faults = lock(&self.site.faults);
        let planned = faults.iter_mut().find(|planned| is_for(planned))?;
        planned.times -= 1;
        Some(planned.fault.clone())
    }

    fn open(&self, name: &str) -> io::Result<Option<Body>> {
        if let Some((_, text)) = self.site.texts.iter().find(|(known, _)| known == name) {
            return Ok(Some(Body::Text(io::Cursor::new(text.clone()))));
        }
        let elsewhere = self.site.files.iter().find(|(known, _)| known == name);
        let path = match elsewhere {
            Some((_, path)) => path.clone(),
            None => self.site.folder.join(name),
        };
        if name.contains("..") || !path.is_file() {
            return Ok(None);
        }
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Some(Body::File(file, size)))
    }
}

/// The content of a file.
enum Body {
    Text(io::Cursor<String>),
    File(File, u64),
}

impl Body {
    fn size(&self) -> u64 {
        match self {
            Self::Text(text) => text.get_ref().len() as u64,
            Self::File(_, size) => *size,
        }
    }

    fn seek(&mut self, to: u64) -> io::Result<u64> {
        match self {
            Self::Text(text) => text.seek(SeekFrom::Start(to)),
            Self::File(file, _) => file.seek(SeekFrom::Start(to)),
        }
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Text(text) => text.read_exact(bytes),
            Self::File(file, _) => file.read_exact(bytes),
        }
    }
}

/// Reads a request. None if the other side has ended the connection.
fn request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut lines = reader.lines();
    let Some(line) = lines.next().transpose()? else {
        return Ok(None);
    };
    let mut words = line.split(' ');
    let mut request = Request {
        method: words.next().unwrap_or_default().to_owned(),
        name: words
            .next()
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        range: None,
        last: false,
    };
    for header in lines {
        let header = header?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(range) = header.strip_prefix("range: bytes=") {
            request.range = Some(range.to_owned());
        }
        request.last |= header == "connection: close";
    }
    Ok(Some(request))
}

/// The first byte of a range, and the one behind the last. None if it is not in the file.
fn part(range: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = range.split_once('-')?;
    let first = first.parse().ok()?;
    let end = last.parse().map_or(size, |last: u64| last + 1).min(size);
    (first < end).then_some((first, end))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no server panicked")
}
