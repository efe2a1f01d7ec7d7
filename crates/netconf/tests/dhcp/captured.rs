//! Packets of dnsmasq 2.90 that came through a pair of `veth` devices of Linux 6.18, which leaves the UDP checksum
//! open.

use std::net::Ipv4Addr;
use std::time::Duration;

use storeboot_netconf::dhcp::{Client, Ignored, Lease, Route, Step, UdpChecksum};

use crate::{LIMIT, MAC, SERVER};

const TRANSACTION: u32 = 0xa731_2b5c;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    data_encoding::HEXLOWER
        .decode(&digits)
        .expect("hexadecimal digits")
}

#[test]
fn a_lease_of_dnsmasq() {
    let now = Duration::ZERO;
    let offer = bytes(include_str!("offer.hex"));
    let ack = bytes(include_str!("ack.hex"));
    let mut random = || TRANSACTION;
    let mut client = Client::new(MAC, now, LIMIT);
    assert!(matches!(client.poll(now, &mut random), Step::Send(_)));
    assert_eq!(
        client.receive(&offer, UdpChecksum::Filled, now),
        Err(Ignored::Checksum)
    );
    assert_eq!(client.receive(&offer, UdpChecksum::Partial, now), Ok(()));
    assert!(matches!(client.poll(now, &mut random), Step::Send(_)));
    assert_eq!(client.receive(&ack, UdpChecksum::Partial, now), Ok(()));
    let expected = Lease {
        address: Ipv4Addr::new(192, 0, 2, 111),
        prefix_len: 24,
        routes: vec![
            Route {
                destination: Ipv4Addr::new(10, 0, 0, 0),
                prefix_len: 8,
                gateway: Some(Ipv4Addr::new(192, 0, 2, 9)),
            },
            Route {
                destination: Ipv4Addr::UNSPECIFIED,
                prefix_len: 0,
                gateway: Some(SERVER),
            },
        ],
        name_servers: vec![SERVER, Ipv4Addr::new(192, 0, 2, 53)],
        mtu: Some(1400),
        domain: Some("example.org".into()),
        server: SERVER,
    };
    assert_eq!(client.poll(now, &mut random), Step::Done(expected));
}
