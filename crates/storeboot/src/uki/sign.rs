//! Has another program sign a file for Secure Boot.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use object::pe::Machine;

use super::HEAD;
use super::pe::certificates;
use crate::{Cancel, Error};

/// How often a program that signs is looked after.
const PERIOD: Duration = Duration::from_millis(20);

/// Runs a command of the shell, which reads the file that `$UNSIGNED` names and writes the one that `$SIGNED` names.
pub(super) fn sign(
    command: &str,
    unsigned: &Path,
    signed: &Path,
    machine: Machine,
    cancel: &Cancel,
) -> Result<(), Error> {
    let refuse = |reason: String| Error::Sign {
        command: command.into(),
        reason,
    };
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("UNSIGNED", unsigned)
        .env("SIGNED", signed)
        .stdin(Stdio::null())
        // What storeboot itself prints goes to the standard output.
        .stdout(io::stderr())
        .spawn()
        .map_err(|error| refuse(format!("the shell cannot be run: {error}")))?;
    let status = wait(&mut child, cancel)?.map_err(|error| refuse(error.to_string()))?;
    if !status.success() {
        return Err(refuse(format!("it ended with {status}")));
    }
    check(unsigned, signed, machine).map_err(refuse)
}

/// Waits for the command. It does not outlive a build that is cancelled.
fn wait(child: &mut Child, cancel: &Cancel) -> Result<io::Result<ExitStatus>, Error> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Ok(status)),
            Ok(None) => {}
            Err(error) => return Ok(Err(error)),
        }
        if let Err(cancelled) = cancel.check() {
            // It may have ended by itself in this moment.
            let _ = child.kill();
            let _ = child.wait();
            return Err(cancelled);
        }
        thread::sleep(PERIOD);
    }
}

/// Checks that there is a signed file, and that its signature is behind what was to be signed.
fn check(unsigned: &Path, signed: &Path, machine: Machine) -> Result<(), String> {
    let open = |path: &Path| {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    };
    let (file, metadata) = open(signed)
        .map_err(|error: io::Error| format!("it wrote no file where $SIGNED says ({error})"))?;
    let size = unsigned
        .metadata()
        .map_err(|error| error.to_string())?
        .len();
    let mut head = Vec::new();
    file.take(HEAD)
        .read_to_end(&mut head)
        .map_err(|error| error.to_string())?;
    match certificates(&head, machine)? {
        Some((offset, length)) if offset >= size && offset + length <= metadata.len() => Ok(()),
        _ => Err("what it wrote has no signature".into()),
    }
}
