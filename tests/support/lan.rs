//! A LAN in a network namespace of this machine, with its servers.
//!
//! ```no_run
//! use storeboot_tests::lan::Lan;
//!
//! let settings = "ip address add 192.0.2.1/24 dev lan\nserve --dhcp-range=192.0.2.100,192.0.2.150,1h\nport tap0";
//! let Some(lan) = Lan::new(settings) else { return };
//! lan.inside(|| println!("a server would listen at 192.0.2.1, and a machine sit at tap0"));
//! ```

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::command::{Scratch, have, is_root, skipped};
use crate::http::{Server, Site};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Sets up what a LAN has, then waits for its end.
const SCRIPT: &str = include_str!("lan/lan.sh");

/// A LAN. Dropping it ends it with all that runs in it; so does the end of this process, however it comes.
#[derive(Debug)]
pub struct Lan {
    process: Child,
    scratch: Scratch,
}

impl Lan {
    /// Sets up a LAN by the commands of `lan.sh` and the shell. Without root or a program, says that the test is
    /// skipped.
    ///
    /// # Panics
    /// When a command of the settings fails, with what it said.
    #[must_use]
    pub fn new(settings: &str) -> Option<Self> {
        if !is_root() {
            skipped("only root can make a LAN; run the tests as root, too");
            return None;
        }
        if !have(&["unshare", "ip", "dnsmasq"]) {
            return None;
        }
        let scratch = Scratch::new();
        // The namespace of process numbers is for its end: the kernel kills all that is in it.
        let mut process = Command::new("unshare")
            .args(["--net", "--pid", "--fork", "--kill-child"])
            .args(["sh", "-c", SCRIPT, "lan.sh"])
            .arg(scratch.path())
            .arg(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare can be run");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("the script writes text");
        let lan = Self { process, scratch };
        if line != "ready\n" {
            lan.fail();
        }
        Some(lan)
    }

    /// Says why the script ended.
    fn fail(mut self) -> ! {
        let mut complaints = String::new();
        let mut pipe = self.process.stderr.take().expect("a pipe");
        pipe.read_to_string(&mut complaints).expect("text");
        panic!("there is no LAN: {complaints}");
    }

    /// Runs something in the LAN, as on its server. Processes that it starts are in the LAN, too.
    ///
    /// # Panics
    /// When it does.
    pub fn inside<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        let namespace = format!("/proc/{}/ns/net", self.process.id());
        let namespace = File::open(namespace).expect("the LAN's namespace");
        // A thread of its own, for it does not come back.
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("root may enter the namespace");
                run()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Serves a folder over HTTP at this address of the LAN, port 80.
    ///
    /// # Panics
    /// When the LAN does not have the address.
    #[must_use]
    pub fn serve(&self, site: Site, address: IpAddr) -> Server {
        let address = SocketAddr::new(address, 80);
        let listener = self.inside(|| TcpListener::bind(address).expect("an address of the LAN"));
        site.serve_at(listener)
    }

    /// A file of the test.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// What dnsmasq did, for the message of an assertion.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
