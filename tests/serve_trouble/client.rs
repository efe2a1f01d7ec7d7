//! A machine as far as its loading goes: iPXE's way by its scripts, and stage 1's by its own code.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use storeboot_fetch::{Image, Limits, Plan, Sink, download};
use storeboot_tests::fetch_client::{FetchClient, chunk_hashes};

use crate::server::Netboot;

/// iPXE's script waits so long after a download that failed, and tries so often.
const PAUSE: Duration = Duration::from_secs(5);
const TRIES: usize = 5;
/// The first script asks the server so often, see `script::entry` of storeboot-serve.
const ASKS: usize = 120;

/// What a machine loads the most of.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// The initrd, by iPXE.
    Initrd,
    /// Store images, by stage 1.
    Images,
}

/// A machine.
pub struct Client {
    port: u16,
    number: u8,
    loaded: AtomicU64,
    failures: AtomicU64,
}

impl Client {
    pub fn new(port: u16, number: u8) -> Self {
        Self {
            port,
            number,
            loaded: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// So many bytes have come.
    pub fn loaded(&self) -> u64 {
        self.loaded.load(Ordering::Relaxed)
    }

    /// So many downloads broke off.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Loads what it is told to, and checks each byte.
    pub fn boots(&self, netboot: &Netboot, way: Way) {
        for _ in 0..ASKS {
            let Ok(script) = self.ask() else {
                self.fails();
                continue;
            };
            if self.follows(&script, netboot, way) {
                return;
            }
        }
        panic!("machine {} has given up", self.number);
    }

    fn follows(&self, script: &str, netboot: &Netboot, way: Way) -> bool {
        let mut tries = TRIES;
        let mut load = |name: &str| {
            while tries > 0 {
                if let Some(bytes) = self.loads(script, name) {
                    return Some(bytes);
                }
                tries -= 1;
                self.fails();
            }
            None
        };
        let Some(kernel) = load("bzImage") else {
            return false;
        };
        assert!(kernel == netboot.kernel, "another kernel");
        match way {
            Way::Initrd => match load("initrd") {
                Some(initrd) => assert!(initrd == netboot.initrd, "another initrd"),
                None => return false,
            },
            Way::Images => self.fetches(script, netboot),
        }
        true
    }

    fn fails(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }

    /// Loads the store image as stage 1 does.
    fn fetches(&self, script: &str, netboot: &Netboot) {
        let place = script.split_whitespace();
        let mut place = place.filter_map(|word| word.strip_prefix("storeboot.store="));
        let place = place.next().expect("a place of the store");
        let hashes = chunk_hashes(&netboot.image);
        let plan = Plan {
            images: vec![Image {
                path: &netboot.image_name,
                size: netboot.image.len() as u64,
                chunks: &hashes,
                present: Vec::new(),
                later: Vec::new(),
            }],
            places: vec![place.parse().expect("a URL")],
            limits: Limits::default(),
        };
        let mut machine = FetchClient::default();
        let mut file = Memory {
            client: self,
            bytes: vec![0; netboot.image.len()],
        };
        let summary = download(&plan, &mut machine, &mut file).expect("the image comes");
        // Stage 1 asks again for a chunk that came wrong; none may.
        assert_eq!(summary.wrong, 0, "{:?}", machine.troubles);
        assert!(file.bytes == netboot.image, "another image");
        let troubles = machine.troubles.len() as u64;
        self.failures.fetch_add(troubles, Ordering::Relaxed);
    }

    /// The script that it gets.
    pub fn script(&self) -> String {
        self.ask().expect("a script")
    }

    fn ask(&self) -> Result<String> {
        let path = format!(
            "/machine.ipxe?mac=52-54-00-00-00-{:02x}&platform=pcbios",
            self.number
        );
        let script = Answer::to(self.port, &path)?.rest(&AtomicU64::new(0))?;
        String::from_utf8(script).map_err(Error::other)
    }

    /// A file of the script, or nothing where it does not come whole.
    pub fn loads(&self, script: &str, name: &str) -> Option<Vec<u8>> {
        let answer = Answer::to(self.port, &path(script, name)).ok()?;
        answer.rest(&self.loaded).ok()
    }

    /// Has the first half MiB of a file, and gets the rest when the result is called.
    pub fn begin(&self, script: &str, name: &str) -> impl FnOnce() -> Option<Vec<u8>> + use<> {
        let mut answer = Answer::to(self.port, &path(script, name)).expect("an answer");
        let mut first = vec![0; 512 << 10];
        answer.stream.read_exact(&mut first).expect("the beginning");
        answer.length -= first.len();
        move || {
            let rest = answer.rest(&AtomicU64::new(0)).ok()?;
            Some([first, rest].concat())
        }
    }
}

/// The path of a file of the directory that a script boots.
fn path(script: &str, name: &str) -> String {
    let (_, rest) = script
        .split_once("/boot/")
        .unwrap_or_else(|| panic!("no directory: {script}"));
    let id = rest.split('/').next().unwrap_or_default();
    format!("/boot/{id}/{name}")
}

/// An answer whose head has come.
struct Answer {
    stream: BufReader<TcpStream>,
    length: usize,
}

impl Answer {
    fn to(port: u16, path: &str) -> Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        // As iPXE, which gives up after two minutes without a byte.
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200 ") {
            return Err(Error::other(line));
        }
        let mut length = None;
        loop {
            line.clear();
            match stream.read_line(&mut line)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                _ if line == "\r\n" => break,
                _ => {}
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().ok();
            }
        }
        let length = length.ok_or_else(|| Error::other("no length"))?;
        Ok(Self { stream, length })
    }

    /// All that comes, which has to be as long as the head said.
    fn rest(mut self, loaded: &AtomicU64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.length];
        for part in bytes.chunks_mut(64 << 10) {
            self.stream.read_exact(part)?;
            loaded.fetch_add(part.len() as u64, Ordering::Relaxed);
        }
        Ok(bytes)
    }
}

/// A store image in memory.
struct Memory<'a> {
    client: &'a Client,
    bytes: Vec<u8>,
}

impl Sink for Memory<'_> {
    type Error = Infallible;

    fn keep(&mut self, _: usize, offset: u64, chunk: &[u8]) -> std::result::Result<(), Infallible> {
        let start = usize::try_from(offset).expect("it is in memory");
        self.bytes[start..start + chunk.len()].copy_from_slice(chunk);
        let length = chunk.len() as u64;
        self.client.loaded.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }
}
