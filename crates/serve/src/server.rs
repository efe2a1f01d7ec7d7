//! The server as a whole: its parts, started in order.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use storeboot::PublicKey;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::dhcp::Proxy;
use crate::error::sentence;
use crate::lines::{Kind, Style};
use crate::rules::{News, RulesFile};
use crate::sources::dispatch;
use crate::tftp::{self, Tftp};
use crate::{
    Desk, Error, Loaders, Offers, OnDemand, Reach, Rules, Source, Sources, http, lines, page,
    reach, service,
};

/// What a server is to do.
#[derive(Debug)]
#[non_exhaustive]
pub struct Server {
    /// What a machine gets that no rule names anything for.
    pub default: Option<Source>,
    /// The file of rules.
    pub rules: Option<PathBuf>,
    /// Keys of which one must have signed each netboot directory; without any, none need be signed.
    pub public_keys: Vec<PublicKey>,
    /// How systems are built when machines ask for them. `None`: there are only netboot directories.
    pub on_demand: Option<OnDemand>,
    /// Where HTTP listens, unless there are sockets already.
    pub listen: SocketAddr,
    /// Sockets for HTTP that are open: those of [`service::listeners`].
    pub sockets: Vec<std::net::TcpListener>,
    /// The interfaces of DHCP; none are all.
    pub interfaces: Vec<String>,
    /// Whether to answer DHCP as a proxy.
    pub dhcp: bool,
    /// Whether to serve TFTP.
    pub tftp: bool,
    /// The folder with iPXE's files; without it, where distributions put them.
    pub ipxe: Option<PathBuf>,
    /// What HTTP clients may do.
    pub limits: http::Limits,
    /// How lines are written.
    pub style: Style,
}

/// The ports that are open, and where machines are told that HTTP is.
struct Ports {
    http: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    proxy: Option<(Proxy, Reach)>,
    tftp: Option<(Tftp, Reach)>,
}

impl Server {
    /// A server that gives every machine the same, by DHCP, TFTP and HTTP on port 8080.
    pub fn new(default: Option<Source>) -> Self {
        Self {
            default,
            rules: None,
            public_keys: Vec::new(),
            on_demand: None,
            listen: SocketAddr::from(([0; 8], 8080)),
            sockets: Vec::new(),
            interfaces: Vec::new(),
            dhcp: true,
            tftp: true,
            ipxe: None,
            limits: http::Limits::default(),
            style: Style::Plain,
        }
    }

    /// Serves until `stop` ends. `say` gets a line for what each machine and the server does, and for what goes wrong.
    ///
    /// Checks all that was named before the first machine is answered.
    ///
    /// # Errors
    /// Where a port, an interface, the rules or a netboot directory that they name cannot be used.
    pub async fn run(
        mut self,
        say: impl Fn(Kind, &str) + Clone + Send + Sync + 'static,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let style = self.style;
        let notice = {
            let say = say.clone();
            move |kind: Kind, text: &str| say(kind, &style.notice(text))
        };
        // Each file that is served is open, and many systems let a process have only 1024 unless it asks for more.
        http::raise_file_limit();
        let lacking = {
            let notice = notice.clone();
            move |reason: &str| {
                let text = format!("machines do not get what the rules name: {reason}");
                notice(Kind::Fault, &text);
            }
        };
        let passed = std::mem::take(&mut self.sockets);
        if self.on_demand.is_some() && !self.public_keys.is_empty() {
            return Err(Error::UnsignedBuilds);
        }
        let (rules_file, rules) = self.rules()?;
        let loaders = self.loaders(&notice)?;
        let offers = Arc::new(Offers::default());
        let sources = Sources::with_notices(Arc::clone(&offers), notice.clone());
        sources.insist_on(self.public_keys.clone());
        if let Some(settings) = self.on_demand.clone() {
            sources.build_on_demand(settings)?;
        }
        let desk = Arc::new(Desk::new(offers, sources, loaders, rules));
        let rules = desk.rules();
        let mut stop = pin!(stop);
        tokio::select! {
            prepared = desk.sources.prepare(rules.sources()) => prepared?,
            () = &mut stop => return Ok(()),
        }
        for error in rules.lacking_archives() {
            lacking(&sentence(&error));
        }

        let Ports {
            http,
            addresses,
            proxy,
            tftp,
        } = self.open(passed)?;

        let (ending, ended) = watch::channel(false);
        let until_the_end = || {
            let mut ended = ended.clone();
            // An error means that the sender is gone, which is the end, too.
            async move { drop(ended.wait_for(|ended| *ended).await) }
        };
        let mut tasks = JoinSet::new();
        let said = say.clone();
        tasks.spawn(lines::follow(Arc::clone(&desk), style, move |line| {
            said(Kind::Step, &line);
        }));
        tasks.spawn(service::follow(Arc::clone(&desk)));
        if let Some(file) = rules_file {
            let (desk, notice) = (Arc::clone(&desk), notice.clone());
            tasks.spawn(async move {
                file.follow(&desk, |news| match news {
                    News::Taken => notice(Kind::Notice, "the rules have changed"),
                    News::Lacking(reason) => lacking(reason),
                    News::Refused(error) => {
                        notice(Kind::Fault, &format!("the old rules stay: {error}"));
                    }
                })
                .await;
            });
        }
        if let Some((proxy, reach)) = proxy {
            tasks.spawn(proxy.serve(Arc::clone(&desk), reach, self.tftp, until_the_end()));
        }
        if let Some((tftp, reach)) = tftp {
            let (desk, notice, stop) = (Arc::clone(&desk), notice.clone(), until_the_end());
            tasks.spawn(async move {
                if let Err(error) = tftp.serve(desk, reach, stop).await {
                    notice(Kind::Fault, &error.to_string());
                }
            });
        }
        let more = page::router(Arc::clone(&desk)).merge(dispatch::router(Arc::clone(&desk)));
        let http = http::serve(
            Arc::clone(&desk),
            more,
            http,
            self.limits.clone(),
            until_the_end(),
        );
        let serving = format!("serving{}", self.summary(addresses.first().copied()));
        notice(Kind::Notice, &serving);
        service::ready();
        let mut http = pin!(http);
        let is_over = tokio::select! {
            () = &mut stop => false,
            () = &mut http => true,
        };
        service::stopping();
        // Before the threads of HTTP end, which wait for what is being packed.
        desk.sources.stop();
        ending.send_replace(true);
        if !is_over {
            http.await;
        }
        tasks.shutdown().await;
        Ok(())
    }

