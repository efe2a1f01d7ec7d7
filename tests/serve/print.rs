//! What `--print` writes is what the DHCP servers take.

use std::fs;
use std::process::Command;

use storeboot_tests::command::{Scratch, have, printed as output_of, storeboot};
use storeboot_tests::debian::dhcp_servers;

use crate::server::ADDRESS;

/// What is to be told to a DHCP server.
pub fn printed(server: &str) -> String {
    let mut command = Command::new(storeboot());
    command.args(["serve", "--print", server, "--listen", ADDRESS]);
    String::from_utf8(output_of(&mut command)).expect("text")
}

/// A DHCP server that is not installed, for its package would start it. `None` where this is no Debian.
fn server(program: &str, scratch: &Scratch) -> Option<Command> {
    if !have(&["apt-get", "dpkg-deb"]) {
        return None;
    }
    let root = dhcp_servers();
    let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new(root.join("usr/sbin").join(program));
    command
        .env("LD_LIBRARY_PATH", root.join(libraries))
        .env("KEA_LOCKFILE_DIR", "none")
        .env("KEA_PIDFILE_DIR", scratch.path());
    Some(command)
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
    let scratch = Scratch::new();
    let Some(mut kea) = server("kea-dhcp4", &scratch) else {
        return;
    };
    let file = scratch.join("kea-dhcp4.conf");
    fs::write(&file, printed("kea")).expect("a file");
    output_of(kea.arg("-t").arg(file));
}

#[test]
fn dhcpd_takes_it() {
    let scratch = Scratch::new();
    let Some(mut dhcpd) = server("dhcpd", &scratch) else {
        return;
    };
    let file = scratch.join("dhcpd.conf");
    let subnet = "subnet 192.0.2.0 netmask 255.255.255.0 { range 192.0.2.100 192.0.2.150; }\n";
    fs::write(&file, printed("isc") + subnet).expect("a file");
    output_of(dhcpd.arg("-t").arg("-cf").arg(file));
}
