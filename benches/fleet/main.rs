//! Lets many clients of stage 1's own code fetch a store image at once from a real nginx on the loopback interface, and
//! compares them with as many of curl.
//!
//! Each client is a process of its own, as is each curl, and all start at once. A client checks each chunk, as stage 1
//! does, and adds up what it got, so that wrong bytes are noticed.

mod client;
mod crowd;
mod image;

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use storeboot_benches::curl;
use storeboot_tests::debian::repository;
use storeboot_tests::nginx::{Nginx, free_port};

use crowd::Outcome;
use image::Image;

/// Lets many clients of stage 1's code fetch an image at once from nginx, and compares them with as many of curl.
#[derive(Debug, Parser)]
struct Arguments {
    /// The number of clients that fetch at once.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// The size of the store image, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    size: u32,
    /// The number of rounds. In each, first curl runs, and then the clients do.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The folder for the image, and for nginx's files.
    #[arg(long, value_name = "DIR", default_value_os_t = repository().join("target/bench/fleet"))]
    work: PathBuf,
    /// Runs one client, which fetches from this URL. The program calls itself with it.
    #[arg(long, value_name = "URL", hide = true)]
    client: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(url) = &arguments.client {
        return client::run(&Image::open(&arguments.work)?, url);
    }
    let (image, sum) = Image::make(&arguments.work, arguments.size)?;
    let port = free_port();
    let http = format!(
        "server {{ listen 127.0.0.1:{port} backlog=4096; root {}; sendfile on; tcp_nopush on; access_log off; }}",
        arguments.work.display()
    );
    let nginx = Nginx::start(&arguments.work.join("nginx"), port, &http);
    let _nginx = nginx.context("install nginx")?;
    let place = format!("http://127.0.0.1:{port}");
    let program = env::current_exe().context("this program")?;
    let curl = || curl(&format!("{place}/{}", image::PATH));
    let client = || {
        let mut client = Command::new(&program);
        client
            .arg("--client")
            .arg(&place)
            .arg("--work")
            .arg(&arguments.work);
        client
    };
    let ours = format!("{} {sum:016x}", image.size);

    println!(
        "{} at once, an image of {} MiB, nginx on the loopback interface of this machine with {} processors.\n\n\
         | round | who | complete | wrong | failed | seconds | MB/s |\n| --- | --- | --- | --- | --- | --- | --- |",
        arguments.clients,
        arguments.size,
        available_parallelism()?,
    );
    let mut ratios = Vec::new();
    for round in 1..=arguments.rounds {
        let curl = crowd::run(arguments.clients, &image.size.to_string(), curl)?;
        let ours = crowd::run(arguments.clients, &ours, client)?;
        let curl_rate = report(round, "curl", &curl, &image);
        let our_rate = report(round, "stage 1's code", &ours, &image);
        ratios.push(our_rate / curl_rate);
        for outcome in [curl, ours] {
            ensure!(
                outcome.complete == arguments.clients as usize,
                "not all are complete"
            );
        }
    }
    ratios.sort_by(f64::total_cmp);
    println!("\nMedian: {:.2} of curl's rate.", ratios[ratios.len() / 2]);
    Ok(())
}

/// Prints a row of the table, and returns the rate of all together in bytes a second.
fn report(round: u32, who: &str, outcome: &Outcome, image: &Image) -> f64 {
    let rate = outcome.complete as f64 * image.size as f64 / outcome.seconds;
    println!(
        "| {round} | {who} | {} | {} | {} | {:.2} | {:.0} |",
        outcome.complete,
        outcome.wrong,
        outcome.failed,
        outcome.seconds,
        rate / 1e6,
    );
    rate
}
