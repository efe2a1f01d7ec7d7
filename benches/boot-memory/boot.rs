//! Boots a candidate once, and decides whether the boot succeeded.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use storeboot_tests::qemu::{Boot, End};

use crate::arguments::Arguments;
use crate::candidate::Candidate;
use crate::machine::machine;

/// The prefix of each line that the closure's init prints.
const MARK: &str = "storeboot-bench: ";

/// A boot whose console has one of these texts has failed, even if it reaches stage 2.
const FAULTS: [&str; 7] = [
    "EFI stub: ERROR",
    "Kernel panic",
    "Initramfs unpacking failed",
    "Out of memory",
    "page allocation failure",
    "SQUASHFS error",
    "I/O error",
];

/// The times that a boot took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage2 {
    /// Seconds since the kernel's start.
    pub after: f64,
    /// From QEMU's start to its end.
    pub wall: Duration,
}

/// Boots candidates.
pub struct Booter {
    limit: Duration,
    limit_is_fixed: bool,
    cpu: String,
    firmware: Option<PathBuf>,
    append: String,
    logs: PathBuf,
}

impl Booter {
    /// Starts with a long limit for each boot, or with the limit of the arguments.
    pub fn new(arguments: &Arguments) -> Self {
        Self {
            limit: Duration::from_secs(arguments.deadline.unwrap_or(600)),
            limit_is_fixed: arguments.deadline.is_some(),
            cpu: arguments.cpu.clone(),
            firmware: arguments.firmware.clone(),
            append: arguments.append.clone(),
            logs: arguments.work.join("failed"),
        }
    }

    /// Sets the limit for a row, once its slowest boot is known.
    pub fn set_limit(&mut self, slowest: f64) {
        if !self.limit_is_fixed {
            self.limit = Duration::from_secs_f64(30.0 + 4.0 * slowest);
        }
    }

    /// Returns whether a boot with this much memory succeeds. Keeps the console of a failed boot.
    pub fn reaches_stage2(&self, candidate: &Candidate, memory_mib: u32) -> bool {
        self.boot(candidate, memory_mib).is_ok()
    }

    /// Boots with this much memory. Returns the times, or the reason of the failure.
    pub fn boot(&self, candidate: &Candidate, memory_mib: u32) -> Result<Stage2, String> {
        let start = Instant::now();
        let firmware = self.firmware.as_deref();
        let (machine, _server) =
            machine(candidate, firmware, &self.append).map_err(|error| error.to_string())?;
        let machine = machine
            .memory_mib(memory_mib)
            .argument("-cpu")
            .argument(&self.cpu);
        let boot = machine.boot(self.limit);
        let wall = start.elapsed();
        let judged = judge(&boot, wall);
        match &judged {
            Ok(stage2) => eprintln!(
                "{} with {memory_mib} MiB: stage 2 after {} s",
                candidate.row, stage2.after
            ),
            Err(fault) => {
                let log = self
                    .logs
                    .join(format!("{}-{memory_mib}.log", candidate.row));
                eprintln!(
                    "{} with {memory_mib} MiB: {fault}; see {}",
                    candidate.row,
                    log.display()
                );
                let written =
                    fs::create_dir_all(&self.logs).and_then(|()| fs::write(&log, boot.to_string()));
                if let Err(error) = written {
                    eprintln!("cannot write {}: {error}", log.display());
                }
            }
        }
        judged
    }
}

/// A boot succeeds if its console shows no fault and it reaches stage 2 and then powers off.
fn judge(boot: &Boot, wall: Duration) -> Result<Stage2, String> {
    let fault = boot
        .console
        .lines()
        .find(|line| FAULTS.iter().any(|fault| line.contains(fault)));
    if let Some(line) = fault {
        // The first line contains the escape sequences with which the firmware clears the screen.
        let said = line.rsplit('\u{1b}').next().unwrap_or(line);
        let said = said.split_once("] ").map_or(said, |(_, said)| said);
        return Err(said.trim().to_owned());
    }
    match boot.end {
        End::Hung => return Err("the boot hangs".into()),
        End::Stopped(status) if !status.success() => {
            return Err(format!("QEMU: {status}, {}", boot.complaints.trim()));
        }
        End::Stopped(_) => {}
    }
    let prefix = [MARK, "stage 2 reached"].concat();
    let Some(line) = boot.lines_with(&prefix).next() else {
        return Err("the boot does not reach stage 2".into());
    };
    let after = line.split(' ').next().unwrap_or_default();
    let after = after
        .parse()
        .map_err(|_| format!("stage 2 prints no time: {line:?}"))?;
    Ok(Stage2 { after, wall })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    const GOOD: &str = "storeboot: layout file, starting /nix/store/x/init\n\
        storeboot-bench: stage 2 reached 2.35 s after the kernel's start\n";

    fn judged(console: &str, end: End) -> Result<Stage2, String> {
        let boot = Boot {
            console: console.into(),
            complaints: "no room".into(),
            end,
        };
        judge(&boot, Duration::ZERO)
    }

    fn stopped(code: i32) -> End {
        End::Stopped(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn a_boot_to_the_end_succeeds() {
        let stage2 = judged(GOOD, stopped(0)).expect("it succeeds");
        assert_eq!(stage2.after, 2.35);
    }

    #[test]
    fn every_other_boot_fails() {
        assert_eq!(judged(GOOD, End::Hung), Err("the boot hangs".into()));
        assert!(judged(GOOD, stopped(1)).is_err_and(|fault| fault.contains("no room")));
        assert!(judged("", stopped(0)).is_err());
        for fault in FAULTS {
            let console = format!("[    1.0] {fault}: really\n{GOOD}");
            assert!(judged(&console, stopped(0)).is_err_and(|said| said.contains(fault)));
        }
        assert!(judged(&GOOD.replace("2.35", "soon"), stopped(0)).is_err());
    }
}
