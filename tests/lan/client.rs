//! A machine in a LAN, and the system that it boots.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use storeboot_index::Layout;
use storeboot_tests::lan::Lan;
use storeboot_tests::qemu::{Boot, Kernel, LIMIT, Machine};
use storeboot_tests::small_system::{SmallSystem, scripts};

/// Stage 2's own script writes each fact about the network after this.
const MARK: &str = "LAN ";

/// A system, and a netboot directory for it.
pub struct World {
    system: SmallSystem,
    pub netboot: PathBuf,
    /// The size of the one store image.
    pub image_size: u64,
    /// The initrd, with a script for stage 2 after it.
    initrd: PathBuf,
}

/// Returns the system that all tests share, or None if machines cannot be run.
pub fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD
        .get_or_init(|| Some(World::new(Kernel::debian("6.12")?)))
        .as_ref()
}

impl World {
    fn new(kernel: Kernel) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lan");
        let system = SmallSystem::in_folder(&folder, kernel);
        let netboot = system.build("netboot", Layout::Fetch, &[]);
        let images = fs::read_dir(netboot.join("images")).expect("images");
        let image_size = images
            .map(|entry| entry.expect("an image").metadata().expect("an image").len())
            .sum();
        let initrd = folder.join("initrd");
        let stage1 = fs::read(netboot.join("initrd")).expect("the initrd");
        fs::write(&initrd, [stage1, script(&system)].concat()).expect("an initrd");
        Self {
            system,
            netboot,
            image_size,
            initrd,
        }
    }

    /// Checks that the machine booted the system, and that its store is complete.
    pub fn is_booted(&self, boot: &Boot) {
        self.system.is_booted(boot, Layout::Fetch);
    }
}

/// An archive with a script that stage 2 runs at its end: it prints the links, the addresses and the routes.
fn script(system: &SmallSystem) -> Vec<u8> {
    let busybox = system.busybox();
    let text = format!(
        "for what in 'link' 'address' 'route' '-6 route'; do\n\
           {busybox} ip $what | {busybox} sed 's/^/{MARK}/'\n\
         done\n"
    );
    scripts(&[("next", &text)])
}

/// What stage 2 says about the network, a line each.
pub fn facts(boot: &Boot) -> Vec<&str> {
    boot.lines_with(MARK).collect()
}

/// A machine that is put together.
pub struct Client {
    machine: Machine,
    cards: usize,
    /// The commands for QEMU's monitor before the machine starts.
    commands: String,
}

impl Client {
    /// A machine without a network card.
    pub fn new(world: &World) -> Self {
        let append = fs::read_to_string(world.netboot.join("kernelAppend")).expect("kernelAppend");
        Self {
            machine: Machine::new()
                .kernel(world.netboot.join("bzImage"))
                .initrd(&world.initrd)
                .append(append.trim()),
            cards: 0,
            commands: String::new(),
        }
    }

    /// One more card, at this port of the LAN.
    pub fn at_port(self, tap: &str) -> Self {
        self.on(&format!("tap,ifname={tap},script=no,downscript=no"))
    }

    /// One more card, on this network of QEMU's.
    pub fn on(mut self, netdev: &str) -> Self {
        let id = self.cards;
        self.machine = self
            .machine
            .argument("-netdev")
            .argument(format!("{netdev},id=net{id}"))
            .argument("-device")
            .argument(format!(
                "virtio-net-pci,netdev=net{id},id=card{id},mac=52:54:00:12:34:{id:02x}"
            ));
        self.cards += 1;
        self
    }

    /// Pulls the cable out of the last card.
    pub fn unplugged(mut self) -> Self {
        self.commands = format!("set_link card{} off\n", self.cards - 1);
        self
    }

    /// More words on the command line.
    pub fn words(mut self, words: &str) -> Self {
        self.machine = self.machine.append(words);
        self
    }

    /// Runs the machine in the LAN until it ends.
    pub fn boot(self, lan: &Lan) -> Boot {
        let commands = lan.file("commands");
        fs::write(&commands, self.commands + "cont\n").expect("a file");
        let monitor = format!(
            "file,id=monitor,path={},input-path={}",
            lan.file("monitor").display(),
            commands.display()
        );
        let machine = self
            .machine
            .argument("-S")
            .argument("-chardev")
            .argument(monitor)
            .argument("-mon")
            .argument("chardev=monitor,mode=readline");
        lan.inside(|| machine.boot(LIMIT))
    }
}
