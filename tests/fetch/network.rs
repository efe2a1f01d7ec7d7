//! Network cards, addresses and names.

use storeboot_tests::http::Site;

use crate::machine::{Client, place};
use crate::world::{ended_with, world};

#[test]
fn a_network_without_an_answer_to_dhcp_is_given_up() {
    let Some(world) = world() else { return };
    // A hub with nothing else on it.
    let boot = Client::new(world)
        .card("virtio-net-pci", "hubport,hubid=1")
        .words("storeboot.store=http://10.0.2.2:1 storeboot.patience=10")
        .boot();
    ended_with(&boot, &["DHCP", "eth0", "10 s"]);
}

#[test]
fn a_card_without_a_carrier_is_left_alone() {
    let Some(world) = world() else { return };
    let server = Site::of(&world.netboot).serve();
    let boot = Client::new(world)
        .card("virtio-net-pci", "user")
        .unplugged()
        .card("vmxnet3", "user")
        .words(&format!("storeboot.store={}", place(&server)))
        .boot();
    world.is_booted(&boot);
}

#[test]
fn a_machine_without_a_carrier_says_so() {
    let Some(world) = world() else { return };
    let boot = Client::of(world, &["http://10.0.2.2:1".into()])
        .unplugged()
        .words("storeboot.patience=5")
        .boot();
    ended_with(&boot, &["carrier", "eth0"]);
}

#[test]
fn a_machine_without_a_card_says_so() {
    let Some(world) = world() else { return };
    let boot = Client::new(world)
        .words("storeboot.store=http://10.0.2.2:1 storeboot.patience=5")
        .boot();
    ended_with(&boot, &["network card"]);
}

#[test]
fn a_name_that_does_not_resolve_is_named() {
    let Some(world) = world() else { return };
    let boot = Client::of(world, &["http://no-such-host.invalid/netboot".into()])
        .words("storeboot.patience=10")
        .boot();
    ended_with(&boot, &["no-such-host.invalid"]);
}

#[test]
fn an_address_on_the_command_line_needs_no_dhcp() {
    let Some(world) = world() else { return };
    let server = Site::of(&world.netboot).serve();
    let boot = Client::of(world, &[place(&server)])
        .words("ip=10.0.2.99::10.0.2.2:255.255.255.0:::none BOOTIF=01-52-54-00-12-34-56")
        .boot();
    world.is_booted(&boot);
    assert!(boot.console.contains("10.0.2.99"), "{boot}");
}

#[test]
fn a_machine_that_is_told_no_place_says_which_word_is_missing() {
    let Some(world) = world() else { return };
    let boot = Client::new(world).card("virtio-net-pci", "user").boot();
    ended_with(&boot, &["storeboot.store="]);
}
