//! A proxy beside the DHCP server that is there: it tells machines that boot over the network where their boot loader
//! is, and hands out no addresses.
//!
//! [`answer()`] knows what to say. [`Proxy`] hears port 67, to which machines broadcast, and 4011, to which UEFI comes
//! once more.

mod answer;
mod ear;

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;

pub use answer::{Answer, BOOT_SERVER, DHCP, Place, answer};
pub use ear::unpack;
use ear::{Ear, Heard};
use nix::net::if_::{if_indextoname, if_nametoindex};

use crate::{Desk, Error, Machine, Reach, Step};

/// The ports of a proxy, open.
#[derive(Debug)]
pub struct Proxy {
    interfaces: Vec<String>,
    ears: [Ear; 2],
}

impl Proxy {
    /// Opens the ports, for machines at the interfaces with these names, or at all interfaces if there are no names.
    /// Needs a runtime of tokio.
    ///
    /// Port 67 stays free for a DHCP server on this machine, whichever of them starts first: with the capability
    /// CAP_NET_RAW the proxy hears it through a raw socket. Without, it takes the port.
    ///
    /// # Errors
    /// [`Error::Port`] where a port cannot be opened, as by a user who may not; [`Error::Interface`] where there is no
    /// interface of a name.
    pub fn open(interfaces: &[String]) -> Result<Self, Error> {
        if let Some(name) = interfaces
            .iter()
            .find(|name| if_nametoindex(name.as_str()).is_err())
        {
            let reason = format!("there is no network interface {name:?}");
            return Err(Error::Interface(reason));
        }
        let failed = |port| {
            move |cause| Error::Port {
                what: "DHCP",
                port,
                place: "this machine".into(),
                cause,
            }
        };
        let dhcp = Ear::raw(DHCP).or_else(|_| Ear::bound(DHCP));
        Ok(Self {
            interfaces: interfaces.into(),
            ears: [
                dhcp.map_err(failed(DHCP))?,
                Ear::bound(BOOT_SERVER).map_err(failed(BOOT_SERVER))?,
            ],
        })
    }

    /// Answers until `stop` ends. Machines are sent to HTTP as `http` says, and to TFTP at the same address only if `tftp`
    /// says so.
    pub async fn serve(
        self,
        desk: Arc<Desk>,
        http: Reach,
        tftp: bool,
        stop: impl Future<Output = ()>,
    ) {
        let place = |local| {
            let http = http.for_machine(local);
            Place {
                address: *http.ip(),
                http: http.port(),
                tftp,
            }
        };
        let [dhcp, boot_server] = &self.ears;
        let answer = async |ear: &Ear| {
            loop {
                ear.hear(|heard| self.answer(ear, &heard, place(heard.local), &desk))
                    .await;
            }
        };
        tokio::select! {
            () = answer(dhcp) => {}
            () = answer(boot_server) => {}
            () = stop => {}
        }
    }

    /// Answers a message, and takes down that the machine asked.
    fn answer(&self, ear: &Ear, heard: &Heard<'_>, place: Place, desk: &Desk) {
        if !self.listens_at(heard.interface) {
            return;
        }
        let seen = |machine: &Machine, step| desk.watch.saw(machine, step);
        match answer(heard.message, ear.port(), heard.from, place, &desk.loaders) {
            Answer::Nothing => {}
            Answer::Refused { machine, reason } => seen(&machine, Step::Refused { reason }),
            Answer::Told {
                machine,
                what,
                message,
                to,
            } => match ear.say(heard, &message, to) {
                Ok(()) => seen(&machine, Step::Told { what }),
                Err(error) => {
                    let reason = format!("the answer to {to} cannot be sent: {error}");
                    seen(&machine, Step::Broken { file: what, reason });
                }
            },
        }
    }

    /// Whether an interface is one of those to listen at. Its name may be that of a later one, as with a cable that was
    /// out.
    fn listens_at(&self, interface: u32) -> bool {
        self.interfaces.is_empty()
            || if_indextoname(interface).is_ok_and(|name| {
                let mut names = self.interfaces.iter();
                names.any(|wanted| wanted.as_bytes() == name.to_bytes())
            })
    }
}

/// The URL of a path on this server.
pub(crate) fn url(address: Ipv4Addr, port: u16, path: &str) -> String {
    format!("http://{address}:{port}{path}")
}
