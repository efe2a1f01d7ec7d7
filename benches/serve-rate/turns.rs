//! The servers take turns with the same load.

use std::fmt;
use std::fs;

use anyhow::Result;
use storeboot_benches::processor::processor_time;

use crate::clients;

/// A server that is compared.
pub struct Server {
    /// Its process. Those that it started are of it.
    pub process: u32,
    pub port: u16,
    /// The path of its files, with a slash at the end.
    pub place: String,
}

/// What clients load: a file of so many bytes.
pub enum Load {
    /// One curl.
    Curl(&'static str, u64),
    /// So many connections of this program.
    Clients(u32, &'static str, u64),
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Curl(..) => f.write_str("1 (curl)"),
            Self::Clients(number, ..) => number.fmt(f),
        }
    }
}

/// The rate of a load in bytes a second, and the processor's time for a byte.
struct Figures {
    rate: f64,
    cost: f64,
}

/// Puts a load on both servers, prints a row with what it took, and returns the second's rate by the first's.
pub fn take(round: u32, load: &Load, servers: &[Server; 2]) -> Result<f64> {
    let [nginx, ours] = servers;
    // Neither is always the first.
    let (nginx, ours) = if round % 2 == 1 {
        let nginx = run(load, nginx)?;
        (nginx, run(load, ours)?)
    } else {
        let ours = run(load, ours)?;
        (run(load, nginx)?, ours)
    };
    let ratio = ours.rate / nginx.rate;
    println!(
        "| {round} | {load} | {:.0} | {:.0} | {ratio:.2} | {:.2} | {:.2} |",
        nginx.rate / 1e6,
        ours.rate / 1e6,
        nginx.cost * 1e9,
        ours.cost * 1e9,
    );
    Ok(ratio)
}

fn run(load: &Load, server: &Server) -> Result<Figures> {
    let before = processor(server.process)?;
    let path = |name: &str| format!("{}{name}", server.place);
    let (rate, bytes) = match load {
        Load::Curl(name, size) => (clients::curl(server.port, &path(name), *size)?, *size),
        Load::Clients(number, name, size) => (
            clients::many(*number, server.port, &path(name), *size)?,
            u64::from(*number) * size,
        ),
    };
    let cost = (processor(server.process)? - before) / bytes as f64;
    Ok(Figures { rate, cost })
}

/// The seconds of a processor that a process and those that it started have had.
fn processor(process: u32) -> Result<f64> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let children = children
        .split_whitespace()
        .filter_map(|word| word.parse().ok());
    std::iter::once(process)
        .chain(children)
        .map(|process| Ok(processor_time(process)?.own))
        .sum()
}
