//! A machine with network cards that boots the netboot directory of layout `fetch`.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use storeboot_tests::command::Scratch;
use storeboot_tests::qemu::{Boot, LIMIT, Machine};

use crate::world::World;

/// A machine that is put together.
pub struct Client {
    machine: Machine,
    cards: Vec<String>,
    unplugged: Option<String>,
}

impl Client {
    /// A machine without a network card.
    pub fn new(world: &World) -> Self {
        Self::with(&world.netboot)
    }

    /// The same for another netboot directory.
    pub fn with(netboot: &Path) -> Self {
        let append = fs::read_to_string(netboot.join("kernelAppend")).expect("kernelAppend");
        let machine = Machine::new()
            .kernel(netboot.join("bzImage"))
            .initrd(netboot.join("initrd"))
            .append(append.trim());
        Self {
            machine,
            cards: Vec::new(),
            unplugged: None,
        }
    }

    /// A machine with a network card that fetches from these places.
    pub fn of(world: &World, places: &[String]) -> Self {
        Self::new(world).fetching(places)
    }

    /// One more network card, with which the machine fetches from these places.
    pub fn fetching(self, places: &[String]) -> Self {
        self.card("virtio-net-pci", "user")
            .words(&format!("storeboot.store={}", places.join(",")))
    }

    /// One more network card of this model, on this network.
    pub fn card(mut self, model: &str, network: &str) -> Self {
        let id = format!("net{}", self.cards.len());
        self.machine = self
            .machine
            .argument("-netdev")
            .argument(format!("{network},id={id}"))
            .argument("-device")
            .argument(format!("{model},netdev={id},id=card{id}"));
        self.cards.push(format!("card{id}"));
        self
    }

    /// Pulls the cable out of the last card.
    pub fn unplugged(mut self) -> Self {
        self.unplugged = self.cards.last().cloned();
        self
    }

    /// More words on the command line.
    pub fn words(mut self, words: &str) -> Self {
        self.machine = self.machine.append(words);
        self
    }

    /// How much memory it has.
    pub fn memory_mib(mut self, size: u32) -> Self {
        self.machine = self.machine.memory_mib(size);
        self
    }

    /// Runs the machine until it ends.
    pub fn boot(self) -> Boot {
        let Some(card) = self.unplugged else {
            return self.machine.boot(LIMIT);
        };
        let scratch = Scratch::new();
        let monitor = scratch.join("monitor");
        let machine = self
            .machine
            .argument("-S")
            .argument("-monitor")
            .argument(format!("unix:{},server=on,wait=off", monitor.display()));
        let commands = format!("set_link {card} off\ncont\n");
        let typist = thread::spawn(move || tell(&monitor, &commands));
        let boot = machine.boot(LIMIT);
        typist.join().expect("QEMU takes commands");
        boot
    }
}

/// Waits for QEMU's monitor, and gives it commands.
fn tell(monitor: &Path, commands: &str) {
    let mut tries = 0;
    let mut stream = loop {
        match UnixStream::connect(monitor) {
            Ok(stream) => break stream,
            // QEMU did not start.
            Err(error) if tries > 3000 => panic!("{}: {error}", monitor.display()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
        tries += 1;
    };
    stream.write_all(commands.as_bytes()).expect("QEMU listens");
    // Until the machine ends.
    let _ = stream.read_to_end(&mut Vec::new());
}

/// The folder of a netboot directory's URL: what `storeboot.store=` takes.
pub fn place(server: &storeboot_tests::http::Server) -> String {
    server.url("").trim_end_matches('/').to_owned()
}

/// A folder without images.
pub fn empty_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fetch-{name}"));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
