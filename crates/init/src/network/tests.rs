//! The network of a namespace of its own, with links that lead to one another.

use std::env;
use std::format;
use std::process::Command;
use std::string::String;
use std::vec::Vec;

use super::*;
use crate::network::rtnetlink::Held;
use crate::skipped::skipped;

/// Says that this process has a network of its own.
const INSIDE: &str = "STOREBOOT_IN_NAMESPACE";

/// Runs the test of this name again in a network of its own; true in there.
fn in_namespace(name: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let may = Command::new("unshare")
        .args(["--net", "--mount", "true"])
        .status();
    if !may.is_ok_and(|status| status.success()) {
        skipped(&format!(
            "{name}: this machine does not let us make network namespaces"
        ));
        return false;
    }
    let status = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c"])
        .arg("mount -t sysfs sysfs /sys && exec \"$@\"")
        .arg("sh")
        .arg(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", name])
        .env(INSIDE, "1")
        .status();
    assert!(status.unwrap().success());
    false
}

fn ip(words: &str) -> String {
    let output = Command::new("ip")
        .args(words.split(' '))
        .output()
        .expect("iproute2 is installed");
    assert!(
        output.status.success(),
        "ip {words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

struct NoModules;

impl Modules for NoModules {
    fn load_protocol(&mut self, _: &str) {}
    fn load_drivers(&mut self) {}
}

fn start(words: &str) -> Result<Network, Error> {
    Network::start(&Cmdline::parse(words), &Console::plain(), &mut NoModules)
}

fn addresses(link: &str) -> Vec<Held> {
    let list = links::list().unwrap();
    let index = list.iter().find(|one| one.name == link).unwrap().index;
    let mut held = Netlink::open(crate::sys::Protocol::Route)
        .unwrap()
        .addresses()
        .unwrap();
    held.retain(|held| held.link == index);
    held
}

#[test]
fn an_address_of_the_command_line_is_set_and_taken_back() {
    if !in_namespace("network::tests::an_address_of_the_command_line_is_set_and_taken_back") {
        return;
    }
    ip("link add one type veth peer name other");
    ip("link set other up");
    let mtu = || {
        links::list()
            .unwrap()
            .iter()
            .find(|link| link.name == "one")
            .unwrap()
            .mtu()
    };
    assert_eq!(mtu(), Some(1500));

    // The gateway is in no subnet of the link.
    let network = start(
        "ip=192.0.2.7::198.51.100.1:255.255.255.128:host:one:none:1400 nameserver=192.0.2.53 nameserver=192.0.2.53",
    )
    .unwrap();
    let held = addresses("one");
    let ours = held.iter().find(|held| held.address.is_ipv4()).unwrap();
    assert_eq!(
        (ours.address.to_string().as_str(), ours.prefix),
        ("192.0.2.7", 25)
    );
    assert_eq!(mtu(), Some(1400));
    assert_eq!(
        ip("route show default").trim_end(),
        "default via 198.51.100.1 dev one onlink"
    );
    let servers: Vec<IpAddr> = network.resolver.servers().collect();
    assert_eq!(servers, ["192.0.2.53".parse::<IpAddr>().unwrap()]);

    network.leave(&Console::plain());
    assert_eq!(addresses("one"), []);
    assert_eq!(mtu(), Some(1500));
    assert_eq!(ip("route show"), "");
    assert!(ip("link show one").contains("state DOWN"));
    assert!(!ip("link show one").contains("UP"));
}

#[test]
fn an_address_of_ipv6_can_be_used_at_once() {
    if !in_namespace("network::tests::an_address_of_ipv6_can_be_used_at_once") {
        return;
    }
    ip("link add one type veth peer name other");
    ip("link set other up");
    let network = start("ip=[2001:db8::7]::[fe80::1]:64::one:none").unwrap();
    let held = addresses("one");
    let ours = held.iter().find(|held| held.is_global).unwrap();
    assert_eq!(ours.address, "2001:db8::7".parse::<IpAddr>().unwrap());
    assert!(!ours.is_tentative);
    let index = ours.link;
    let mut netlink = Netlink::open(crate::sys::Protocol::Route).unwrap();
    assert_eq!(netlink.has_default_route6(index), Ok(true));
    assert_eq!(netlink.has_default_route6(index + 100), Ok(false));

    network.leave(&Console::plain());
    assert_eq!(addresses("one"), []);
    assert_eq!(ip("-6 route show dev one"), "");
}

#[test]
fn an_address_of_ipv6_without_a_way_out_is_better_than_none() {
    if !in_namespace("network::tests::an_address_of_ipv6_without_a_way_out_is_better_than_none") {
        return;
    }
    ip("link add one type veth peer name other");
    ip("link set other up");
    ip("link set one up");
    // As a router gives it that advertises a prefix, and itself for no time.
    ip("address add fd00::7/64 dev one nodad");
    for words in [
        "ip=one:auto6 storeboot.patience=20",
        "ip=one:any storeboot.patience=2",
    ] {
        let network = start(words).unwrap();
        assert_eq!(network.resolver.servers().count(), 0);
        let held = addresses("one");
        let ours = "fd00::7".parse::<IpAddr>().unwrap();
        assert!(held.iter().any(|held| held.address == ours), "{held:?}");
    }
}

#[test]
fn a_link_without_a_carrier_is_named() {
    if !in_namespace("network::tests::a_link_without_a_carrier_is_named") {
        return;
    }
    ip("link add one address 52:54:00:00:00:01 type veth peer name other");
    let error = start("ip=one:dhcp storeboot.patience=1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no cable leads anywhere: after 1 s there is no carrier on one (52:54:00:00:00:01)"
    );
    let error = start("ip=two:dhcp storeboot.patience=1")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the network link two of the command line is not there"),
        "{error}"
    );
    assert!(error.contains("this machine has"), "{error}");
    // A link that belongs to no device is used only where it is named.
    let error = start("ip=dhcp storeboot.patience=1").unwrap_err();
    assert!(matches!(error, Error::NoLinks), "{error}");
}

#[test]
fn a_link_on_which_nobody_answers_is_named() {
    if !in_namespace("network::tests::a_link_on_which_nobody_answers_is_named") {
        return;
    }
    ip("link add one address 52:54:00:00:00:01 type veth peer name other");
    ip("link set other up");
    let error = start("ip=one:dhcp storeboot.patience=1")
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "this machine got no address: in 1 s, no DHCP server answered on one (52:54:00:00:00:01)"
    );
}
