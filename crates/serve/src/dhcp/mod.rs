//! A proxy beside the DHCP server that is there: it tells machines that boot over the network where their boot loader
//! is, and hands out no addresses.
//!
//! [`answer()`] knows what to say. [`Proxy`] listens on port 67 and on 4011, PXE's boot server, at each interface.
//! Where another server has taken port 67, it hears and sends whole frames instead.

mod answer;
mod frame;
mod interface;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pnet_datalink::{Channel, DataLinkReceiver, DataLinkSender};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

pub use answer::{Answer, BOOT_SERVER, DHCP, Place, answer};
pub use interface::{Interface, interfaces};

use crate::{Desk, Error, Machine, Step};

/// How often a thread that hears frames looks whether it is to end.
const TICK: Duration = Duration::from_millis(500);

/// The ports of a proxy, open.
#[derive(Debug)]
pub struct Proxy {
    ears: Vec<Ear>,
}

/// Where messages come in.
enum Ear {
    Socket {
        interface: Interface,
        port: u16,
        socket: UdpSocket,
    },
    Frames {
        interface: Interface,
        sender: Box<dyn DataLinkSender>,
        receiver: Box<dyn DataLinkReceiver>,
    },
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, interface) = match self {
            Self::Socket { interface, .. } => ("Socket", interface),
            Self::Frames { interface, .. } => ("Frames", interface),
        };
        f.debug_tuple(kind).field(interface).finish()
    }
}

impl Proxy {
    /// Opens the ports at each interface.
    ///
    /// # Errors
    /// [`Error::Port`] where one cannot be opened, as by a user who may not.
    pub fn open(interfaces: &[Interface]) -> Result<Self, Error> {
        let mut ears = Vec::new();
        for interface in interfaces {
            for port in [DHCP, BOOT_SERVER] {
                let ear = match socket(interface, port) {
                    Err(cause) if port == DHCP && cause.kind() == io::ErrorKind::AddrInUse => {
                        frames(interface)
                    }
                    opened => opened,
                };
                ears.push(ear.map_err(|cause| Error::Port {
                    what: "DHCP",
                    port,
                    place: interface.name.clone(),
                    cause,
                })?);
            }
        }
        Ok(Self { ears })
    }

    /// Answers until `stop` ends. `http` is the port that machines are sent to.
    pub async fn serve(self, desk: Arc<Desk>, http: u16, stop: impl Future<Output = ()>) {
        let ended = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for ear in self.ears {
            let desk = Arc::clone(&desk);
            match ear {
                Ear::Socket {
                    interface,
                    port,
                    socket,
                } => {
                    tasks.spawn(
                        async move { hear(&socket, port, interface.place(http), &desk).await },
                    );
                }
                Ear::Frames {
                    interface,
                    sender,
                    receiver,
                } => {
                    let ended = Arc::clone(&ended);
                    // It ends by itself, at the latest a moment after the server.
                    thread::spawn(move || {
                        hear_frames(receiver, sender, &interface, http, &desk, &ended);
                    });
                }
            }
        }
        stop.await;
        ended.store(true, Ordering::Relaxed);
    }
}

/// A UDP socket of one interface, which hears broadcasts beside other servers.
fn socket(interface: &Interface, port: u16) -> io::Result<Ear> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(interface.name.as_bytes()))?;
    let all: SocketAddr = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into();
    socket.bind(&all.into())?;
    Ok(Ear::Socket {
        interface: interface.clone(),
        port,
        socket: UdpSocket::from_std(socket.into())?,
    })
}

fn frames(interface: &Interface) -> io::Result<Ear> {
    let config = pnet_datalink::Config {
        read_timeout: Some(TICK),
        promiscuous: false,
        ..Default::default()
    };
    match pnet_datalink::channel(&interface.device, config)? {
        Channel::Ethernet(sender, receiver) => Ok(Ear::Frames {
            interface: interface.clone(),
            sender,
            receiver,
        }),
        _ => Err(io::Error::other("it is no Ethernet")),
    }
}

async fn hear(socket: &UdpSocket, port: u16, place: Place, desk: &Desk) {
    let mut buffer = [0; 4096];
    loop {
        let received = socket.recv_from(&mut buffer).await;
        let Ok((length, SocketAddr::V4(from))) = received else {
            // Such as that the interface is down for a while.
            tokio::time::sleep(TICK).await;
            continue;
        };
        if let Some((message, to)) = say(&buffer[..length], port, from, place, desk) {
            // What gets lost is asked for again.
            let _ = socket.send_to(&message, to).await;
        }
    }
}

fn hear_frames(
    mut receiver: Box<dyn DataLinkReceiver>,
    mut sender: Box<dyn DataLinkSender>,
    interface: &Interface,
    http: u16,
    desk: &Desk,
    ended: &AtomicBool,
) {
    let place = interface.place(http);
    while !ended.load(Ordering::Relaxed) {
        let frame = match receiver.next() {
            Ok(frame) => frame,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => continue,
            Err(_) => {
                thread::sleep(TICK);
                continue;
            }
        };
        let Some(heard) = frame::message(frame, DHCP) else {
            continue;
        };
        let Some((message, to)) = say(heard.message, DHCP, heard.from, place, desk) else {
            continue;
        };
        if to.ip().is_broadcast() {
            let from = SocketAddrV4::new(place.address, DHCP);
            if let Some(frame) = frame::broadcast(interface.mac, from, to.port(), &message) {
                let _ = sender.send_to(&frame, None);
            }
        } else if let Ok(socket) = std::net::UdpSocket::bind((place.address, 0)) {
            // A relay does not mind which port the answer comes from.
            let _ = socket.send_to(&message, to);
        }
    }
}

/// What is said to a message, and to whom.
fn say(
    message: &[u8],
    port: u16,
    from: SocketAddrV4,
    place: Place,
    desk: &Desk,
) -> Option<(Vec<u8>, SocketAddrV4)> {
    let seen = |machine: &Machine, step| desk.watch.saw(machine, step);
    match answer(message, port, from, place, &desk.loaders) {
        Answer::Nothing => None,
        Answer::Refused { machine, reason } => {
            seen(&machine, Step::Refused { reason });
            None
        }
        Answer::Told {
            machine,
            what,
            message,
            to,
        } => {
            seen(&machine, Step::Told { what });
            Some((message, to))
        }
    }
}
