//! Compares `storeboot serve` with nginx: the same file, over the loopback interface, to one client and to many.
//!
//! nginx sends with sendfile(2). Both servers are processes of their own that run all the time, and take turns.

mod clients;
mod server;
mod turns;

use std::path::PathBuf;
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use clap::Parser;
use storeboot_tests::debian::repository;
use storeboot_tests::nginx::{Nginx, free_port};

use server::Ours;
use turns::{Load, Server};

/// Compares `storeboot serve` with nginx: the same file, over the loopback interface, to one client and to many.
#[derive(Debug, Parser)]
struct Arguments {
    /// The size of the file that one client gets, in MiB. Each of many gets a sixteenth of it.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(16..))]
    size: u64,
    /// The number of clients that load at once.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// The number of rounds.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The folder for the files, and for nginx's.
    #[arg(long, value_name = "DIR", default_value_os_t = repository().join("target/bench/serve-rate"))]
    work: PathBuf,
    /// Serves the folder on this port. The program calls itself with it.
    #[arg(long, value_name = "PORT", hide = true)]
    serve: Option<u16>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = arguments.work.join("netboot");
    if let Some(port) = arguments.serve {
        return server::run(&folder, port);
    }
    let id = server::make(&folder, arguments.size << 20)?;
    let port = free_port();
    let http = format!(
        "server {{ listen 127.0.0.1:{port} backlog=4096; root {}; sendfile on; tcp_nopush on; access_log off; }}",
        folder.display()
    );
    let nginx =
        Nginx::start(&arguments.work.join("nginx"), port, &http).context("install nginx")?;
    let ours = Ours::start(&arguments.work)?;
    let servers = [
        Server {
            process: nginx.id(),
            port,
            place: "/".into(),
        },
        Server {
            process: ours.id(),
            port: ours.port,
            place: format!("/boot/{id}/"),
        },
    ];
    let whole = arguments.size << 20;
    let loads = [
        Load::Curl(server::LARGE, whole),
        Load::Clients(1, server::LARGE, whole),
        Load::Clients(arguments.clients, server::SMALL, whole / 16),
    ];

    println!(
        "A file of {} MiB for one client, of {} MiB for each of {}, on the loopback interface of a machine with {} \
         processors. Rate: of all clients together. Processor: seconds of it that the server takes for 1 GB.\n\n\
         | round | clients | nginx, MB/s | storeboot, MB/s | ratio | nginx, s/GB | storeboot, s/GB |\n\
         | --- | --- | --- | --- | --- | --- | --- |",
        arguments.size,
        arguments.size / 16,
        arguments.clients,
        available_parallelism()?,
    );
    let mut ratios = vec![Vec::new(); loads.len()];
    for round in 1..=arguments.rounds {
        for (load, ratios) in loads.iter().zip(&mut ratios) {
            ratios.push(turns::take(round, load, &servers)?);
        }
    }
    println!();
    for (load, mut ratios) in loads.iter().zip(ratios) {
        ratios.sort_by(f64::total_cmp);
        println!(
            "{load}: {:.2} of nginx's rate (the median).",
            ratios[ratios.len() / 2]
        );
    }
    println!(
        "Peak memory of our server: {:.1} MB.",
        ours.peak_memory()? as f64 / 1e6
    );
    Ok(())
}
