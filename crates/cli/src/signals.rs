//! A build that is interrupted leaves nothing behind.

use std::fs;
use std::io;
use std::process;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use storeboot::Cancel;

/// The signal that interrupted the process; 0 until then.
static INTERRUPTED_BY: AtomicI32 = AtomicI32::new(0);

/// From now on, an interrupt, a termination or the end of the terminal cancels the build, which removes what it has not
/// completed. Then [`end_if_interrupted`] ends the process. A second signal ends it at once.
pub fn cancel_on_signals(cancel: &Cancel) -> io::Result<()> {
    let cancel = cancel.clone();
    // What is ignored stays ignored, as nohup wants it, or a shell that runs this in the background.
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
            }
        })?;
    Ok(())
}

/// Ends an interrupted process as the signal would have: a shell sees 130 after an interrupt.
pub fn end_if_interrupted() {
    match INTERRUPTED_BY.load(Ordering::SeqCst) {
        0 => {}
        signal => end_by(signal),
    }
}

fn end_by(signal: i32) -> ! {
    let _ = emulate_default_handler(signal);
    // The first process of a namespace is not ended by its own signals.
    process::exit(128 + signal)
}

/// Bits of the signals that are ignored, the first one for signal 1.
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
