//! Machines that boot a candidate in its way, and the server that they fetch from.

use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result};
use storeboot_tests::http::{Server, Site};
use storeboot_tests::qemu::{Machine, ovmf};

use crate::candidate::Candidate;
use crate::rows::Way;

/// What boots without `-kernel` needs on its command line: `Machine` adds it elsewhere.
const CONSOLE: &str = "console=ttyS0 panic=-1 no_timer_check";
/// The script that iPXE gets first.
const MENU: &str = "menu.ipxe";

/// Returns a machine that boots the candidate with more words on the command line, and its server, if it needs one.
pub fn machine(
    candidate: &Candidate,
    firmware: Option<&Path>,
    append: &str,
) -> Result<(Machine, Option<Server>)> {
    if candidate.way.is_ipxe() {
        return by_ipxe(candidate, firmware, append);
    }
    let mut machine = Machine::new()
        .kernel(&candidate.kernel)
        .initrd(&candidate.initrd)
        .append(&candidate.command_line)
        .append(append);
    if let Some(firmware) = firmware {
        machine = with_firmware(machine, firmware);
    }
    let Some(folder) = &candidate.netboot else {
        return Ok((machine, None));
    };
    let server = Site::of(folder).serve();
    let machine = with_card(machine, "").append(&format!("storeboot.store={}", server.url("")));
    Ok((machine, Some(server)))
}

/// iPXE fetches a script that sets `cmdline`, and then the netboot directory's script or one like it.
fn by_ipxe(
    candidate: &Candidate,
    firmware: Option<&Path>,
    append: &str,
) -> Result<(Machine, Option<Server>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port for the server")?;
    let port = listener.local_addr()?.port();
    // Debian's iPXE does not tell its script where it came from.
    let mut menu =
        format!("#!ipxe\nset cmdline {CONSOLE} {append}\nset store-url http://10.0.2.2:{port}/\n");
    let site = match &candidate.netboot {
        Some(folder) => {
            menu += "chain netboot.ipxe\n";
            Site::of(folder)
        }
        None => {
            menu += &format!(
                "kernel kernel initrd=initrd {} ${{cmdline}}\ninitrd initrd\nboot\n",
                candidate.command_line
            );
            Site::of("/nonexistent")
                .file("kernel", &candidate.kernel)
                .file("initrd", &candidate.initrd)
        }
    };
    let server = site.text(MENU, menu).serve_at(listener);
    let machine = with_card(Machine::new(), &format!(",bootfile={}", server.url(MENU)));
    let machine = match (candidate.way, firmware) {
        (Way::IpxeUefi, Some(firmware)) => with_firmware(machine, firmware),
        (Way::IpxeUefi, None) => with_firmware(machine, &ovmf().context("install ovmf")?),
        _ => machine,
    };
    Ok((machine, Some(server)))
}

fn with_firmware(machine: Machine, file: &Path) -> Machine {
    machine
        .argument("-bios")
        .argument(file.to_string_lossy().into_owned())
}

/// A network card whose ROM is iPXE's.
fn with_card(machine: Machine, options: &str) -> Machine {
    machine
        .argument("-netdev")
        .argument(format!("user,id=net{options}"))
        .argument("-device")
        .argument("virtio-net-pci,netdev=net,bootindex=0")
}
