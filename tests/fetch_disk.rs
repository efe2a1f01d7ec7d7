//! Layout `fetch` without the command that builds it: the store goes into memory, or onto a disk that keeps it.

// Each test uses a part of what they share.
#[allow(dead_code)]
#[path = "stage1/fixture.rs"]
mod fixture;

#[allow(dead_code)]
#[path = "stage1/checks.rs"]
mod checks;

use std::path::{Path, PathBuf};

use checks::{fact, has_a_clean_root, has_overlay, shmem};
use fixture::{INIT, store};
use storeboot_tests::http::{Server, Site};
use storeboot_tests::qemu::{Boot, Kernel, LIMIT, Machine};

/// A folder of this test.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fetch-disk-{name}"))
}

/// A machine with a network card that fetches these images from a server.
fn machine(name: &str, kernel: &Kernel, images: &[&[u8]], words: &str) -> (Machine, Server) {
    let folder = scratch(name);
    let initrd = fixture::fetch(kernel, images, &folder);
    let server = Site::of(&folder).serve();
    let machine = checks::machine(name, kernel, &initrd)
        .append(&format!(
            "init={INIT} storeboot.store={} {words} fruit=apple -- one two",
            server.url("").trim_end_matches('/')
        ))
        .argument("-netdev")
        .argument("user,id=net")
        .argument("-device")
        .argument("virtio-net-pci,netdev=net");
    (machine, server)
}

/// Checks that the machine reached stage 2 with the whole store.
fn is_booted(boot: &Boot) {
    assert!(boot.powered_off(), "{boot}");
    let data = format!(
        "{}  /nix/store/11111111111111111111111111111111-data/data",
        store().data_hash
    );
    assert_eq!(fact(boot, "data"), data, "{boot}");
    assert_eq!(fact(boot, "write"), "text", "{boot}");
}

#[test]
fn the_store_is_in_memory_and_nothing_else_is() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let [data, rest] = &store().halves;
    let (machine, server) = machine("memory", &kernel, &[data, rest], "storeboot.debug");
    let boot = machine.boot(LIMIT);
    is_booted(&boot);
    has_overlay(&boot, &["/nix/.ro-store0", "/nix/.ro-store1"]);
    has_a_clean_root(&boot);
    let size = (data.len() + rest.len()) as u32;
    assert!(shmem(&boot) < size / 1024 + 1024, "{boot}");
    assert_eq!(server.sent(), u64::from(size), "{boot}");
}
