//! A server in this process, and what its clients get.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use storeboot_serve::http::{self, Limits};
use storeboot_serve::{Desk, Directory, Loaders, Offers, Rules, Source, Sources};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;

/// The larger of the two files.
pub const KERNEL: &str = "bzImage";
/// More than a connection of the tests has room for on its way.
const KERNEL_SIZE: usize = 12 << 20;
const INITRD_SIZE: usize = 100_000;

/// A server, until it is dropped.
pub struct Server {
    pub desk: Arc<Desk>,
    pub port: u16,
    id: String,
    folder: TempDir,
    // Dropped last.
    _runtime: Runtime,
}

/// Bytes that repeat nowhere near.
pub fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 32) as u32).to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..size.div_ceil(4)).flat_map(next).collect();
    bytes.truncate(size);
    bytes
}

/// Writes a netboot directory, and a file that is not of it.
pub fn sample(folder: &Path) {
    let file = |name: &str, kind: &str, content: &[u8]| {
        fs::write(folder.join(name), content).unwrap();
        let sha256 = HEXLOWER.encode(&Sha256::digest(content));
        serde_json::json!({ "name": name, "kind": kind, "size": content.len(), "sha256": sha256 })
    };
    let files = [
        file(KERNEL, "kernel", &noise(KERNEL_SIZE, 1)),
        file("initrd", "initrd", &noise(INITRD_SIZE, 2)),
    ];
    let manifest = serde_json::json!({
        "schema": 1, "layout": "file", "init": "/nix/store/x/init", "commandLine": "init=/nix/store/x/init",
        "memory": 0, "kernel": { "file": KERNEL, "version": "6.12", "architecture": "x86_64" },
        "closure": { "paths": 0, "narSize": 0 }, "files": files, "segments": [], "images": [],
    });
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    fs::write(folder.join("secret"), "secret").unwrap();
    fs::write(folder.join("undionly.kpxe"), "a loader").unwrap();
}

/// What a server of the folder has, with its directory's number.
pub fn desk(folder: &Path, rules: Rules) -> (Arc<Desk>, String) {
    let offers = Arc::new(Offers::default());
    let id = offers
        .add(Directory::open(folder).unwrap())
        .id()
        .to_string();
    let sources = Sources::new(Arc::clone(&offers));
    let loaders = Loaders::find(&[folder]);
    (Arc::new(Desk::new(offers, sources, loaders, rules)), id)
}

impl Server {
    pub fn start(limits: Limits) -> Self {
        Self::start_with(limits, |folder| {
            Rules::same_for_all(Source::Directory(folder.to_owned()))
        })
    }

    pub fn start_with(limits: Limits, rules: impl FnOnce(&Path) -> Rules) -> Self {
        let folder = tempfile::tempdir().unwrap();
        sample(folder.path());
        let (desk, id) = desk(folder.path(), rules(folder.path()));
        let runtime = Runtime::new().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Arc::clone(&desk);
        runtime.spawn(http::serve(
            served,
            Router::new(),
            vec![listener],
            limits,
            std::future::pending(),
        ));
        Self {
            desk,
            port,
            id,
            folder,
            _runtime: runtime,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file of the directory.
    pub fn path(&self, name: &str) -> String {
        format!("/boot/{}/{name}", self.id)
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, "")
    }

    pub fn get_with(&self, path: &str, headers: &str) -> Answer {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: boot.example\r\nConnection: close\r\n{headers}\r\n"
        ))
    }

    /// The one answer to a request.
    pub fn ask(&self, request: &str) -> Answer {
        let (answer, _) = Answer::read(&self.raw(request.as_bytes()));
        answer
    }

    /// All that comes back until the server closes the connection.
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        everything(self.connect(), bytes)
    }

    /// A connection of a socket that was changed before.
    fn connect_by(&self, change: impl FnOnce(&TcpSocket) -> std::io::Result<()>) -> TcpStream {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            change(&socket).unwrap();
            socket.connect(to).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        stream
    }

    /// The same as [`Self::raw`], for a client with another address.
    pub fn raw_from(&self, address: Ipv4Addr, bytes: &[u8]) -> Vec<u8> {
        let stream = self.connect_by(|socket| socket.bind((address, 0).into()));
        everything(stream, bytes)
    }

    /// Begins to load a file, with little room for what comes before it is read.
    pub fn begin(&self, path: &str) -> Half {
        let stream = self.connect_by(|socket| socket.set_recv_buffer_size(64 << 10));
        let mut half = Half(stream);
        write!(half.0, "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            half.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(
            head.starts_with(b"HTTP/1.1 200 "),
            "{}",
            String::from_utf8_lossy(&head)
        );
        half
    }
}

/// A connection on which a file's bytes come.
pub struct Half(TcpStream);

impl Half {
    /// Reads so many bytes, or as many as come. Returns how many.
    pub fn read(&mut self, most: usize) -> usize {
        let mut buffer = vec![0; 64 << 10];
        let mut had = 0;
        while had < most {
            let count = buffer.len().min(most - had);
            match self.0.read(&mut buffer[..count]) {
                Ok(0) | Err(_) => break,
                Ok(count) => had += count,
            }
        }
        had
    }
}

/// Sends bytes, and returns all that comes back.
fn everything(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    // A server that has enough of it may have closed the connection.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let _ = stream.shutdown(Shutdown::Both);
    answer
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads the first of the answers that have come, and returns the rest. The body is what the length says, or what has
    /// come of it.
    pub fn read(bytes: &[u8]) -> (Self, Vec<u8>) {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end =
            end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes))) + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .unwrap();
        let mut answer = Self {
            status,
            head,
            body: Vec::new(),
        };
        let length = answer.header("content-length").parse().unwrap_or(0);
        let rest = &bytes[end..];
        let (body, rest) = rest.split_at(rest.len().min(length));
        answer.body = body.to_vec();
        (answer, rest.to_vec())
    }

    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(has, _)| has.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}
