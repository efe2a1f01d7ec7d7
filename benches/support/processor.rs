//! Processor time, as /proc tells it.

use std::fs;

use anyhow::{Context, Result};

/// The ticks of a second in /proc: USER_HZ, which is 100 on all current architectures.
pub const TICKS: f64 = 100.0;

/// Seconds of processor time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessorTime {
    /// Of the process itself.
    pub own: f64,
    /// Of the processes that it started, that have ended, and that it waited for.
    pub ended_children: f64,
}

/// What a process has had so far.
///
/// # Errors
/// If there is no such process.
pub fn processor_time(process: u32) -> Result<ProcessorTime> {
    let file = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&file).with_context(|| format!("{file}: has it ended?"))?;
    parse(&stat).context("proc_pid_stat(5)")
}

fn parse(stat: &str) -> Option<ProcessorTime> {
    // What comes behind the program's name, which may hold spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let seconds = |place: usize| Some(fields.get(place)?.parse::<f64>().ok()? / TICKS);
    Some(ProcessorTime {
        own: seconds(11)? + seconds(12)?,
        ended_children: seconds(13)? + seconds(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_may_hold_anything() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 100 50 200 25 20 0";
        let expected = ProcessorTime {
            own: 1.5,
            ended_children: 2.25,
        };
        assert_eq!(parse(stat), Some(expected));
        assert_eq!(parse("7 (a) S 1"), None);
    }
}
