//! What a router advertises, as the kernel hands it on.

use std::net::Ipv6Addr;

use proptest::prelude::*;
use storeboot_netconf::router::{Advertised, Error};

/// A message from device 2 with these options.
fn message(options: &[u8]) -> Vec<u8> {
    let len = u16::try_from(options.len()).expect("few options");
    let mut message = vec![10, 0];
    message.extend(len.to_ne_bytes());
    message.extend(2_u32.to_ne_bytes());
    message.extend([134, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(options);
    // The attribute NDUSEROPT_SRCADDR, which the kernel adds.
    message.extend([20_u16, 1].into_iter().flat_map(u16::to_ne_bytes));
    message.extend([0xfe; 16]);
    message
}

fn rdnss(lifetime: u32, servers: &[&str]) -> Vec<u8> {
    let len = u8::try_from(1 + 2 * servers.len()).expect("few servers");
    let mut option = vec![25, len, 0, 0];
    option.extend(lifetime.to_be_bytes());
    option.extend(servers.iter().copied().flat_map(octets));
    option
}

fn octets(address: &str) -> [u8; 16] {
    address.parse::<Ipv6Addr>().expect("an address").octets()
}

fn mtu(mtu: u32) -> Vec<u8> {
    [&[5, 1, 0, 0][..], &mtu.to_be_bytes()].concat()
}

fn read(options: &[u8]) -> (Vec<String>, Option<u32>) {
    let advertised = Advertised::read(&message(options)).expect("a message");
    assert_eq!(advertised.device, 2);
    let servers = advertised.name_servers.iter().map(Ipv6Addr::to_string);
    (servers.collect(), advertised.mtu)
}

#[test]
fn options_of_dnsmasq() {
    // As captured: prefix, MTU, source link-layer address, RDNSS. The kernel hands on the last one alone.
    let options = "030440c0ffffffffffffffff0000000020010db8000000000000000000000000\
                   05010000000005dc\
                   01018278406c70e8\
                   19050000ffffffff20010db800000000000000000000005320010db8000000000000000000000054";
    let options = data_encoding::HEXLOWER
        .decode(options.as_bytes())
        .expect("hexadecimal digits");
    let servers = vec!["2001:db8::53".to_string(), "2001:db8::54".to_string()];
    assert_eq!(read(&options), (servers.clone(), Some(1500)));
    assert_eq!(read(&options[48..]), (servers, None));
}

#[test]
fn lifetimes_of_zero_and_servers_twice() {
    let options = [
        rdnss(0, &["fd00::1"]),
        rdnss(600, &["fe80::1", "fd00::2", "fe80::1"]),
        rdnss(1, &["fd00::2", "fd00::3"]),
    ]
    .concat();
    assert_eq!(read(&options).0, ["fe80::1", "fd00::2", "fd00::3"]);
}

#[test]
fn addresses_of_no_machine_do_not_count() {
    assert_eq!(
        read(&rdnss(600, &["::", "ff02::1", "::1", "fd00::1"])).0,
        ["fd00::1"]
    );
    assert_eq!(read(&rdnss(600, &[])).0, [""; 0]);
}

#[test]
fn at_most_eight_servers() {
    let servers: Vec<_> = (1..30).map(|last| format!("fd00::{last}")).collect();
    let servers: Vec<_> = servers.iter().map(String::as_str).collect();
    assert_eq!(read(&rdnss(600, &servers)).0, &servers[..8]);
}

#[test]
fn mtus() {
    for (value, expected) in [
        (0, None),
        (1279, None),
        (1280, Some(1280)),
        (65535, Some(65535)),
        (65536, None),
        (u32::MAX, None),
    ] {
        assert_eq!(read(&mtu(value)).1, expected, "{value}");
    }
}

#[test]
fn an_address_that_is_cut_does_not_count() {
    // The length of the option is even: the last address has half of its bytes.
    let mut option = rdnss(600, &["fd00::1", "fd00::2"]);
    option[1] = 4;
    assert_eq!(read(&option[..32]).0, ["fd00::1"]);
}

#[test]
fn messages_that_are_something_else() {
    let whole = message(&rdnss(600, &["fd00::1"]));
    let changed = |at: usize, value: u8| {
        let mut message = whole.clone();
        message[at] = value;
        Advertised::read(&message)
    };
    assert_eq!(Advertised::read(&whole[..15]), Err(Error::Short));
    assert_eq!(Advertised::read(&whole[..39]), Err(Error::Short));
    assert_eq!(Advertised::read(&[]), Err(Error::Short));
    assert_eq!(changed(0, 2), Err(Error::NotAdvertisement));
    assert_eq!(changed(8, 136), Err(Error::NotAdvertisement));
    assert_eq!(changed(17, 0), Err(Error::Option));
    assert_eq!(changed(17, 4), Err(Error::Option));
    assert_eq!(Advertised::read(&message(&[25, 1, 0])), Err(Error::Option));
}

proptest! {
    #[test]
    fn any_message_is_taken(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _: Result<_, _> = Advertised::read(&message);
    }

    #[test]
    fn any_options_are_taken(options in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(advertised) = Advertised::read(&message(&options)) {
            prop_assert!(advertised.name_servers.len() <= 8);
        }
    }

    #[test]
    fn what_is_written_is_read(
        servers in proptest::collection::hash_set(any::<[u8; 15]>(), 0..8),
        lifetime in 1..=u32::MAX,
        other in proptest::collection::vec(any::<u8>(), 6),
    ) {
        let servers: Vec<_> = servers
            .into_iter()
            .map(|rest| {
                let mut octets = [0x20; 16];
                octets[1..].copy_from_slice(&rest);
                Ipv6Addr::from(octets).to_string()
            })
            .collect();
        let servers: Vec<_> = servers.iter().map(String::as_str).collect();
        // An option of another kind before it is passed over.
        let options = [&[200, 1], other.as_slice(), &rdnss(lifetime, &servers)].concat();
        prop_assert_eq!(read(&options), (servers.iter().map(|server| (*server).to_string()).collect(), None));
    }
}
