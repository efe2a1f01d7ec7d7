//! Network block devices: the kernel sends what is asked of them to a socket (`include/uapi/linux/nbd-netlink.h`).
//!
//! Generic netlink sets them up. There is an older way by requests to the device, for which a process has to stay in the
//! kernel. It ends when that process is stopped, as systemd stops all processes for a moment when it switches the
//! machine off.

use linux_raw_sys::netlink as l;

use crate::netlink::{Netlink, Request, attributes, number};
use crate::sys::{Errno, Fd, Protocol};

/// `struct genlmsghdr`: the command, the version of the family, and two bytes of nothing.
const HEAD: usize = 4;

/// The family that tells the numbers of the others (`include/uapi/linux/genetlink.h`).
const CONTROL: u32 = 0x10;
const CONTROL_VERSION: u8 = 2;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u32 = 1;
const FAMILY_NAME: u32 = 2;

const NAME: &[u8] = b"nbd\0";
const VERSION: u8 = 1;
const CONNECT: u8 = 1;
const DISCONNECT: u8 = 2;
const INDEX: u32 = 1;
const SIZE: u32 = 2;
const BLOCK_SIZE: u32 = 3;
const SERVER_FLAGS: u32 = 5;
const SOCKETS: u32 = 7;
const SOCKET: u32 = 1;
const SOCKET_NUMBER: u32 = 1;

/// Bytes of a block: a sector, as loop devices have it.
const BLOCK: u64 = 512;
/// The server has flags, and serves for reading only.
const READ_ONLY: u64 = 1 << 0 | 1 << 1;

/// Sets up network block devices.
pub(super) struct Nbd {
    netlink: Netlink,
    /// The number of the family.
    family: u32,
}

impl Nbd {
    pub(super) fn open() -> Result<Self, Errno> {
        let mut netlink = Netlink::open(Protocol::Generic)?;
        let family = family(&mut netlink, NAME)?;
        Ok(Self { netlink, family })
    }

    /// Has the device of this number send its requests to a socket. It is for reading, and has this size in bytes.
    pub(super) fn connect(&mut self, device: u32, socket: &Fd, size: u64) -> Result<(), Errno> {
        let request = self
            .request(CONNECT, device)
            .with(SIZE, &size.to_ne_bytes())
            .with(BLOCK_SIZE, &BLOCK.to_ne_bytes())
            .with(SERVER_FLAGS, &READ_ONLY.to_ne_bytes())
            .with_inner(SOCKETS, |sockets| {
                sockets.with_inner(SOCKET, |one| {
                    one.with(SOCKET_NUMBER, &socket.number().to_ne_bytes())
                })
            });
        let mut connected = None;
        self.netlink.ask(request, |message| {
            let mut found = attributes(message.body, HEAD);
            let index = found.find(|(kind, _)| *kind == INDEX);
            connected = index.and_then(|(_, value)| number(value, 0));
        })?;
        match connected {
            Some(number) if number == device => Ok(()),
            _ => Err(Errno::ENODEV),
        }
    }

    /// Ends the connection. The socket's other end gets a request that says so.
    pub(super) fn disconnect(&mut self, device: u32) -> Result<(), Errno> {
        let request = self.request(DISCONNECT, device);
        self.netlink.ask(request, |_| {})
    }

    fn request(&self, command: u8, device: u32) -> Request {
        let head = [command, VERSION, 0, 0];
        Request::new(self.family, l::NLM_F_ACK, &head).with(INDEX, &device.to_ne_bytes())
    }
}

/// The number of a family, by its name with a NUL at the end.
fn family(netlink: &mut Netlink, name: &[u8]) -> Result<u32, Errno> {
    let head = [GET_FAMILY, CONTROL_VERSION, 0, 0];
    let request = Request::new(CONTROL, l::NLM_F_ACK, &head).with(FAMILY_NAME, name);
    let mut family = None;
    netlink.ask(request, |message| {
        let mut found = attributes(message.body, HEAD);
        let id = found.find(|(kind, _)| *kind == FAMILY_ID);
        // Two bytes.
        if let Some(&[one, other]) = id.map(|(_, value)| value) {
            family = Some(u32::from(u16::from_ne_bytes([one, other])));
        }
    })?;
    family.ok_or(Errno::ENOENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_found_by_its_name() {
        let mut netlink = Netlink::open(Protocol::Generic).unwrap();
        assert_eq!(family(&mut netlink, b"nlctrl\0"), Ok(CONTROL));
        let none = family(&mut netlink, b"storeboot-none\0");
        assert_eq!(none, Err(Errno::ENOENT));
    }
}
