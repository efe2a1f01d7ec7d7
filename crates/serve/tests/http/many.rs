//! A thousand clients at once, and hundreds that stop half-way: all are served, and the server stays small.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use storeboot_serve::http::{self, Limits};
use storeboot_serve::{Rules, Source};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::server::{KERNEL, desk, sample};

/// The folder that the process with the server serves.
const FOLDER: &str = "STOREBOOT_TEST_SERVED_FOLDER";
/// Clients that load a file, all at once.
const WHOLE: usize = 1000;
/// Clients that read some of a file, and then nothing.
const STOPPED: usize = 500;
/// What the server may have, and what it may have more for each client.
const MEMORY: (usize, usize) = (64 << 20, 64 << 10);

/// Runs the server for [`a_thousand_clients_and_hundreds_that_stop`], in a process of its own, whose memory is the
/// server's.
#[test]
#[ignore = "it is the server of another test"]
fn server_of_its_own() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let (desk, id) = desk(
        &folder,
        Rules::same_for_all(Source::Directory(folder.clone())),
    );
    Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        println!("\nport {port} {id}");
        std::io::stdout().flush().unwrap();
        http::serve(
            desk,
            Router::new(),
            vec![listener],
            Limits::default(),
            std::future::pending(),
        )
        .await;
    });
}

struct Server {
    process: Child,
    address: SocketAddr,
    id: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "many::server_of_its_own",
                "--nocapture",
            ])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let line = output
            .lines()
            .map(Result::unwrap)
            .find(|line| line.starts_with("port "))
            .unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        Self {
            process,
            address: (Ipv4Addr::LOCALHOST, words[1].parse().unwrap()).into(),
            id: words[2].to_owned(),
        }
    }

    /// The most memory that it ever had, in bytes.
    fn peak(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let kibibytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes << 10
    }

    async fn ask(&self, name: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 << 10).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        let request = format!(
            "GET /boot/{}/{name} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            self.id
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_thousand_clients_and_hundreds_that_stop() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    if maximum.is_some_and(|maximum| maximum < 2 * (WHOLE + STOPPED) as u64) {
        let why = format!("a process may only have {maximum:?} open files here");
        assert!(env::var_os("CI").is_none(), "{why}");
        // Not `eprintln!`: the harness hides that where a test passes.
        let _ = std::io::stderr().write_all(format!("\nSKIPPED: {why}\n").as_bytes());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path());
    let initrd = Arc::new(fs::read(folder.path().join("initrd")).unwrap());
    let server = Arc::new(Server::start(folder.path()));
    Runtime::new().unwrap().block_on(async {
        let mut stopped = Vec::new();
        for _ in 0..STOPPED {
            let mut stream = server.ask(KERNEL).await;
            stream.read_exact(&mut [0; 1000]).await.unwrap();
            stopped.push(stream);
        }
        let mut streams = Vec::new();
        for _ in 0..WHOLE {
            streams.push(server.ask("initrd").await);
        }
        let mut clients = JoinSet::new();
        for mut stream in streams {
            let initrd = Arc::clone(&initrd);
            clients.spawn(async move {
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.unwrap();
                assert!(answer.ends_with(&initrd) && answer.starts_with(b"HTTP/1.1 200 "));
            });
        }
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
        drop(stopped);
        // And it is as before.
        let mut answer = Vec::new();
        server
            .ask("initrd")
            .await
            .read_to_end(&mut answer)
            .await
            .unwrap();
        assert!(answer.ends_with(&initrd));
    });
    let peak = server.peak();
    let most = MEMORY.0 + MEMORY.1 * (WHOLE + STOPPED);
    assert!(peak < most, "{peak} of {most} bytes");
}
