//! Handles signals, so that an interrupted build leaves nothing behind.

use std::fs;
use std::io;
use std::process;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use storeboot::Cancel;

use crate::say::say;

/// How long a cancelled build may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// The signal that interrupted the process; 0 until then.
static INTERRUPTED_BY: AtomicI32 = AtomicI32::new(0);

/// Makes SIGINT, SIGTERM and SIGHUP cancel the build, which then removes its unfinished files. After that,
/// [`end_if_interrupted`] ends the process. A second signal ends the process at once.
pub fn cancel_on_signals(cancel: &Cancel) -> io::Result<()> {
    let cancel = cancel.clone();
    // A signal that is ignored stays ignored: nohup, and shells that run this in the background, rely on that.
    let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    let wanted = [SIGHUP, SIGINT, SIGTERM]
        .into_iter()
        .filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let mut signals = Signals::new(wanted)?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if INTERRUPTED_BY.swap(signal, Ordering::SeqCst) != 0 {
                    end_by(signal);
                }
                cancel.cancel();
                thread::spawn(move || end_late(signal));
            }
        })?;
    Ok(())
}

/// Ends the process if the cancelled build takes too long: a compressor may be in the middle of a large job, or a disk
/// may not answer.
fn end_late(signal: i32) {
    thread::sleep(GRACE);
    say(
        "storeboot: interrupted; what is unfinished is removed by the next build into the same folder",
    );
    end_by(signal);
}

/// Ends an interrupted process with the signal that interrupted it, so that a shell sees, for example, status 130.
pub fn end_if_interrupted() {
    match INTERRUPTED_BY.load(Ordering::SeqCst) {
        0 => {}
        signal => end_by(signal),
    }
}

fn end_by(signal: i32) -> ! {
    let _ = emulate_default_handler(signal);
    // A signal that the first process of a PID namespace sends to itself does not end it.
    process::exit(128 + signal)
}

/// Returns the mask of ignored signals; the lowest bit is signal 1.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        let status = "Name:\tsh\nSigBlk:\t0000000000000007\nSigIgn:\t0000000000000003\nSigCgt:\t0000000000000004\n";
        assert_eq!(ignored(status), 3);
        assert_eq!(ignored(""), 0);
        assert_eq!(ignored("SigIgn:\tx\n"), 0);
    }
}
