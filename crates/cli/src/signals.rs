//! A build that is interrupted leaves nothing behind.

use std::fs;
use std::io;
use std::process;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use storeboot::Cancel;

/// From now on, an interrupted or terminated process, or one whose terminal is gone, first removes what it has not
/// completed. Then the signal ends it as it would have: a shell sees 130 after an interrupt.
pub fn clean_up_on(cancel: &Cancel) -> io::Result<()> {
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
            if let Some(signal) = signals.forever().next() {
                cancel.cancel();
                storeboot::abandon_outputs();
                let _ = emulate_default_handler(signal);
                // The first process of a namespace is not ended by its own signals.
                process::exit(128 + signal);
            }
        })?;
    Ok(())
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
