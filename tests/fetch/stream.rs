//! Systems that start before their whole store is there.

use std::path::Path;
use std::time::Duration;

use storeboot_tests::http::{Fault, Server, Site};
use storeboot_tests::qemu::Boot;
use storeboot_tests::small_system::{fact, said as said_as};

use crate::machine::{Client, place};
use crate::world::{said, world};

/// More than the system waits for, and less than all: two chunks with its programs, and one with the tables.
const SOME: u64 = 4 << 20;
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// A server that stops when the system has started, for so long.
fn stops(netboot: &Path, pause: Duration) -> Server {
    Site::of(netboot).stops(SOME, pause).serve()
}

fn boot(netboot: &Path, server: &Server, words: &str) -> Boot {
    Client::with(netboot)
        .fetching(&[place(server)])
        .words(&format!("storeboot.rest-after=1 {words}"))
        .boot()
}

/// Checks that stage 2 ran before all was there, with so many processes of stage 1 beside it, and that nothing of what
/// this took is left in the end.
fn was_streamed(boot: &Boot, processes: &str, below: &str) {
    assert_eq!(fact(boot, "first"), processes, "{boot}");
    let at = |text: &str| {
        let place = boot.console.find(text);
        place.unwrap_or_else(|| panic!("no {text:?} in {boot}"))
    };
    let (start, end) = (
        at("STAGE2 first"),
        at("storeboot: the whole store is there"),
    );
    assert!(start < end, "{boot}");
    for (name, expected) in [
        ("last", "0"),
        ("below", below),
        ("network block devices", ""),
    ] {
        assert_eq!(fact(boot, name), expected, "{name} in {boot}");
    }
    // Read once more, from the loop devices.
    assert_eq!(fact(boot, "again"), fact(boot, "store"), "{boot}");
}

#[test]
fn the_system_starts_before_all_is_there_and_reads_wait() {
    let Some(world) = world() else { return };
    // As systemd does before it ends all processes but those that it has to spare.
    let script = "kill -STOP -1\nkill -CONT -1\n";
    let netboot = world.streamed("streamed", script, 60);
    let server = stops(&netboot, Duration::from_secs(5));
    let boot = boot(&netboot, &server, "");
    world.is_booted(&boot);
    was_streamed(&boot, "2", "loop0");
}

#[test]
fn stage_2_may_set_up_the_network_anew() {
    let Some(world) = world() else { return };
    let script = "b ip address flush dev eth0\nb ip link set eth0 down\nb sleep 2\nb ip link set eth0 up\n\
                  b ip address add 10.0.2.77/24 dev eth0\nb ip route add default via 10.0.2.2\n";
    let netboot = world.streamed("streamed-other-network", script, 60);
    let server = stops(&netboot, Duration::from_secs(4));
    let boot = boot(&netboot, &server, "");
    world.is_booted(&boot);
    was_streamed(&boot, "2", "loop0");
}

#[test]
fn images_with_hash_trees_are_checked_in_the_end_as_in_the_beginning() {
    let Some(world) = world() else { return };
    let netboot = world.streamed_with_layer();
    let server = stops(&netboot, Duration::from_secs(2));
    let boot = boot(&netboot, &server, "storeboot.verity=panic");
    world.is_booted(&boot);
    was_streamed(&boot, "2", "loop0 loop1");
    let protected = boot.lines_with("dm-verity checks images/");
    assert_eq!(protected.count(), 2, "{boot}");
}

#[test]
fn what_a_server_that_is_gone_did_not_send_cannot_be_read() {
    let Some(world) = world() else { return };
    let netboot = world.streamed("streamed-in-part", "", 0);
    let server = stops(&netboot, FOR_EVER);
    let boot = boot(&netboot, &server, "storeboot.patience=20");
    is_without_data(&boot);
    // 20 s, or a little more on a busy machine.
    let words = "the rest of the store cannot be fetched now";
    said(&boot, &[words, "no part of the store came for 2"]);
}

#[test]
fn a_wrong_chunk_is_never_read() {
    let Some(world) = world() else { return };
    let netboot = world.streamed("streamed-wrong", "", 0);
    let folder = world.with_image_of(&netboot, "wrong-later", |image| {
        let middle = image.len() / 2;
        image[middle] ^= 1;
    });
    let server = Site::of(folder).serve();
    let boot = boot(&netboot, &server, "storeboot.patience=20");
    is_without_data(&boot);
    said(
        &boot,
        &["the rest of the store cannot be fetched now", "SHA-256"],
    );
    // What lies behind the wrong chunk comes all the same.
    assert_eq!(fact(&boot, "end of data"), world.end_of_data(), "{boot}");
}

#[test]
fn a_wrong_chunk_that_is_mended_is_read_before_the_rest_is_fetched() {
    let Some(world) = world() else { return };
    let netboot = world.streamed("streamed-mended", "", 0);
    let middle = world.image_size / 2;
    let site = Site::of(&netboot).fault("images/", 3, Fault::Wrong(middle));
    let server = site.serve();
    let boot = Client::with(&netboot)
        .fetching(&[place(&server)])
        .words("storeboot.rest-after=3600")
        .boot();
    world.is_booted(&boot);
    said(
        &boot,
        &["the rest of the store cannot be fetched now", "SHA-256"],
    );
}

/// Checks that the system runs on, since its own programs can be read, and that its data cannot.
fn is_without_data(boot: &Boot) {
    assert!(boot.powered_off(), "{boot}");
    assert!(boot.console.contains("STAGE2 end"), "{boot}");
    assert_eq!(said_as(boot, "data"), Some(""), "{boot}");
    assert!(boot.console.contains("sha256sum: "), "{boot}");
}

#[test]
fn words_have_all_fetched_first() {
    let Some(world) = world() else { return };
    let netboot = world.streamed("streamed-not", "", 0);
    for word in ["storeboot.stream=0", "storeboot.verify"] {
        let server = Site::of(&netboot).serve();
        let boot = boot(&netboot, &server, word);
        world.is_booted(&boot);
        assert_eq!(fact(&boot, "first"), "0", "{boot}");
        assert_eq!(fact(&boot, "below"), "", "{boot}");
        let taken_back = boot.lines_with("the network is as it was before");
        assert!(taken_back.count() > 0, "{boot}");
    }
}

#[test]
fn without_network_block_devices_all_is_fetched_first() {
    let Some(world) = world() else { return };
    let netboot = world.streamed("streamed-without-nbd", "", 0);
    let server = Site::of(&netboot).serve();
    let boot = boot(&netboot, &server, "module_blacklist=nbd");
    world.is_booted(&boot);
    said(
        &boot,
        &["before the system starts: the kernel has no network block devices (nbd)"],
    );
    assert_eq!(fact(&boot, "first"), "0", "{boot}");
    assert_eq!(fact(&boot, "below"), "", "{boot}");
}
