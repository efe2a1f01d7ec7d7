//! The words of the kernel command line that set up the network.

use std::net::IpAddr;

use proptest::prelude::*;
use storeboot_netconf::Mac;
use storeboot_netconf::words::{Configuration, Device, Method, Network, Reason, Settings, Vlan};

const MAC: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

const DHCP: Method = Method::Automatic {
    dhcp: true,
    router: false,
};
const ROUTER: Method = Method::Automatic {
    dhcp: false,
    router: true,
};
const ANY: Method = Method::Automatic {
    dhcp: true,
    router: true,
};

fn parse(words: &str) -> Settings {
    Settings::parse(words.split(' '))
}

/// The one configuration of words that have no problem.
fn configuration(words: &str) -> Configuration {
    let settings = parse(words);
    assert_eq!(settings.problems, [], "{words}");
    let [configuration] = settings.configurations.as_slice() else {
        panic!("{words}: {settings:?}")
    };
    configuration.clone()
}

fn plain(device: Option<&str>, method: Method) -> Configuration {
    Configuration {
        device: device.map(|name| Device::Name(name.into())),
        method,
        mtu: None,
        mac: None,
    }
}

fn network(address: &str, prefix_len: u8, gateway: Option<&str>) -> Method {
    Method::Static(Network {
        address: ip(address),
        prefix_len,
        gateway: gateway.map(ip),
    })
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The reason why a word counts for nothing; nothing else comes of it.
fn reason(word: &str) -> Reason {
    let mut settings = Settings::parse([word]);
    let problem = settings
        .problems
        .pop()
        .unwrap_or_else(|| panic!("{word}: {settings:?}"));
    assert_eq!(settings, Settings::default(), "{word}");
    assert_eq!(problem.word, word);
    problem.reason
}

#[test]
fn methods_for_all_devices() {
    for (word, method) in [
        ("ip=dhcp", DHCP),
        ("ip=single-dhcp", DHCP),
        ("ip=on", ANY),
        ("ip=any", ANY),
        ("ip=auto6", ROUTER),
        ("ip=either6", ANY),
        ("ip=none", Method::Off),
        ("ip=off", Method::Off),
        ("ip=::::::dhcp", DHCP),
        // Nothing means any.
        ("ip=:::::", ANY),
    ] {
        assert_eq!(configuration(word), plain(None, method), "{word}");
    }
}

#[test]
fn what_ipxe_and_pxelinux_write() {
    let expected = plain(None, network("192.0.2.7", 24, Some("192.0.2.1")));
    for word in [
        "ip=192.0.2.7::192.0.2.1:255.255.255.0:::none",
        "ip=192.0.2.7:192.0.2.2:192.0.2.1:255.255.255.0",
        "ip=192.0.2.7::192.0.2.1:24:host::off",
        // As in the kernel, an address that is there is not asked for.
        "ip=192.0.2.7::192.0.2.1:24:host::dhcp",
    ] {
        assert_eq!(configuration(word), expected, "{word}");
    }
    // They know no gateway.
    for word in [
        "ip=192.0.2.7:::255.255.255.0:::none",
        "ip=192.0.2.7:192.0.2.2:0.0.0.0:255.255.255.0",
    ] {
        assert_eq!(
            configuration(word),
            plain(None, network("192.0.2.7", 24, None)),
            "{word}"
        );
    }
    // iPXE had no address, and the template is empty.
    assert_eq!(reason("ip=::::::none"), Reason::NoAddress);
}

#[test]
fn the_netmask_of_the_class_where_there_is_none() {
    for (address, prefix_len) in [("10.1.2.3", 8), ("172.16.0.1", 16), ("192.168.0.1", 24)] {
        assert_eq!(
            configuration(&format!("ip={address}")),
            plain(None, network(address, prefix_len, None))
        );
    }
    assert_eq!(
        configuration("ip=[fd00::2]"),
        plain(None, network("fd00::2", 64, None))
    );
}

#[test]
fn a_device_and_its_method() {
    assert_eq!(configuration("ip=eth0:dhcp"), plain(Some("eth0"), DHCP));
    assert_eq!(
        configuration("ip=eth0:off"),
        plain(Some("eth0"), Method::Off)
    );
    assert_eq!(
        configuration("ip=vlan5:auto6"),
        plain(Some("vlan5"), ROUTER)
    );
    assert_eq!(
        configuration("ip=eth0:dhcp:1400"),
        Configuration {
            mtu: Some(1400),
            ..plain(Some("eth0"), DHCP)
        }
    );
    assert_eq!(
        configuration("ip=eth0:dhcp::52:54:00:12:34:56"),
        Configuration {
            mac: Some(MAC),
            ..plain(Some("eth0"), DHCP)
        }
    );
    assert_eq!(
        configuration("ip=enx525400123456:dhcp:9000:52:54:00:12:34:56"),
        Configuration {
            device: Some(Device::Mac(MAC)),
            method: DHCP,
            mtu: Some(9000),
            mac: Some(MAC),
        }
    );
}

#[test]
fn all_fields_of_the_long_form() {
    let expected = plain(Some("eth1"), network("fd00::2", 48, Some("fd00::1")));
    let long = "ip=[fd00::2]:[fd00::3]:[fd00::1]:48:host:eth1:none";
    assert_eq!(configuration(long), expected);
    assert_eq!(configuration(&format!("{long}:")), expected);
    assert_eq!(
        configuration(&format!("{long}:1280")),
        Configuration {
            mtu: Some(1280),
            ..expected.clone()
        }
    );
    for (tail, mtu) in [
        (":1280:52:54:00:12:34:56", Some(1280)),
        ("::52:54:00:12:34:56", None),
    ] {
        assert_eq!(
            configuration(&format!("{long}{tail}")),
            Configuration {
                mtu,
                mac: Some(MAC),
                ..expected.clone()
            }
        );
    }
    for (tail, servers) in [
        (":192.0.2.53", &["192.0.2.53"][..]),
        (
            ":192.0.2.53:[fd00::53]:192.0.2.123",
            &["192.0.2.53", "fd00::53"],
        ),
        ("::192.0.2.54", &["192.0.2.54"]),
        (":0.0.0.0:", &[]),
    ] {
        let settings = Settings::parse([format!("{long}{tail}").as_str()]);
        assert_eq!(
            settings.configurations,
            std::slice::from_ref(&expected),
            "{tail}"
        );
        let servers: Vec<_> = servers.iter().copied().map(ip).collect();
        assert_eq!(settings.name_servers, servers, "{tail}");
    }
    assert_eq!(
        reason("ip=192.0.2.7:::24:::none:192.0.2.53:::"),
        Reason::TooManyFields
    );
}

#[test]
fn the_last_word_for_a_device_counts() {
    let settings = parse("ip=eth0:dhcp ip=auto6 ip=eth1:dhcp ip=eth0:auto6 ip=dhcp");
    assert_eq!(
        settings.configurations,
        [
            plain(Some("eth1"), DHCP),
            plain(Some("eth0"), ROUTER),
            plain(None, DHCP)
        ]
    );
}

#[test]
fn which_word_is_for_a_card() {
    let other = Mac([2; 6]);
    let settings = parse("ip=dhcp ip=eth1:auto6 ip=enx525400123456:any");
    let method = |settings: &Settings, name, mac| {
        settings
            .configuration(name, mac)
            .map(|found| found.method.clone())
    };
    assert_eq!(method(&settings, "eth1", Some(other)), Some(ROUTER));
    assert_eq!(method(&settings, "eth7", Some(MAC)), Some(ANY));
    assert_eq!(method(&settings, "eth0", Some(other)), Some(DHCP));
    assert_eq!(method(&settings, "vlan5", None), Some(DHCP));

    // The firmware's card is known, and the word without a device is for it alone.
    let settings = parse("ip=dhcp BOOTIF=01-52-54-00-12-34-56 ip=eth1:auto6");
    assert_eq!(method(&settings, "eth0", Some(MAC)), Some(DHCP));
    assert_eq!(method(&settings, "eth0", Some(other)), None);
    assert_eq!(method(&settings, "eth0", None), None);
    assert_eq!(method(&settings, "eth1", Some(other)), Some(ROUTER));
}

#[test]
fn name_servers_in_order_and_none_twice() {
    let settings = parse(
        "ip=192.0.2.7:::24:::none:192.0.2.3:192.0.2.1 nameserver=192.0.2.1 nameserver=[fd00::1] \
         nameserver=fd00::2 nameserver=192.0.2.1",
    );
    let expected = ["192.0.2.1", "fd00::1", "fd00::2", "192.0.2.3"].map(ip);
    assert_eq!(settings.name_servers, expected);
    assert_eq!(settings.problems, []);
    assert_eq!(reason("nameserver="), Reason::Empty);
    assert_eq!(reason("nameserver=dns"), Reason::Address("dns".into()));
    assert_eq!(
        reason("nameserver=0.0.0.0"),
        Reason::NotUnicast(ip("0.0.0.0"))
    );
}

#[test]
fn vlans() {
    for (name, id) in [
        ("vlan5", 5),
        ("vlan0005", 5),
        ("eth0.5", 5),
        ("eth0.0005", 5),
        ("vlan4094", 4094),
    ] {
        assert_eq!(
            parse(&format!("vlan={name}:eth0")).vlans,
            [Vlan {
                name: name.into(),
                id,
                physical: Device::Name("eth0".into()),
            }]
        );
    }
    for name in [
        "eth05", "vlan0", "vlan4095", "vlan", "eth0.", "vlan5x", "eth0.+5",
    ] {
        assert_eq!(
            reason(&format!("vlan={name}:eth0")),
            Reason::VlanId(name.into())
        );
    }
    assert_eq!(reason("vlan=vlan5"), Reason::VlanForm);
    assert_eq!(reason("vlan=vlan5:"), Reason::Device(String::new()));
    assert_eq!(reason("vlan=:eth0"), Reason::Device(String::new()));
    let twice = parse("vlan=vlan5:eth0 vlan=vlan5:eth1").vlans;
    assert_eq!(
        (twice.len(), &twice[0].physical),
        (1, &Device::Name("eth1".into()))
    );
}

#[test]
fn the_card_that_the_firmware_booted_from() {
    for word in ["BOOTIF=01-52-54-00-12-34-56", "BOOTIF=01:52:54:00:12:34:56"] {
        assert_eq!(parse(word).boot_mac, Some(MAC), "{word}");
    }
    let infiniband = format!("BOOTIF=20{}", "-00".repeat(20));
    assert_eq!(reason(&infiniband), Reason::InfiniBand);
    assert_eq!(reason("BOOTIF=20-00-00-00-00-00-01"), Reason::InfiniBand);
    assert_eq!(
        reason("BOOTIF=06-52-54-00-12-34-56"),
        Reason::Hardware("06".into())
    );
    for mac in [
        "52-54-00-12-34-56",
        "01-52-54-00-12-34",
        "01-52-54-00-12-34-5g",
        "eth0",
    ] {
        assert!(
            matches!(reason(&format!("BOOTIF={mac}")), Reason::Mac(_)),
            "{mac}"
        );
    }
    assert_eq!(
        reason("BOOTIF=01-00-00-00-00-00-00"),
        Reason::Mac("00-00-00-00-00-00".into())
    );
    assert_eq!(
        reason("BOOTIF=01-01-00-5e-00-00-01"),
        Reason::Mac("01-00-5e-00-00-01".into())
    );
}

#[test]
fn what_stage_1_cannot_do() {
    for method in ["ibft", "dhcp6", "link6", "bootp", "rarp", "both"] {
        let expected = Reason::UnsupportedMethod(method.into());
        assert_eq!(reason(&format!("ip={method}")), expected);
        assert_eq!(reason(&format!("ip=eth0:{method}")), expected);
        assert_eq!(reason(&format!("ip=:::::eth0:{method}")), expected);
    }
}

#[test]
fn words_with_mistakes() {
    let long = "a-name-of-16-byt";
    for (word, expected) in [
        ("ip=", Reason::Empty),
        ("ip", Reason::Empty),
        ("ipp=dhcp", Reason::UnknownWord),
        ("ip=dchp", Reason::UnknownMethod("dchp".into())),
        ("ip=eth0:dchp", Reason::UnknownMethod("dchp".into())),
        (
            "ip=192.0.2.7:::24:::static",
            Reason::UnknownMethod("static".into()),
        ),
        (
            "ip=192.0.2.300:::24:::none",
            Reason::Address("192.0.2.300".into()),
        ),
        (
            "ip=[fd00::g]:::64:::none",
            Reason::Address("[fd00::g]".into()),
        ),
        ("ip=192.0.2.7:x::24:::none", Reason::Address("x".into())),
        ("ip=192.0.2.7::x:24:::none", Reason::Address("x".into())),
        ("ip=[fd00::2:::64:::none", Reason::Bracket),
        ("ip=[fd00::2]x:::64:::none", Reason::Bracket),
        ("ip=192.0.2.7:::33:::none", Reason::Netmask("33".into())),
        ("ip=192.0.2.7:::+3:::none", Reason::Netmask("+3".into())),
        (
            "ip=192.0.2.7:::255.0.255.0:::none",
            Reason::Netmask("255.0.255.0".into()),
        ),
        (
            "ip=[fd00::2]:::255.255.255.0:::none",
            Reason::Netmask("255.255.255.0".into()),
        ),
        ("ip=[fd00::2]:::129:::none", Reason::Netmask("129".into())),
        ("ip=[fd00::2]::192.0.2.1:64:::none", Reason::MixedFamilies),
        (
            "ip=224.0.0.1:::24:::none",
            Reason::NotUnicast(ip("224.0.0.1")),
        ),
        (
            "ip=255.255.255.255:::24:::none",
            Reason::NotUnicast(ip("255.255.255.255")),
        ),
        (
            "ip=[ff02::1]:::64:::none",
            Reason::NotUnicast(ip("ff02::1")),
        ),
        (
            "ip=192.0.2.7:::24::eth/0:none",
            Reason::Device("eth/0".into()),
        ),
        ("ip=..:dhcp", Reason::Address("..".into())),
        ("ip=a-name-of-16-byt:dhcp", Reason::Device(long.into())),
        ("ip=eth0:dhcp:575", Reason::Mtu("575".into())),
        ("ip=eth0:dhcp:65536", Reason::Mtu("65536".into())),
        ("ip=eth0:dhcp:4294967296", Reason::Mtu("4294967296".into())),
        ("ip=eth0:dhcp:1400:52:54", Reason::Mac("52:54".into())),
        (
            "ip=eth0:dhcp::53:54:00:12:34:56",
            Reason::Mac("53:54:00:12:34:56".into()),
        ),
    ] {
        assert_eq!(reason(word), expected, "{word}");
    }
}

#[test]
fn one_wrong_word_leaves_the_others() {
    let settings = parse("ip=ibft ip=eth0:dhcp vlan=x nameserver=192.0.2.1");
    assert_eq!(settings.configurations, [plain(Some("eth0"), DHCP)]);
    assert_eq!(settings.name_servers, [ip("192.0.2.1")]);
    assert_eq!(settings.problems.len(), 2);
}

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    let four =
        (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let six = (any::<[u8; 16]>(), any::<[u8; 16]>())
        .prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let single = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => (1..224).contains(&ip.octets()[0]) && !ip.is_loopback(),
        IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_loopback() && !ip.is_unspecified(),
    };
    prop_oneof![four, six].prop_filter("both of single machines", move |(a, b)| {
        single(a) && single(b)
    })
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

proptest! {
    #[test]
    fn any_words_are_taken(words in proptest::collection::vec("(ip=|nameserver=|vlan=|BOOTIF=|)[ -~]{0,60}", 0..5)) {
        let settings = Settings::parse(words.iter().map(String::as_str));
        let taken = settings.configurations.len() + settings.name_servers.len() + settings.vlans.len()
            + usize::from(settings.boot_mac.is_some()) + settings.problems.len();
        prop_assert!(words.is_empty() || taken > 0);
    }

    #[test]
    fn any_fields_are_taken(fields in proptest::collection::vec(
        "|[a-z0-9.]{1,9}|\\[[0-9a-f:]{0,9}\\]?|24|192\\.0\\.2\\.[0-9]|dhcp|none",
        1..14,
    )) {
        let word = format!("ip={}", fields.join(":"));
        let settings = Settings::parse([word.as_str()]);
        prop_assert_eq!(settings.configurations.len() + settings.problems.len(), 1);
    }

    #[test]
    fn what_is_written_is_read(
        (address, gateway) in addresses(),
        prefix_len in 0..=32_u8,
        device in "[a-z][a-z0-9]{0,14}",
        mtu in proptest::option::of(576..=65535_u32),
    ) {
        prop_assume!(!device.starts_with("enx"));
        let mtu_text = mtu.map(|mtu| mtu.to_string()).unwrap_or_default();
        let word = format!(
            "ip={}::{}:{prefix_len}:host:{device}:none:{mtu_text}",
            bracketed(address),
            bracketed(gateway),
        );
        let method = Method::Static(Network { address, prefix_len, gateway: Some(gateway) });
        prop_assert_eq!(configuration(&word), Configuration { mtu, ..plain(Some(&device), method) });
    }

    #[test]
    fn every_netmask_is_read(prefix_len in 0..=32_u32) {
        let mask = std::net::Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - prefix_len).unwrap_or(0));
        let Method::Static(network) = configuration(&format!("ip=10.0.0.1:::{mask}")).method else {
            panic!("an address");
        };
        prop_assert_eq!(u32::from(network.prefix_len), prefix_len);
    }
}
