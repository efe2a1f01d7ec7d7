//! The server is killed and started again, twice, while machines load from it: iPXE loads the whole store of one, and
//! the stage 1 of the other fetches it. tests/serve_trouble.rs does the same with more clients and no machines.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use storeboot_index::Layout;
use storeboot_tests::lan::Lan;

use crate::machine::{self, Firmware};
use crate::server::{Server, netboot, system};

const LAN: &str = "\
ip address add 192.0.2.1/24 dev lan
serve --port=0 --dhcp-range=192.0.2.100,192.0.2.150,1h
port tap0
port tap1
";
/// MiB per second for all, so that loading takes longer than the server lives.
const RATE: &str = "3";

#[test]
fn each_machine_boots_though_the_server_is_killed() {
    let firmware = Firmware::Bios;
    let Some(system) = system(firmware.architecture()) else {
        return;
    };
    let Some(ipxe) = firmware.ipxe() else { return };
    let Some(lan) = Lan::new(LAN) else { return };
    let layouts = [Layout::InPlace, Layout::Fetch];
    let folders = layouts.map(|layout| netboot(system, layout));
    let rules = lan.file("rules.toml");
    let text = format!(
        "[default]\ndirectory = {:?}\n[[machine]]\nmac = \"52:54:00:12:34:57\"\ndirectory = {:?}\n",
        folders[0], folders[1]
    );
    fs::write(&rules, text).expect("rules");
    let word = Path::new;
    let arguments = [
        word("--ipxe"),
        &ipxe,
        word("--rate"),
        word(RATE),
        word("--rules"),
        &rules,
    ];
    let start = || Server::start(&lan, &arguments);

    let mut server = start();
    thread::scope(|scope| {
        let machines = [0, 1].map(|port| {
            let machine = firmware.machine(port).expect("it is installed");
            let lan = &lan;
            scope.spawn(move || machine::boot(lan, &machine))
        });
        server.says(&["56 (BIOS): boots ", "57 (BIOS): boots "]);
        for _ in 0..2 {
            thread::sleep(Duration::from_secs(2));
            // As kill -9.
            drop(server);
            thread::sleep(Duration::from_secs(1));
            server = start();
            server.says(&[" loads "]);
        }
        for (machine, layout) in machines.into_iter().zip(layouts) {
            system.is_booted(&machine.join().expect("a boot"), layout);
        }
    });
}