    /// Opens the ports; for HTTP only where the service manager passed none.
    fn open(&self, passed: Vec<std::net::TcpListener>) -> Result<Ports, Error> {
        let no_port = |cause| self.no_port(cause);
        let http: Vec<TcpListener> = match passed.is_empty() {
            false => passed
                .into_iter()
                .map(TcpListener::from_std)
                .collect::<Result<_, _>>()
                .map_err(no_port)?,
            true => vec![reach::open(self.listen).map_err(no_port)?],
        };
        let addresses: Vec<SocketAddr> = http
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        let mut ports = Ports {
            http,
            addresses,
            proxy: None,
            tftp: None,
        };
        if self.dhcp {
            let reach = Reach::of(&ports.addresses)?;
            ports.proxy = Some((Proxy::open(&self.interfaces)?, reach));
        }
        if self.tftp {
            let reach = Reach::of(&ports.addresses)?;
            let place = SocketAddr::from((reach.address(), tftp::PORT));
            ports.tftp = Some((Tftp::open(place)?, reach));
        }
        Ok(ports)
    }

    fn rules(&self) -> Result<(Option<RulesFile>, Rules), Error> {
        match (&self.rules, &self.default) {
            (Some(path), default) => {
                let (file, rules) = RulesFile::open(path, default.clone())?;
                Ok((Some(file), rules))
            }
            (None, Some(source)) => Ok((None, Rules::same_for_all(source.clone()))),
            // Machines get what they ask for by its name.
            (None, None) if self.on_demand.is_some() => Ok((None, Rules::default())),
            (None, None) => Err(Error::NothingToServe),
        }
    }

    fn loaders(&self, notice: &impl Fn(Kind, &str)) -> Result<Loaders, Error> {
        let places = match &self.ipxe {
            Some(folder) => vec![folder.clone()],
            None => Loaders::places(),
        };
        let folders: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
        let loaders = Loaders::find(&folders);
        if loaders.is_empty() {
            if self.ipxe.is_some() {
                return Err(Error::NoLoader(places));
            }
            if self.dhcp || self.tftp {
                notice(Kind::Fault, &Error::NoLoader(places).to_string());
            }
        }
        Ok(loaders)
    }

    fn no_port(&self, cause: std::io::Error) -> Error {
        Error::Port {
            what: "HTTP",
            port: self.listen.port(),
            place: self.listen.ip().to_string(),
            cause,
        }
    }

    fn summary(&self, address: Option<SocketAddr>) -> String {
        let mut text = String::new();
        if let Some(address) = address {
            let ip = match address.ip() {
                ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                ip => ip.to_canonical(),
            };
            text = format!(" at http://{}/", SocketAddr::new(ip, address.port()));
        }
        for (is_on, what) in [
            (self.dhcp, "DHCP beside the DHCP server"),
            (self.tftp, "TFTP"),
        ] {
            if is_on {
                text.push_str(&format!(", {what}"));
            }
        }
        text
    }
}
