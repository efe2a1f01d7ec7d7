//! A network that loses, repeats, delays and changes packets, and that others write to.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;
use smoltcp::wire::DhcpMessageType;
use storeboot_netconf::dhcp::{Client, Step, UdpChecksum};

use crate::server::{Answer, Asked, packet, read};
use crate::{ADDRESS, FILLED, LIMIT, MAC, Machine, SERVER};

/// A second server.
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);

/// What happens to one answer.
#[derive(Clone, Debug)]
enum Fate {
    Arrives,
    Lost,
    Twice,
    /// One byte is another one.
    Changed(usize, u8),
    /// It is for another card.
    OtherMac([u8; 6]),
    /// It has another number.
    OtherTransaction(u32),
    /// The server does as the protocol forbids.
    Wrong(u8),
    /// These bytes come instead.
    Bytes(Vec<u8>),
    /// It comes after the next packets.
    Late,
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Arrives),
        3 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        1 => Just(Fate::Late),
        1 => (0..400_usize, 1..=255_u8).prop_map(|(at, bits)| Fate::Changed(at, bits)),
        1 => any::<[u8; 6]>().prop_map(Fate::OtherMac),
        1 => any::<u32>().prop_map(Fate::OtherTransaction),
        1 => any::<u8>().prop_map(Fate::Wrong),
        1 => proptest::collection::vec(any::<u8>(), 0..400).prop_map(Fate::Bytes),
    ]
}

/// What a right server answers.
fn right(asked: &Asked) -> Answer {
    match asked.kind {
        DhcpMessageType::Discover => Answer::offer(asked),
        _ => Answer::ack(asked),
    }
}

/// The packets that come of one answer. Those of the second list come later.
fn arrivals(fate: &Fate, asked: &Asked) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let whole = packet(&right(asked));
    let now = match fate {
        Fate::Arrives => vec![whole],
        Fate::Lost => vec![],
        Fate::Twice => vec![whole.clone(), whole],
        Fate::Late => return (vec![], vec![whole]),
        Fate::Changed(at, bits) => {
            let mut changed = whole;
            let at = at % changed.len();
            changed[at] ^= bits;
            vec![changed]
        }
        Fate::OtherMac(mac) => vec![packet(&right(asked).with_mac(storeboot_netconf::Mac(*mac)))],
        Fate::OtherTransaction(number) => vec![packet(&right(asked).with_transaction(*number))],
        Fate::Wrong(kind) => vec![packet(&match kind % 4 {
            0 => Answer::nak(asked),
            1 => Answer::ack(asked).with_address([0, 0, 0, 0].into()),
            2 => right(asked).with(1, &[9, 9, 9, 9]),
            _ => right(asked).with(54, &OTHER.octets()),
        })],
        Fate::Bytes(bytes) => vec![bytes.clone()],
    };
    (now, vec![])
}

proptest! {
    #[test]
    fn ends_within_its_limit_and_takes_its_own_lease_only(fates in proptest::collection::vec(fates(), 1..40)) {
        let mut machine = Machine::new();
        let begun = machine.now;
        let mut fates = fates.into_iter().cycle();
        let mut late = VecDeque::new();
        let mut packets = 0;
        loop {
            match machine.poll() {
                Step::Send(sent) => {
                    packets += 1;
                    prop_assert!(packets <= 500, "a bound on packets");
                    let asked = read(&sent);
                    prop_assert_eq!(asked.mac, MAC);
                    let fate = fates.next().expect("there is no end");
                    let (now, later) = arrivals(&fate, &asked);
                    for packet in late.drain(..).chain(now) {
                        let _: Result<_, _> = machine.receive(&packet);
                    }
                    late.extend(later);
                }
                Step::Wait(until) => {
                    prop_assert!(until > machine.now && until <= begun + LIMIT);
                    machine.now = until;
                }
                Step::Done(lease) => {
                    prop_assert_eq!((lease.address, lease.prefix_len), (ADDRESS, 24));
                    prop_assert!([SERVER, OTHER].contains(&lease.server));
                    break;
                }
                Step::Failed(error) => {
                    prop_assert_eq!(machine.now, begun + LIMIT);
                    prop_assert!(error.to_string().contains("within 120 seconds"));
                    break;
                }
            }
        }
    }

    #[test]
    fn one_right_answer_of_each_kind_is_enough(lost in 0..6_usize, lost_later in 0..3_usize) {
        let mut machine = Machine::new();
        let mut left = [lost, lost_later];
        let lease = loop {
            match machine.poll() {
                Step::Send(sent) => {
                    let asked = read(&sent);
                    let left = &mut left[usize::from(asked.kind != DhcpMessageType::Discover)];
                    match left.checked_sub(1) {
                        Some(fewer) => *left = fewer,
                        None => machine.receive(&packet(&right(&asked))).expect("it is taken"),
                    }
                }
                Step::Wait(until) => machine.now = until,
                Step::Done(lease) => break lease,
                Step::Failed(error) => panic!("{error}"),
            }
        };
        prop_assert_eq!(lease.address, ADDRESS);
    }

    #[test]
    fn any_packets_are_taken(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 0..8),
        partial in any::<bool>(),
    ) {
        let checksum = if partial { UdpChecksum::Partial } else { FILLED };
        let now = Duration::ZERO;
        let mut client = Client::new(MAC, now, LIMIT);
        client.poll(now, &mut || 1);
        for packet in packets {
            prop_assert!(client.receive(&packet, checksum, now).is_err());
        }
    }

    #[test]
    fn any_options_are_taken(
        options in proptest::collection::vec((1..255_u8, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
        fields in proptest::collection::vec(any::<u8>(), 192),
    ) {
        let mut machine = Machine::new();
        let asked = machine.sent();
        let mut answer = Answer::offer(&asked);
        for (kind, value) in &options {
            answer = answer.also(*kind, value);
        }
        let bytes = crate::server::packet_with(&answer, |message| message[44..236].copy_from_slice(&fields));
        if machine.receive(&bytes).is_ok() {
            let asked = machine.sent();
            prop_assert_eq!(asked.requested, Some(ADDRESS));
        }
    }
}
