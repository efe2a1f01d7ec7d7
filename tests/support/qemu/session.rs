//! Machines that a test controls over the serial line.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Boot, Machine, drain, text, wait};

/// A running machine that is written to and read from over its serial line.
#[derive(Debug)]
pub struct Session {
    qemu: Child,
    keyboard: ChildStdin,
    screen: Receiver<Vec<u8>>,
    complaints: Option<thread::JoinHandle<Vec<u8>>>,
    console: Vec<u8>,
    /// The length of the console's text before the last match.
    seen: usize,
}

impl Machine {
    /// Starts the machine, and returns while it runs.
    ///
    /// # Panics
    /// When QEMU cannot be run; ask [`available`](super::available) first.
    #[must_use]
    pub fn start(&self) -> Session {
        let mut command = self.command();
        let mut qemu = command
            .stdin(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let mut stdout = qemu.stdout.take().expect("stdout is a pipe");
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The thread ends with the machine, or when the session is dropped.
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Session {
            keyboard: qemu.stdin.take().expect("stdin is a pipe"),
            complaints: Some(drain(qemu.stderr.take().expect("stderr is a pipe"))),
            qemu,
            screen,
            console: Vec::new(),
            seen: 0,
        }
    }
}

impl Session {
    /// Waits until the machine writes this text after the previous match, and returns the text up to there.
    ///
    /// # Panics
    /// When the machine does not write it within `limit`, or ends. The message has the whole console.
    pub fn wait_for(&mut self, wanted: &str, limit: Duration) -> String {
        let start = Instant::now();
        loop {
            let new = &self.console[self.seen..];
            let found = new
                .windows(wanted.len())
                .position(|window| window == wanted.as_bytes());
            if let Some(at) = found {
                let end = at + wanted.len();
                let said = text(&new[..end]);
                self.seen += end;
                return said;
            }
            let left = limit.saturating_sub(start.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.hear(&bytes),
                Err(error) => {
                    let why = match error {
                        RecvTimeoutError::Timeout => "is too slow",
                        RecvTimeoutError::Disconnected => "has ended",
                    };
                    let console = text(&self.console);
                    panic!("no {wanted:?}: the machine {why}\n--- console ---\n{console}");
                }
            }
        }
    }

    /// Takes what the machine wrote, without carriage returns.
    fn hear(&mut self, bytes: &[u8]) {
        let heard = bytes.iter().filter(|byte| **byte != b'\r');
        self.console.extend(heard);
    }

    /// Types a line, and Enter.
    ///
    /// # Panics
    /// When the machine has ended.
    pub fn enter(&mut self, line: &str) {
        self.keyboard
            .write_all(format!("{line}\r").as_bytes())
            .and_then(|()| self.keyboard.flush())
            .unwrap_or_else(|error| panic!("{line}: {error}\n{}", text(&self.console)));
    }

    /// Waits until the machine powers off, panics or restarts; after `limit` it is ended.
    ///
    /// # Panics
    /// When QEMU cannot be waited for.
    #[must_use]
    pub fn end(mut self, limit: Duration) -> Boot {
        let end = wait(&mut self.qemu, limit);
        while let Ok(bytes) = self.screen.recv() {
            self.hear(&bytes);
        }
        let complaints = self.complaints.take().map(thread::JoinHandle::join);
        let complaints = complaints.and_then(Result::ok).unwrap_or_default();
        Boot {
            console: text(&self.console),
            complaints: text(&complaints),
            end,
        }
    }
}

impl Drop for Session {
    /// Ends the machine, so that a failed test leaves none behind.
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
