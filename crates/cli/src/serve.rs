//! `storeboot serve`: its arguments, and the call of the library.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum, ValueHint};
use storeboot::Cancel;
use storeboot_serve::lines::Style;
use storeboot_serve::{Server, Source};

use crate::say::say;

#[derive(Debug, Args)]
pub struct Serve {
    /// The netboot directory that every machine gets for which no rule says otherwise.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath, required_unless_present = "rules")]
    directory: Option<PathBuf>,
    /// A TOML file that says which machine gets what. It is read again when it changes.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    rules: Option<PathBuf>,
    /// Where HTTP listens.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:8080")]
    listen: SocketAddr,
    /// Answers DHCP on this network interface only. Can be given several times.
    #[arg(long = "interface", value_name = "NAME")]
    interfaces: Vec<String>,
    /// Whether machines learn of this server from an answer beside that of the DHCP server that is there.
    #[arg(long, value_name = "HOW", default_value = "proxy")]
    dhcp: Dhcp,
    /// Whether firmware can load by TFTP.
    #[arg(long, value_name = "WHETHER", default_value = "on")]
    tftp: Tftp,
    /// The folder with iPXE's files. The default are the places where distributions put them.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    ipxe: Option<PathBuf>,
    /// The most that HTTP sends to all machines together, in MiB a second.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: Option<u64>,
    /// Writes what each machine does as JSON, a line each, to stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dhcp {
    /// Beside the DHCP server that is there.
    Proxy,
    /// Not at all.
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tftp {
    /// On port 69.
    On,
    /// Not at all.
    Off,
}

/// Serves until the process is told to end.
pub fn serve(arguments: Serve, cancel: &Cancel, quiet: bool) -> Result<()> {
    let mut server = Server::new(arguments.directory.map(Source::Directory));
    server.rules = arguments.rules;
    server.listen = arguments.listen;
    server.interfaces = arguments.interfaces;
    server.dhcp = arguments.dhcp == Dhcp::Proxy;
    server.tftp = arguments.tftp == Tftp::On;
    server.ipxe = arguments.ipxe;
    server.limits.bytes_a_second = arguments.rate.map(|mib| mib << 20);
    let json = arguments.json;
    if json {
        server.style = Style::Json;
    }
    let write = move |line: &str| match json {
        // Where nobody reads any more, the server goes on for its machines.
        true => drop(writeln!(std::io::stdout().lock(), "{line}")),
        false if quiet => {}
        false => say(line),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the server's threads")?;
    let cancel = cancel.clone();
    let stop = async move {
        while !cancel.is_cancelled() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    runtime.block_on(server.run(write, stop))?;
    Ok(())
}
