//! Boots machines with layout `fetch` in LANs with servers of their own, as racks have them: DHCP, router
//! advertisements, DNS, VLANs. Each LAN is in a network namespace, so root is needed; this machine's own network stays
//! as it is.

#[path = "lan/client.rs"]
mod client;
#[path = "lan/trunk.rs"]
mod trunk;

use storeboot_tests::http::Site;
use storeboot_tests::lan::Lan;

use client::{Client, facts, world};
use trunk::Trunk;

/// A DHCP server's LAN. The store is on another network, to which there is a classless route; the router of option 3,
/// which does not exist, does not count then. The store's name is inside of the domain.
const DHCP: &str = "\
ip address add 192.0.2.1/24 dev lan
ip address add 198.51.100.1/32 dev lo
serve --dhcp-range=192.0.2.100,192.0.2.150,1h --domain=lan.test --local=/lan.test/ \
  --host-record=store.lan.test,198.51.100.1 \
  --dhcp-option=option:mtu,1400 --dhcp-option=option:router,192.0.2.254 \
  --dhcp-option=option:classless-static-route,198.51.100.0/24,192.0.2.1
";

/// A LAN without IPv4. The name server's address comes with the router's advertisement.
const IPV6: &str = "\
ip address add 2001:db8::1/64 dev lan nodad
serve --enable-ra --dhcp-range=2001:db8::,ra-only --dhcp-option=option6:dns-server,[2001:db8::1] \
  --local=/lan.test/ --host-record=store.lan.test,2001:db8::1
";

#[test]
fn dhcp_with_name_server_mtu_and_classless_routes() {
    let Some(world) = world() else { return };
    let Some(lan) = Lan::new(&[DHCP, "port tap0"].concat()) else {
        return;
    };
    let server = lan.serve(Site::of(&world.netboot), [198, 51, 100, 1].into());
    let boot = Client::new(world)
        .at_port("tap0")
        .words("storeboot.store=http://store/ storeboot.keep-network")
        .boot(&lan);
    world.is_booted(&boot);
    assert!(server.sent() >= world.image_size, "{boot}");
    // What stage 2 finds as it was asked for.
    let facts = facts(&boot);
    let has = |words: &[&str]| {
        let found = facts
            .iter()
            .any(|fact| words.iter().all(|word| fact.contains(word)));
        assert!(found, "no {words:?} in {facts:?}: {boot}\n{}", lan.log());
    };
    has(&["inet 192.0.2.1", "/24"]);
    has(&["eth0", "UP", "mtu 1400"]);
    has(&["198.51.100.0/24 via 192.0.2.1"]);
    assert!(
        !facts.iter().any(|fact| fact.contains("192.0.2.254")),
        "{boot}"
    );
}

#[test]
fn stage_2_finds_the_link_as_the_machine_came_up() {
    let Some(world) = world() else { return };
    let Some(lan) = Lan::new(&[DHCP, "port tap0"].concat()) else {
        return;
    };
    let _server = lan.serve(Site::of(&world.netboot), [198, 51, 100, 1].into());
    let boot = Client::new(world)
        .at_port("tap0")
        .words("storeboot.store=http://store.lan.test")
        .boot(&lan);
    world.is_booted(&boot);
    let facts = facts(&boot);
    assert!(facts.iter().any(|fact| fact.contains("eth0")), "{boot}");
    for word in ["inet", "via", ",UP"] {
        let left: Vec<_> = facts
            .iter()
            .filter(|fact| fact.contains("eth0") && fact.contains(word))
            .collect();
        assert!(left.is_empty(), "{left:?} are left: {boot}");
    }
}

#[test]
fn ipv6_alone_by_router_advertisement() {
    let Some(world) = world() else { return };
    let Some(lan) = Lan::new(&[IPV6, "port tap0"].concat()) else {
        return;
    };
    let address = "2001:db8::1".parse().expect("an address");
    let server = lan.serve(Site::of(&world.netboot), address);
    let boot = Client::new(world)
        .at_port("tap0")
        .words("storeboot.store=http://store.lan.test/")
        .boot(&lan);
    world.is_booted(&boot);
    assert!(server.sent() >= world.image_size, "{boot}");
    assert!(boot.console.contains("2001:db8::"), "{boot}");
}

#[test]
fn a_tagged_vlan_with_dhcp() {
    let Some(world) = world() else { return };
    let Some(lan) = Lan::new(&[DHCP, "trunk tap0"].concat()) else {
        return;
    };
    let _server = lan.serve(Site::of(&world.netboot), [198, 51, 100, 1].into());
    let trunk = Trunk::new(&lan, 5);
    let boot = Client::new(world)
        .on(&trunk.netdev())
        .words("vlan=vlan0005:eth0 ip=vlan0005:dhcp storeboot.store=http://store.lan.test/")
        .boot(&lan);
    world.is_booted(&boot);
    assert!(boot.console.contains("vlan0005"), "{boot}");
}

#[test]
fn two_cards_of_which_one_has_no_carrier() {
    let Some(world) = world() else { return };
    let Some(lan) = Lan::new(&[DHCP, "port tap0\nport tap1"].concat()) else {
        return;
    };
    let _server = lan.serve(Site::of(&world.netboot), [198, 51, 100, 1].into());
    let boot = Client::new(world)
        .at_port("tap0")
        .unplugged()
        .at_port("tap1")
        .words("storeboot.store=http://store.lan.test/")
        .boot(&lan);
    world.is_booted(&boot);
    assert!(lan.log().contains("DHCPACK(lan)"), "{boot}");
    assert!(
        boot.lines_with("storeboot: ")
            .any(|line| line.contains("eth1") && line.contains("192.0.2.1")),
        "{boot}"
    );
}
