//! What `--print` writes is what the DHCP servers take.

use std::fs;
use std::process::Command;

use storeboot_tests::command::{Scratch, have, installed, printed as output_of, storeboot};

use crate::server::ADDRESS;

/// What is to be told to a DHCP server.
pub fn printed(server: &str) -> String {
    let mut command = Command::new(storeboot());
    command.args(["serve", "--print", server, "--listen", ADDRESS]);
    String::from_utf8(output_of(&mut command)).expect("text")
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
    let Some(kea) = installed(&["/usr/sbin/kea-dhcp4"]) else {
        return;
    };
    let scratch = Scratch::new();
    let file = scratch.join("kea-dhcp4.conf");
    fs::write(&file, printed("kea")).expect("a file");
    output_of(Command::new(kea).arg("-t").arg(file));
}

#[test]
fn dhcpd_takes_it() {
    let Some(dhcpd) = installed(&["/usr/sbin/dhcpd"]) else {
        return;
    };
    let scratch = Scratch::new();
    let file = scratch.join("dhcpd.conf");
    let subnet = "subnet 192.0.2.0 netmask 255.255.255.0 { range 192.0.2.100 192.0.2.150; }\n";
    fs::write(&file, printed("isc") + subnet).expect("a file");
    output_of(Command::new(dhcpd).arg("-t").arg("-cf").arg(file));
}
