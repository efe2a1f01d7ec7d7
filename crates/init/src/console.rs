//! Messages on the console.
//!
//! They go through the kernel's log, which reaches every console and keeps them for `dmesg`. Nothing here allocates,
//! so that even a lack of memory can be reported.

use core::fmt::{self, Write};

use crate::sys::{self, Fd, Open};

/// How much one message may hold: the kernel takes a little more in one record of its log.
const LINE: usize = 900;

/// How urgent a message is, as the kernel's log counts: the smaller, the more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Level {
    /// "Action must be taken immediately": seen under `quiet`, and under `loglevel=2`.
    Alert = 1,
    Warning = 4,
    Info = 6,
}

/// Where messages go, and which of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    debug: bool,
}

impl Console {
    /// A console without the steps that `storeboot.debug` adds.
    pub(crate) const fn plain() -> Self {
        Self { debug: false }
    }

    /// A console that also shows every step if `debug` is set.
    pub(crate) const fn new(debug: bool) -> Self {
        Self { debug }
    }

    /// Reports why the boot ends. Shown at any log level.
    pub(crate) fn error(&self, message: &dyn fmt::Display) {
        say(Level::Alert, true, format_args!("storeboot: {message}"));
    }

    /// Reports what may cause trouble later. Shown at any log level.
    pub(crate) fn warning(&self, message: &dyn fmt::Display) {
        say(
            Level::Warning,
            true,
            format_args!("storeboot: warning: {message}"),
        );
    }

    /// Logs what is wrong while the booted system runs: to the kernel's log only, since the console is the system's.
    pub(crate) fn log(&self, message: &dyn fmt::Display) {
        say(
            Level::Warning,
            false,
            format_args!("storeboot: warning: {message}"),
        );
    }

    /// Logs a line. Not shown on the console with `quiet`.
    pub(crate) fn info(&self, message: &dyn fmt::Display) {
        say(
            Level::Info,
            self.debug,
            format_args!("storeboot: {message}"),
        );
    }

    /// Logs a finished step with the time since the kernel started, if `debug` is set.
    pub(crate) fn step(&self, message: fmt::Arguments<'_>) {
        if self.debug {
            let time = sys::boot_time();
            let (seconds, micros) = (time.as_secs(), time.subsec_micros());
            say(
                Level::Info,
                true,
                format_args!("storeboot: {seconds}.{micros:06} s: {message}"),
            );
        }
    }
}

/// Whether the kernel restarts the machine at once after a panic, as `panic=-1` asks for.
pub(crate) fn restarts_at_once() -> bool {
    first_number(c"/proc/sys/kernel/panic").is_some_and(|seconds| seconds < 0)
}

/// Writes a message to standard error, for a caller.
pub(crate) fn to_standard_error(message: fmt::Arguments<'_>) {
    let mut line = Line::new();
    let _ = line.write_fmt(message);
    let _ = Fd::standard_error().write(line.finish());
}

/// Tells another stage 1 why this program fails. A message to systemd's journal does not show on the console, so it
/// goes to the kernel's log too.
pub(crate) fn to_caller(message: &dyn fmt::Display) {
    to_standard_error(format_args!("storeboot: {message}"));
    let is_read = Fd::standard_error()
        .stat()
        .is_ok_and(|stat| !stat.is_socket());
    if !is_read {
        Console::plain().error(message);
    }
}

fn say(level: Level, must_be_seen: bool, message: fmt::Arguments<'_>) {
    let mut line = Line::new();
    // A `Line` takes what fits and never fails.
    let _ = write!(line, "<{}>{message}", level as u8);
    let line = line.finish();
    // Opened each time: the kernel counts messages by open file and drops the eleventh within five seconds.
    let logged = sys::open(c"/dev/kmsg", Open::Write).is_ok_and(|log| log.write(line).is_ok());
    if !logged || must_be_seen && is_hidden(level) {
        // Without the level, which only the log understands. If this fails too, no place is left to report to.
        let text = line.get(3..).unwrap_or_default();
        let _ = match sys::open(c"/dev/console", Open::Write) {
            Ok(console) => console.write(text),
            Err(_) => Fd::standard_error().write(text),
        };
    }
}

/// Whether the kernel's log level keeps such messages off the consoles.
fn is_hidden(level: Level) -> bool {
    first_number(c"/proc/sys/kernel/printk")
        .is_some_and(|shown_below| i64::from(level as u8) >= shown_below)
}

fn first_number(path: &core::ffi::CStr) -> Option<i64> {
    let mut text = [0; 64];
    let len = sys::open(path, Open::Read).ok()?.read(&mut text).ok()?;
    str::from_utf8(&text[..len])
        .ok()?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

/// One line of limited length. It ends in [`CUT`](Line::CUT) where the text was longer.
struct Line {
    bytes: [u8; LINE],
    len: usize,
    full: bool,
}

impl Line {
    /// Marks a text that was cut off.
    const CUT: &str = "[...]";

    const fn new() -> Self {
        Self {
            bytes: [0; LINE],
            len: 0,
            full: false,
        }
    }

    fn push(&mut self, c: char) {
        let end = self.len + c.len_utf8();
        c.encode_utf8(&mut self.bytes[self.len..end]);
        self.len = end;
    }

    /// Ends the line and returns it.
    fn finish(&mut self) -> &[u8] {
        self.push('\n');
        &self.bytes[..self.len]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.full {
                break;
            }
            // Room for this character, the mark, and the line feed.
            if self.len + c.len_utf8() + Self::CUT.len() < LINE {
                // A file name or a kernel argument must not end the line, nor move the cursor.
                self.push(if c.is_control() { '?' } else { c });
            } else {
                self.full = true;
                Self::CUT.chars().for_each(|c| self.push(c));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_is_cut_with_a_sign() {
        let mut line = Line::new();
        write!(line, "a\nb\x1b[2Jc").unwrap();
        assert_eq!(line.finish(), b"a?b?[2Jc\n");

        for text in [
            "x".repeat(LINE),
            "\u{2026}".repeat(LINE),
            "x".repeat(2 * LINE),
        ] {
            let mut line = Line::new();
            write!(line, "{text}{text}").unwrap();
            let line = line.finish();
            assert!(line.len() <= LINE);
            assert!(line.ends_with(b"[...]\n"));
        }

        let mut line = Line::new();
        let just_fits = "x".repeat(LINE - 1 - Line::CUT.len());
        write!(line, "{just_fits}").unwrap();
        assert_eq!(line.finish(), [just_fits.as_bytes(), b"\n"].concat());
    }
}
