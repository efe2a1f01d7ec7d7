//! `storeboot serve`: its arguments, and the call of the library.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum, ValueHint};
use storeboot::{Cache, Cancel, PublicKey};
use storeboot_serve::lines::{Kind, Style};
use storeboot_serve::{DhcpServer, Loaders, OnDemand, Server, Source, service};

use crate::arguments::{Stage1, bytes};
use crate::input;
use crate::say::{self, say};
use crate::writer::Writer;

/// So long the server's work may take to end after a signal, which ends the process after ten seconds.
const END: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub struct Serve {
    /// The netboot directory that every machine gets for which no rule says otherwise.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath,
          required_unless_present_any = ["rules", "flake", "configurations", "profiles", "hydras", "print"])]
    directory: Option<PathBuf>,
    /// A TOML file that says which machine gets what. It is read again when it changes.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    rules: Option<PathBuf>,
    /// Serves only what `storeboot sign` has signed with this key, NAME:BASE64. Can be given several times: any of them.
    #[arg(long = "public-key", value_name = "KEY", value_delimiter = ' ',
          conflicts_with_all = ["flake", "configurations", "profiles", "hydras"])]
    public_keys: Vec<PublicKey>,
    #[command(flatten)]
    on_demand: OnDemandArguments,
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
    /// Writes what to add to the configuration of a DHCP server, to do without `--dhcp proxy`, and serves nothing. Needs
    /// `--listen` with the address that machines know this one by.
    #[arg(long, value_name = "SERVER", value_enum)]
    print: Option<Print>,
    /// Writes what each machine does as JSON, a line each, to stdout.
    #[arg(long)]
    json: bool,
}

/// What is built when a machine asks for it.
#[derive(Debug, Args)]
struct OnDemandArguments {
    /// A flake. Rules and /dispatch/flake/NAME name its nixosConfigurations; they are built when machines ask for them.
    /// With #NAME, every machine gets that one for which no rule says otherwise.
    #[arg(long, value_name = "REF", conflicts_with = "directory")]
    flake: Option<String>,
    /// A folder of configurations, NAME/default.nix or NAME.nix each. Rules and /dispatch/configuration/NAME name them;
    /// they are built when machines ask for them.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    configurations: Option<PathBuf>,
    /// A folder of links to systems in the store. Rules and /dispatch/profile/NAME name them; they are packed when
    /// machines ask for them.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    profiles: Option<PathBuf>,
    /// A Hydra server, as https://hydra.example.org. Rules and /dispatch/hydra/HOST/PROJECT/JOBSET/JOB name its jobs;
    /// their latest builds are fetched and packed when machines ask for them. Can be given several times.
    #[arg(long = "hydra", value_name = "URL")]
    hydras: Vec<String>,
    /// The folder for what is built and packed, for one server at a time.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "/var/cache/storeboot-serve")]
    cache: PathBuf,
    /// The largest size of the cache of packed store paths. What was built comes on top.
    #[arg(long, value_name = "BYTES", default_value = "10G", value_parser = bytes)]
    cache_size: u64,
    /// So many minutes each of Nix's commands may take to evaluate, build or fetch a system.
    #[arg(long, value_name = "MINUTES", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    build_limit: u64,
    #[command(flatten)]
    stage1: Stage1,
}

impl OnDemandArguments {
    /// What every machine gets for which no rule says otherwise, if the flake's name says that.
    fn default(&self) -> Result<Option<Source>> {
        let name = self.flake.as_ref().and_then(|flake| flake.split_once('#'));
        let source = name.map(|(_, name)| Source::flake(name));
        source.transpose().map_err(anyhow::Error::msg)
    }

    fn settings(self) -> Result<Option<OnDemand>> {
        let is_nothing = self.flake.is_none()
            && self.configurations.is_none()
            && self.profiles.is_none()
            && self.hydras.is_empty();
        if is_nothing {
            return Ok(None);
        }
        let mut settings = OnDemand::new(&self.cache, input::stage1(&self.stage1)?);
        let flake = self.flake.as_ref().map(|flake| flake.split('#'));
        settings.flake = flake.and_then(|mut parts| parts.next().map(Into::into));
        settings.configurations = self.configurations;
        settings.profiles = self.profiles;
        settings.hydras = self.hydras;
        settings.build_limit = Duration::from_secs(self.build_limit * 60);
        let cache = Cache::open(self.cache.join("packed"), self.cache_size)?;
        settings.cache = Some(Arc::new(cache));
        Ok(Some(settings))
    }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Print {
    /// dnsmasq.
    Dnsmasq,
    /// Kea of the ISC.
    Kea,
    /// The ISC's older server, dhcpd.
    Isc,
}

/// Writes the configuration of a DHCP server.
fn print(what: Print, listen: SocketAddr, ipxe: Option<PathBuf>) -> Result<()> {
    let address = match listen.ip() {
        IpAddr::V4(address) if !address.is_unspecified() => address,
        _ => bail!(
            "machines have to be told this server's IPv4 address: name it with --listen, as --listen 192.0.2.1:8080"
        ),
    };
    let server = match what {
        Print::Dnsmasq => DhcpServer::Dnsmasq,
        Print::Kea => DhcpServer::Kea,
        Print::Isc => DhcpServer::Isc,
    };
    let places = ipxe.map_or_else(Loaders::places, |folder| vec![folder]);
    let places: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
    let loaders = Loaders::find(&places);
    let text = storeboot_serve::print(server, address, listen.port(), &loaders);
    say::print(text)
}

/// Serves until the process is told to end.
pub fn serve(arguments: Serve, cancel: &Cancel, quiet: bool) -> Result<()> {
    if let Some(what) = arguments.print {
        return print(what, arguments.listen, arguments.ipxe);
    }
    // Before other threads begin.
    let sockets = service::listeners()?;
    let default = arguments.directory.map(Source::Directory);
    let mut server = Server::new(default.or(arguments.on_demand.default()?));
    server.on_demand = arguments.on_demand.settings()?;
    server.rules = arguments.rules;
    server.public_keys = arguments.public_keys;
    server.listen = arguments.listen;
    server.sockets = sockets;
    server.interfaces = arguments.interfaces;
    server.dhcp = arguments.dhcp == Dhcp::Proxy;
    server.tftp = arguments.tftp == Tftp::On;
    server.ipxe = arguments.ipxe;
    server.limits.bytes_a_second = arguments.rate.map(|mib| mib << 20);
    let json = arguments.json;
    if json {
        server.style = Style::Json;
    }
    let style = server.style;
    let write = move |line: &str| match json {
        // Where nobody reads any more, the server goes on for its machines.
        true => drop(writeln!(std::io::stdout().lock(), "{line}")),
        false => say(line),
    };
    let omission =
        move |count| style.notice(&format!("{count} lines are left out: nobody read them"));
    let (writer, written) =
        Writer::start(write, omission).context("cannot start the server's threads")?;
    let tell = move |kind: Kind, line: &str| {
        if json || !quiet || kind == Kind::Fault {
            writer.write(line);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the server's threads")?;
    let cancel = cancel.clone();
    let stop = async move {
        while !cancel.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let result = runtime.block_on(server.run(tell, stop));
    // What reads a large file at the start does not keep the process.
    runtime.shutdown_timeout(END);
    written.wait();
    Ok(result?)
}
