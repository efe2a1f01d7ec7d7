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

/// The line that says how many were left out.
type Omission = dyn Fn(u64) -> String + Send + Sync;

/// Takes lines, and never waits for them to be written.
#[derive(Clone)]
pub struct Writer {
    lines: SyncSender<String>,
    left_out: Arc<AtomicU64>,
    omission: Arc<Omission>,
}

/// Waits for the lines that a [`Writer`] has taken, once all of its clones are gone.
pub struct Written(Receiver<()>);

impl Writer {
    /// Starts the thread. `write` writes a line.
    pub fn start(
        write: impl Fn(&str) + Send + 'static,
        omission: impl Fn(u64) -> String + Send + Sync + 'static,
    ) -> io::Result<(Self, Written)> {
        let (lines, taken) = sync_channel::<String>(LINES);
        let (end, ended) = sync_channel(1);
        let writer = Self {
            lines,
            left_out: Arc::default(),
            omission: Arc::new(omission),
        };
        let (left_out, omission) = (Arc::clone(&writer.left_out), Arc::clone(&writer.omission));
        let name = "storeboot-lines".to_owned();
        thread::Builder::new().name(name).spawn(move || {
            for line in taken {
                write(&line);
            }
            match left_out.swap(0, Ordering::Relaxed) {
                0 => {}
                count => write(&omission(count)),
            }
            // Nobody may be waiting.
            let _ = end.send(());
        })?;
        Ok((writer, Written(ended)))
    }

    /// Writes a line soon, or leaves it out where too many wait.
    pub fn write(&self, line: &str) {
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        let has_room = left_out == 0 || self.lines.try_send((self.omission)(left_out)).is_ok();
        if !has_room {
            self.left_out.fetch_add(left_out + 1, Ordering::Relaxed);
        } else if self.lines.try_send(line.to_owned()).is_err() {
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
            // Nothing is written until the other end is gone.
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
        let (omission, lines) = all.split_last().unwrap();
        let left_out: usize = omission.strip_suffix(" left out").unwrap().parse().unwrap();
        // The thread may have taken one.
        assert!((99..=100).contains(&left_out), "{omission}");
        assert_eq!(lines.len(), LINES + 100 - left_out);
        assert_eq!(lines.last().unwrap(), &(lines.len() - 1).to_string());
    }

    #[test]
    fn what_is_left_out_is_said_where_the_gap_is() {
        let all = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&all);
        let write = move |line: &str| written.lock().unwrap().push(line.to_owned());
        let (writer, end) = Writer::start(write, |number| format!("{number} left out")).unwrap();
        writer.write("before");
        writer.left_out.store(7, Ordering::Relaxed);
        writer.write("after");
        drop(writer);
        assert!(end.wait());
        assert_eq!(*all.lock().unwrap(), ["before", "7 left out", "after"]);
    }
}
