//! The packets of a network to a DHCP client. Checksums count as right: smoltcp sees to that in a fuzz target.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use storeboot_netconf::Mac;
use storeboot_netconf::dhcp::{Client, Step, UdpChecksum};

const MAC: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const TRANSACTION: u32 = 0x0102_0304;
const LIMIT: Duration = Duration::from_secs(120);
/// Where the number of the transaction and the MAC address are in a packet without IP options.
const TRANSACTION_AT: usize = 20 + 8 + 4;
const MAC_AT: usize = 20 + 8 + 28;

fuzz_target!(|data: &[u8]| {
    let mut client = Client::new(MAC, Duration::ZERO, LIMIT);
    let mut now = Duration::ZERO;
    let mut rest = data;
    let mut sent = 0;
    loop {
        match client.poll(now, &mut || TRANSACTION) {
            Step::Send(packet) => {
                sent += 1;
                assert!(sent < 500 && packet.len() <= 576);
                if let Some(mut answer) = next(&mut rest) {
                    // Most packets are for this client, or the checks would hide what comes after them.
                    if answer.len() > 300 && answer[0] & 1 == 1 {
                        answer[TRANSACTION_AT..][..4].copy_from_slice(&TRANSACTION.to_be_bytes());
                        answer[MAC_AT..][..6].copy_from_slice(&MAC.0);
                    }
                    let _: Result<_, _> = client.receive(&answer, UdpChecksum::Filled, now);
                }
            }
            Step::Wait(until) => {
                assert!(until > now && until <= LIMIT);
                now = until;
            }
            Step::Done(lease) => {
                assert!((1..=32).contains(&lease.prefix_len));
                assert!(!lease.address.is_unspecified() && !lease.address.is_multicast());
                assert!(lease.mtu.is_none_or(|mtu| (576..=65535).contains(&mtu)));
                assert!(lease.routes.len() <= 64 && lease.name_servers.len() <= 8);
                break;
            }
            Step::Failed(error) => {
                assert!(now == LIMIT && !error.to_string().is_empty());
                break;
            }
        }
    }
});

/// The next packet: two bytes that say how long it is, then it.
fn next(data: &mut &[u8]) -> Option<Vec<u8>> {
    let (len, rest) = data.split_first_chunk()?;
    let len = usize::from(u16::from_le_bytes(*len)) % 1500;
    let (packet, rest) = rest.split_at(len.min(rest.len()));
    *data = rest;
    Some(packet.to_vec())
}
