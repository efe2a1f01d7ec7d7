//! A port of a switch whose frames are tagged.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread;

use storeboot_tests::lan::Lan;

/// The longest frame.
const MAX_FRAME: usize = 65536;
/// The place of the tag in a frame, after the two addresses.
const TAG_AT: usize = 12;

/// The VLAN's side of a port at which its frames are tagged (IEEE 802.1Q). Not every kernel has VLANs in its bridges,
/// so QEMU takes the frames from a port of the LAN (`trunk` in `lan.sh`), and the test tags them.
pub struct Trunk {
    machine: Sockets,
}

/// The socket of a QEMU, and the one of the test.
struct Sockets {
    qemu: PathBuf,
    test: PathBuf,
}

impl Trunk {
    /// Makes the LAN's frames those of the VLAN with this number.
    pub fn new(lan: &Lan, vlan: u16) -> Self {
        let inner = Sockets::of(lan, "lan");
        let machine = Sockets::of(lan, "machine");
        let bind = |path: &Path| UnixDatagram::bind(path).expect("a socket");
        let (from_lan, from_machine) = (bind(&inner.test), bind(&machine.test));
        let copy = |socket: &UnixDatagram| socket.try_clone().expect("a socket");
        let (machine_side, lan_side) = (copy(&from_machine), copy(&from_lan));
        let to_machine = machine.qemu.clone();
        thread::spawn(move || {
            relay(&from_lan, &machine_side, &to_machine, |frame| {
                tagged(frame, vlan)
            });
        });
        thread::spawn(move || {
            relay(&from_machine, &lan_side, &inner.qemu, |frame| {
                untagged(frame, vlan)
            });
        });
        Self { machine }
    }

    /// What QEMU takes as `-netdev` for a machine at the port, without an identifier.
    pub fn netdev(&self) -> String {
        format!(
            "dgram,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            self.machine.qemu.display(),
            self.machine.test.display()
        )
    }
}

impl Sockets {
    fn of(lan: &Lan, side: &str) -> Self {
        Self {
            qemu: lan.file(&format!("{side}-qemu")),
            test: lan.file(&format!("{side}-test")),
        }
    }
}

/// Passes frames on until the test ends. What nobody takes is lost, as on any network.
fn relay(
    from: &UnixDatagram,
    through: &UnixDatagram,
    to: &Path,
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) {
    let mut frame = vec![0; MAX_FRAME];
    while let Ok(len) = from.recv(&mut frame) {
        if let Some(frame) = change(&frame[..len]) {
            let _ = through.send_to(&frame, to);
        }
    }
}

fn tagged(frame: &[u8], vlan: u16) -> Option<Vec<u8>> {
    let (addresses, rest) = frame.split_at_checked(TAG_AT)?;
    Some([addresses, &[0x81, 0], &vlan.to_be_bytes(), rest].concat())
}

/// Frames without the tag are not for this VLAN.
fn untagged(frame: &[u8], vlan: u16) -> Option<Vec<u8>> {
    let (addresses, rest) = frame.split_at_checked(TAG_AT)?;
    let (tag, rest) = rest.split_at_checked(4)?;
    let number = u16::from_be_bytes([tag[2], tag[3]]) & 0x0fff;
    (tag[..2] == [0x81, 0] && number == vlan).then(|| [addresses, rest].concat())
}
