//! The server is killed and started again, twice, while ten machines load from it: two boot by iPXE, by which the one
//! loads its whole store, and the other's stage 1 fetches it. Eight clients load as iPXE does.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use storeboot_index::Layout;
use storeboot_tests::command::have;
use storeboot_tests::lan::Lan;

use crate::machine::{self, Firmware};
use crate::server::{ADDRESS, Server, netboot, system};

const LAN: &str = "\
ip address add 192.0.2.1/24 dev lan
serve --port=0 --dhcp-range=192.0.2.100,192.0.2.150,1h
port tap0
port tap1
";
/// MiB per second for all, so that loading takes longer than the server lives.
const RATE: &str = "8";
const CLIENTS: usize = 8;
/// Failures in a row after which `netboot.ipxe` gives up.
const TRIES: usize = 5;

#[test]
fn each_machine_boots_though_the_server_is_killed() {
    let firmware = Firmware::Bios;
    let Some(system) = system(firmware.architecture()) else {
        return;
    };
    if !have(&["curl"]) {
        return;
    }
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
    let arguments = ["--ipxe", "--rate", RATE, "--rules"].map(Path::new);
    let arguments = [
        arguments[0],
        &ipxe,
        arguments[1],
        arguments[2],
        arguments[3],
        &rules,
    ];
    let start = || Server::start(&lan, &arguments);

    let mut server = start();
    let failures = AtomicUsize::new(0);
    thread::scope(|scope| {
        let machines = [0, 1].map(|port| {
            let machine = firmware.machine(port).expect("it is installed");
            let lan = &lan;
            scope.spawn(move || machine::boot(lan, &machine))
        });
        server.says(&["56 (BIOS): boots ", "57 (BIOS): boots "]);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = Client {
                    lan: &lan,
                    number,
                    failures: &failures,
                };
                scope.spawn(move || client.loads(folders[0]))
            })
            .collect();
        for _ in 0..2 {
            thread::sleep(Duration::from_secs(2));
            // As kill -9.
            drop(server);
            thread::sleep(Duration::from_secs(1));
            server = start();
        }
        for client in clients {
            client.join().expect("each client has the right bytes");
        }
        for (machine, layout) in machines.into_iter().zip(layouts) {
            system.is_booted(&machine.join().expect("a boot"), layout);
        }
    });
    assert!(
        failures.into_inner() >= CLIENTS,
        "the clients did not notice that the server was killed"
    );
}

/// What loads as iPXE does, by the script that the server wrote for it.
#[derive(Clone, Copy)]
struct Client<'a> {
    lan: &'a Lan,
    number: usize,
    failures: &'a AtomicUsize,
}

impl Client<'_> {
    /// Loads the kernel and the initrd, and compares them with those of the netboot directory.
    fn loads(self, netboot: &Path) {
        let script = format!(
            "{ADDRESS}/machine.ipxe?mac=52-54-00-00-00-{:02}",
            self.number
        );
        let script = self.file("script", &script);
        let script = String::from_utf8(script).expect("text");
        for (word, name) in [("kernel", "bzImage"), ("initrd", "initrd")] {
            let line = script
                .lines()
                .find(|line| line.split(' ').next() == Some(word));
            let url = line.and_then(|line| line.split(' ').nth(1)).expect("a URL");
            let loaded = self.file(name, url);
            let expected = fs::read(netboot.join(name)).expect("it was built");
            assert!(loaded == expected, "{name} has other bytes");
        }
    }

    /// A file, all of it anew after a failure.
    fn file(self, name: &str, url: &str) -> Vec<u8> {
        let to = self.lan.file(&format!("client-{}-{name}", self.number));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--output"])
            .arg(&to)
            .arg(url);
        for _ in 0..TRIES {
            if self
                .lan
                .inside(|| curl.status().expect("curl can be run").success())
            {
                return fs::read(&to).expect("what curl wrote");
            }
            self.failures.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_secs(5));
        }
        panic!("{url} did not come in {TRIES} tries");
    }
}
