//! Compares the rate at which stage 1 fetches a store image with that of curl, in the same guest and from the same nginx.
//!
//! The store holds one file that does not compress, busybox, and curl with its libraries. Stage 1 fetches the image and
//! checks each chunk; stage 2 lets curl fetch the same image to `/dev/null`.

mod system;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use storeboot_tests::debian::repository;
use storeboot_tests::nginx::{Nginx, Request, free_port};
use storeboot_tests::qemu::{Boot, Kernel, Machine, QUIET};

use system::System;

/// A boot that takes longer than this hangs.
const LIMIT: Duration = Duration::from_secs(900);

/// Compares the rate at which stage 1 fetches an image, checks included, with that of curl in the same guest.
#[derive(Debug, Parser)]
struct Arguments {
    /// The size of the store image, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    size: u32,
    /// The number of boots.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    boots: u32,
    /// The processor that QEMU emulates, as a value of its -cpu.
    #[arg(long, value_name = "MODEL", default_value = "max")]
    cpu: String,
    /// The number of processors that QEMU emulates.
    #[arg(long, value_name = "N", default_value_t = 1)]
    processors: u32,
    /// The model of the network card.
    #[arg(long, value_name = "MODEL", default_value = "virtio-net-pci")]
    card: String,
    /// The folder for the store and its netboot directory.
    #[arg(long, value_name = "DIR", default_value_os_t = repository().join("target/bench/fetch-rate"))]
    work: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let Some(kernel) = Kernel::debian("6.12") else {
        bail!("cannot run machines here; `make deps` installs the programs for that");
    };
    let system = System::build(&arguments.work, &kernel, arguments.size)?;
    let port = free_port();
    let nginx = Nginx::start(
        &arguments.work.join("nginx"),
        port,
        &configuration(&system, port),
    );
    let nginx = nginx.context("install nginx")?;

    println!(
        "An image of {:.0} MB, nginx on the host, QEMU's user network, {}, -accel tcg, -cpu {}, -smp {}.\n\n\
         | boot | stage 1, MB/s | curl, MB/s (best of {}) | stage 1 of curl |\n| --- | --- | --- | --- |",
        system.image_size as f64 / 1e6,
        arguments.card,
        arguments.cpu,
        arguments.processors,
        system::TIMES,
    );
    let mut ratios = Vec::new();
    let mut seen = 0;
    for number in 1..=arguments.boots {
        let boot = boot(&arguments, &system, port);
        // The log has the requests of all boots.
        let requests = nginx.requests().split_off(seen);
        seen += requests.len();
        let (ours, curl) = rates(&requests, system.image_size).with_context(|| boot.to_string())?;
        println!(
            "| {number} | {:.1} | {:.1} | {:.2} |",
            ours / 1e6,
            curl / 1e6,
            ours / curl
        );
        ratios.push(ours / curl);
    }
    ratios.sort_by(f64::total_cmp);
    println!("\nMedian: {:.2} of curl's rate.", ratios[ratios.len() / 2]);
    Ok(())
}

fn configuration(system: &System, port: u16) -> String {
    format!(
        "server {{ listen 127.0.0.1:{port}; root {}; sendfile on; tcp_nopush on; }}",
        system.netboot.display()
    )
}

/// Boots the system with a network that stays up in stage 2.
fn boot(arguments: &Arguments, system: &System, port: u16) -> Boot {
    let place = format!("http://10.0.2.2:{port}");
    let image = system.image.display();
    Machine::new()
        .kernel(system.netboot.join("bzImage"))
        .initrd(system.netboot.join("initrd"))
        .append(&system.command_line)
        .append(QUIET)
        .append(&format!(
            "storeboot.store={place} storeboot.keep-network BENCH_URL={place}/{image}"
        ))
        // Twice the image, since curl runs from it while it is in memory.
        .memory_mib(512 + 2 * arguments.size)
        .argument("-cpu")
        .argument(&arguments.cpu)
        .argument("-smp")
        .argument(arguments.processors.to_string())
        .argument("-nic")
        .argument(format!("user,model={}", arguments.card))
        .boot(LIMIT)
}

/// The rates of stage 1 and of curl in bytes a second, from the begin of the first request to the end of the last one, as
/// nginx sees it. Of curl's, the best one.
fn rates(requests: &[Request], size: u64) -> Result<(f64, f64)> {
    let images = requests
        .iter()
        .filter(|request| request.path.starts_with("/images/"));
    let (curl, ours): (Vec<&Request>, Vec<&Request>) =
        images.partition(|request| request.agent.starts_with("curl/"));
    ensure!(
        curl.len() == system::TIMES as usize,
        "curl asked {} times",
        curl.len()
    );
    let mut best: f64 = 0.0;
    for request in curl {
        ensure!(request.bytes == size, "curl got {} bytes", request.bytes);
        best = best.max(size as f64 / request.seconds);
    }
    let bytes: u64 = ours.iter().map(|request| request.bytes).sum();
    ensure!(bytes >= size, "stage 1 got {bytes} bytes of {size}");
    let begin = ours.iter().map(|request| request.end - request.seconds);
    let end = ours.iter().map(|request| request.end);
    let seconds = end.fold(0.0, f64::max) - begin.fold(f64::INFINITY, f64::min);
    // What arrived twice does not count.
    Ok((size as f64 / seconds, best))
}
