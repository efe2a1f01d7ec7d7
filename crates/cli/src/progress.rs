//! Shows the progress of a build: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use storeboot::{Plain, Progress};

use crate::say::say;

/// Prints the steps of a build to standard error.
pub struct Display {
    quiet: bool,
    bar: Mutex<ProgressBar>,
}

impl Display {
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            bar: Mutex::new(ProgressBar::hidden()),
        }
    }

    fn with_bar(&self, act: impl FnOnce(&mut ProgressBar)) {
        if let Ok(mut bar) = self.bar.lock() {
            act(&mut bar);
        }
    }
}

impl Progress for Display {
    fn begin(&self, step: &str, total: Option<u64>) {
        if self.quiet {
            return;
        }
        if !stderr().is_terminal() {
            say(step);
            return;
        }
        let bar = bar(step, total);
        bar.enable_steady_tick(Duration::from_millis(200));
        self.with_bar(|shown| {
            shown.finish_and_clear();
            *shown = bar;
        });
    }

    fn reached(&self, bytes: u64) {
        self.with_bar(|bar| bar.set_position(bytes));
    }

    fn note(&self, text: &str) {
        if !self.quiet {
            self.with_bar(|bar| bar.suspend(|| say(text)));
        }
    }
}

/// A bar for this step, whose text may have names of files in it.
fn bar(step: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{msg} {wide_bar} {bytes}/{total_bytes} {elapsed}",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(Plain(step).to_string());
    bar
}

impl Drop for Display {
    fn drop(&mut self) {
        self.with_bar(|bar| bar.finish_and_clear());
    }
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn control_characters_of_a_step_are_escaped() {
        for total in [None, Some(1)] {
            let message = bar("reading a\nb\u{1b}[2J", total).message();
            assert_eq!(message, "reading a\\nb\\u{1b}[2J");
        }
    }
}
