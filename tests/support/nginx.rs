//! Runs Debian's nginx with a configuration of a test.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{installed, is_root};
use crate::qemu::LIMIT;

/// A port on which nothing listens.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let [port] = free_ports();
    port
}

/// Ports on which nothing listens, each another one.
///
/// # Panics
/// When there are too few.
#[must_use]
pub fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    // All are held until all are there, for a port that is let go may come again.
    let held = [(); COUNT].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    held.each_ref()
        .map(|listener| listener.local_addr().expect("an address").port())
}

/// nginx: on PATH, or where Debian has it, which is on the PATH of root only.
fn program() -> Option<PathBuf> {
    let paths = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&paths)
        .map(|folder| folder.join("nginx"))
        .find(|program| program.is_file());
    found.or_else(|| installed(&["/usr/sbin/nginx"]))
}

/// An nginx that runs until it is dropped.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    folder: PathBuf,
}

impl Nginx {
    /// Runs nginx with this configuration of its `http` block, which must listen on `port`. The folder, which is made,
    /// holds its files. None if nginx is not installed.
    ///
    /// # Panics
    /// When nginx does not start, with what it said.
    #[must_use]
    pub fn start(folder: &Path, port: u16, http: &str) -> Option<Self> {
        let program = program()?;
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("a folder for nginx");
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, whole(folder, http)).expect("a configuration");
        let complaints = folder.join("complaints");
        let process = Command::new(program)
            .arg("-e")
            .arg(folder.join("error.log"))
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&complaints).expect("a file"))
            .spawn()
            .expect("nginx can be run");
        let mut nginx = Self {
            process,
            folder: folder.to_owned(),
        };
        let start = Instant::now();
        while TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_err() {
            assert!(start.elapsed() < LIMIT, "nginx does not listen");
            let ended = nginx.process.try_wait().expect("nginx can be waited for");
            if let Some(status) = ended {
                let said = fs::read_to_string(&complaints).unwrap_or_default();
                panic!("nginx: {status}\n{said}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }

    /// The number of its first process, which starts the others.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The requests that have ended, in the order of their ends.
    ///
    /// # Panics
    /// When the log cannot be read.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        let log = fs::read_to_string(self.folder.join("access.log")).expect("a log");
        // nginx may be writing the last line.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(Request::read).collect()
    }
}

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Request {
    /// The status of the answer.
    pub status: u16,
    /// When nginx had sent the answer, in seconds since 1970.
    pub end: f64,
    /// How many seconds it took.
    pub seconds: f64,
    /// The size of the body that was sent.
    pub bytes: u64,
    /// The path, without the server.
    pub path: String,
    /// The name that the client gives itself.
    pub agent: String,
}

impl Request {
    fn read(line: &str) -> Self {
        let mut words = line.splitn(6, ' ');
        let mut word = || {
            words
                .next()
                .unwrap_or_else(|| panic!("a short line: {line}"))
        };
        let number = |word: &str| -> f64 { word.parse().unwrap_or_else(|_| panic!("{line}")) };
        Self {
            status: number(word()) as u16,
            end: number(word()),
            seconds: number(word()),
            bytes: number(word()) as u64,
            path: word().to_owned(),
            agent: word().to_owned(),
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that the master ends its workers.
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
    }
}

/// The whole configuration: nothing outside of the folder is written to.
fn whole(folder: &Path, http: &str) -> String {
    // Workers of root become another user, who may not read the test's files.
    let user = if is_root() { "user root;\n" } else { "" };
    let folder = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n"))
        .collect();
    format!(
        "{user}daemon off;\nworker_processes auto;\nworker_rlimit_nofile 16384;\n\
         pid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{ worker_connections 8192; }}\n\
         http {{\n    log_format short '$status $msec $request_time $body_bytes_sent $uri $http_user_agent';\n    \
         access_log {folder}/access.log short;\n\
         {temporary}{http}\n}}\n"
    )
}
