//! `storeboot serve` when something breaks while machines load: the server is killed, the rules file is broken, and the
//! netboot directory is replaced, removed or written to. Nobody gets a wrong byte, and the server says what is wrong.

#[path = "serve_trouble/client.rs"]
mod client;
#[path = "serve_trouble/server.rs"]
mod server;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use storeboot_tests::command::Scratch;
use storeboot_tests::nginx::free_port;

use client::{Client, Way};
use server::{LIMIT, Netboot, Server};

const INITRD: &str = "initrd";

#[test]
fn ten_machines_boot_though_the_server_is_killed_twice() {
    let scratch = Scratch::new();
    let netboot = Netboot::new(&scratch.join("netboot"), "one", 4);
    let port = free_port();
    // All together load 50 MiB, so the server is killed while they do.
    let arguments = ["--rate", "8"];
    let start = || Server::start(port, &netboot.folder, &arguments);
    let mut server = start();
    let clients: Vec<Client> = (0..10).map(|number| Client::new(port, number)).collect();
    thread::scope(|scope| {
        let netboot = &netboot;
        let machines: Vec<_> = clients
            .iter()
            .zip([Way::Initrd, Way::Images].into_iter().cycle())
            .map(|(client, way)| scope.spawn(move || client.boots(netboot, way)))
            .collect();
        let loaded = || clients.iter().map(Client::loaded).sum::<u64>();
        for mib in [12, 30] {
            let begin = Instant::now();
            while loaded() < mib << 20 {
                assert!(begin.elapsed() < LIMIT, "{} bytes in all", loaded());
                thread::sleep(Duration::from_millis(20));
            }
            server.kill();
            thread::sleep(Duration::from_secs(1));
            server = start();
        }
        for machine in machines {
            machine.join().expect("it boots");
        }
    });
    let broken = clients
        .iter()
        .filter(|client| client.failures() > 0)
        .count();
    assert!(broken > 0, "nobody was loading when the server was killed");
}

#[test]
fn rules_that_break_leave_the_old_ones() {
    let scratch = Scratch::new();
    let [one, two] = ["one", "two"].map(|name| Netboot::new(&scratch.join(name), name, 1));
    let rules = scratch.join("rules.toml");
    fs::write(&rules, "[default]\ndirectory = \"one\"\n").expect("rules");
    let port = free_port();
    let server = Server::with_rules(port, &rules);
    let client = Client::new(port, 0);
    client.boots(&one, Way::Initrd);

    fs::write(&rules, "[default]\ndirectory = \"two\"\nmac = \n").expect("rules");
    let line = server.says("the old rules stay: ");
    assert!(line.contains("rules.toml, line 3: "), "{line}");
    client.boots(&one, Way::Initrd);
    fs::remove_file(&rules).expect("rules");
    let line = server.says("the old rules stay: ");
    assert!(
        line.contains("rules.toml cannot be read: No such file"),
        "{line}"
    );
    client.boots(&one, Way::Images);

    fs::write(&rules, "[default]\ndirectory = \"two\"\n").expect("rules");
    server.says("the rules have changed");
    client.boots(&two, Way::Initrd);
    assert_eq!(server.count("the old rules stay"), 2, "each once");
}

#[test]
fn who_loads_a_directory_gets_all_of_it_though_it_is_replaced_and_removed() {
    let scratch = Scratch::new();
    let place = scratch.join("netboot");
    let [old, new] = ["old", "new"].map(|name| Netboot::new(&scratch.join(name), name, 4));
    fs::rename(&old.folder, &place).expect("a folder");
    let port = free_port();
    let server = Server::start(port, &place, &["--rate", "4"]);
    let client = Client::new(port, 0);

    let script = client.script();
    let rest = client.begin(&script, INITRD);
    fs::rename(&place, scratch.join("away")).expect("a folder");
    fs::rename(&new.folder, &place).expect("a folder");
    // A machine that begins to boot now gets the new one.
    assert_ne!(client.script(), script);
    client.boots(&new, Way::Initrd);
    fs::remove_dir_all(scratch.join("away")).expect("a folder");
    assert!(rest() == Some(old.initrd.clone()), "not as it began");
    // What it loads after that is of the old one, too.
    assert!(client.loads(&script, "bzImage") == Some(old.kernel.clone()));

    let rest = client.begin(&client.script(), INITRD);
    fs::remove_dir_all(&place).expect("a folder");
    client.boots(&new, Way::Images);
    assert!(rest() == Some(new.initrd.clone()), "not as it began");
    let line = server.says("no netboot directory");
    let place = place.display().to_string();
    assert!(line.contains(&place), "{line}");
    client.boots(&new, Way::Initrd);
    assert_eq!(server.count("no netboot directory"), 1, "it is said once");
}

#[test]
fn a_file_that_is_written_to_ends_its_downloads() {
    let scratch = Scratch::new();
    let netboot = Netboot::new(&scratch.join("netboot"), "one", 4);
    let port = free_port();
    let server = Server::start(port, &netboot.folder, &["--rate", "1"]);
    let client = Client::new(port, 0);
    let script = client.script();
    let rest = client.begin(&script, INITRD);
    // The same size, as of a program that copies in place.
    let mut initrd = netboot.initrd.clone();
    initrd.reverse();
    fs::write(netboot.folder.join(INITRD), &initrd).expect("a file");
    assert!(
        rest().is_none(),
        "it is not told that the file is not whole"
    );
    server.says("it was changed while it was served");
    assert!(
        client.loads(&script, INITRD).is_none(),
        "it is still served"
    );
    // Who begins to boot is told.
    let script = client.script();
    assert!(script.contains("is not as manifest.json says"), "{script}");
    fs::write(netboot.folder.join(INITRD), &netboot.initrd).expect("a file");
    client.boots(&netboot, Way::Initrd);
}
