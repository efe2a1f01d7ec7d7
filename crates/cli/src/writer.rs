//! Writes the lines of a server on a thread of their own. A reader that stops reading (a terminal that is held, a log that
//! hangs) must not keep machines from booting.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// So many lines may wait. More are left out.
const LINES: usize = 10_000;
/// At the end, those that wait are written for so long.
const END: Duration = Duration::from_secs(2);

/// Takes lines, and never waits for them to be written.
#[derive(Clone)]
pub struct Writer {
    lines: SyncSender<String>,
    left_out: Arc<AtomicU64>,
}

/// Waits for the lines that a [`Writer`] has taken, once all of its clones are gone.
pub struct Written(Receiver<()>);

impl Writer {
    /// Starts the thread. `write` writes a line; `omission` is the line that says how many were left out.
    pub fn start(
        write: impl Fn(&str) + Send + 'static,
        omission: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<(Self, Written)> {
        let (lines, taken) = sync_channel::<String>(LINES);
        let left_out = Arc::new(AtomicU64::new(0));
        let (end, ended) = sync_channel(1);
        let count = Arc::clone(&left_out);
        let name = "storeboot-lines".to_owned();
        thread::Builder::new().name(name).spawn(move || {
            for line in taken {
                write(&line);
                match count.swap(0, Ordering::Relaxed) {
                    0 => {}
                    number => write(&omission(number)),
                }
            }
            // Nobody may be waiting.
            let _ = end.send(());
        })?;
        Ok((Self { lines, left_out }, Written(ended)))
    }

    /// Writes a line soon, or leaves it out where too many wait.
    pub fn write(&self, line: &str) {
        if self.lines.try_send(line.to_owned()).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Written {
    /// Waits until all is written, for two seconds at most. Returns whether it is.
    pub fn wait(self) -> bool {
        !matches!(self.0.recv_timeout(END), Err(RecvTimeoutError::Timeout))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn lines_that_nobody_reads_keep_nobody_waiting() {
        let (go, gate) = channel::<()>();
        let all = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&all);
        let write = move |line: &str| {
            // The first line waits for the gate, and the others do not: it is then gone.
            let _ = gate.recv();
            written.lock().unwrap().push(line.to_owned());
        };
        let (writer, end) = Writer::start(write, |number| format!("{number} left out")).unwrap();
        for number in 0..LINES + 100 {
            writer.write(&number.to_string());
        }
        drop(go);
        drop(writer);
        assert!(end.wait());
        let all = all.lock().unwrap();
        let omission = &all[1];
        let left_out: usize = omission.strip_suffix(" left out").unwrap().parse().unwrap();
        assert!((99..=100).contains(&left_out), "{omission}");
        assert_eq!(all.len(), 1 + LINES + 100 - left_out);
        assert_eq!(all[0], "0");
    }
}
