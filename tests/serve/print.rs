//! What `--print` writes is what the DHCP servers take.

use std::fs;
use std::path::Path;
use std::process::Command;

use storeboot_tests::command::{Scratch, have, printed as output_of, skipped, storeboot};

use crate::server::ADDRESS;

/// What is to be told to a DHCP server.
pub fn printed(server: &str) -> String {
    let mut command = Command::new(storeboot());
    command.args(["serve", "--print", server, "--listen", ADDRESS]);
    String::from_utf8(output_of(&mut command)).expect("text")
}

/// A DHCP server that is not installed by `make deps`, for its package would start it.
fn server(program: &'static str) -> Option<&'static Path> {
    let path = Path::new(program);
    if !path.is_file() {
        skipped(&format!(
            "{program} is missing; Debian has it in kea-dhcp4-server or isc-dhcp-server"
        ));
        return None;
    }
    Some(path)
}

#[test]
fn dnsmasq_takes_it() {
    if !have(&["dnsmasq"]) {
        return;
    }
    let scratch = Scratch::new();
    let file = scratch.join("dnsmasq.conf");
    fs::write(&file, printed("dnsmasq")).expect("a file");
    let mut check = Command::new("dnsmasq");
    check.arg("--test").arg("-C").arg(file);
    output_of(&mut check);
}

#[test]
fn kea_takes_it() {
    let Some(kea) = server("/usr/sbin/kea-dhcp4") else {
        return;
    };
    let scratch = Scratch::new();
    let file = scratch.join("kea-dhcp4.conf");
    fs::write(&file, printed("kea")).expect("a file");
    output_of(Command::new(kea).arg("-t").arg(file));
}

#[test]
fn dhcpd_takes_it() {
    let Some(dhcpd) = server("/usr/sbin/dhcpd") else {
        return;
    };
    let scratch = Scratch::new();
    let file = scratch.join("dhcpd.conf");
    let subnet = "subnet 192.0.2.0 netmask 255.255.255.0 { range 192.0.2.100 192.0.2.150; }\n";
    fs::write(&file, printed("isc") + subnet).expect("a file");
    output_of(Command::new(dhcpd).arg("-t").arg("-cf").arg(file));
}
