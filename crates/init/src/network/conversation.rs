//! Asking for an address by DHCP on one link.

use core::time::Duration;

use storeboot_netconf::dhcp::{Client, Lease, Step, UdpChecksum};

use super::AT_ONCE;
use super::error::Error;
use super::links::Link;
use crate::console::Console;
use crate::sys::{self, Address, Errno, Fd, Protocol};

/// The type of Ethernet frames that hold IPv4 packets.
const IPV4: u16 = 0x0800;

/// Every station of a link.
const EVERYBODY: [u8; 6] = [0xff; 6];

/// A DHCP client and its socket.
#[derive(Debug)]
pub(super) struct Conversation {
    socket: Fd,
    client: Client,
}

/// What came of it so far.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing yet. Go on when a packet comes, or at this time.
    Wait(Duration),
    Done(Lease),
}

impl Conversation {
    /// Begins at `now`, for `limit` at most.
    pub(super) fn begin(link: &Link, now: Duration, limit: Duration) -> Result<Self, Error> {
        let socket = open(link.index).map_err(|errno| match errno {
            Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT => Error::NoPacketSockets(errno),
            errno => Error::SetUp {
                link: link.clone(),
                errno,
            },
        })?;
        Ok(Self {
            socket,
            client: Client::new(link.mac, now, limit),
        })
    }

    /// What to wait for.
    pub(super) fn socket(&self) -> &Fd {
        &self.socket
    }

    /// Reads what has come and sends what is due.
    pub(super) fn go_on(
        &mut self,
        link: &Link,
        now: Duration,
        console: &Console,
    ) -> Result<Progress, Error> {
        self.read(link, now, console);
        loop {
            match self.client.poll(now, &mut sys::random) {
                Step::Send(packet) => self.send(&packet, link, console),
                Step::Wait(until) => return Ok(Progress::Wait(until)),
                Step::Done(lease) => return Ok(Progress::Done(lease)),
                Step::Failed(reason) => {
                    let link = link.clone();
                    return Err(Error::NoLease { link, reason });
                }
            }
        }
    }

    fn send(&self, packet: &[u8], link: &Link, console: &Console) {
        let to = Address::Packet {
            link: link.index,
            protocol: IPV4,
            mac: EVERYBODY,
        };
        match sys::send_to(&self.socket, packet, &to) {
            Ok(_) => console.step(format_args!("asked for an address on {link} by DHCP")),
            // The client sends again.
            Err(errno) => console.step(format_args!(
                "a DHCP packet could not be sent on {link}: {errno}"
            )),
        }
    }

    fn read(&mut self, link: &Link, now: Duration, console: &Console) {
        let mut buffer = [0; 2048];
        for _ in 0..AT_ONCE {
            // What is wrong with the link shows in that no answer comes.
            let Ok(packet) = sys::receive_packet(&self.socket, &mut buffer) else {
                return;
            };
            let checksum = if packet.checksum_missing {
                UdpChecksum::Partial
            } else {
                UdpChecksum::Filled
            };
            let bytes = buffer.get(..packet.len).unwrap_or_default();
            if let Err(ignored) = self.client.receive(bytes, checksum, now) {
                console.step(format_args!("a packet on {link} does not count: {ignored}"));
            }
        }
    }
}

fn open(link: u32) -> Result<Fd, Errno> {
    let socket = sys::socket(Protocol::Packet)?;
    sys::want_checksum_state(&socket)?;
    let address = Address::Packet {
        link,
        protocol: IPV4,
        mac: [0; 6],
    };
    sys::bind(&socket, &address)?;
    Ok(socket)
}
