//! Any answers, and answers with any records.

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use storeboot_netconf::dns::{Name, ResolvConf, Step, Wanted};

use crate::server::Answer;
use crate::{A, AAAA, CNAME, Machine, NAME, ip};

proptest! {
    #[test]
    fn any_datagrams_are_taken_and_there_is_an_end(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20),
        keep_id in any::<bool>(),
    ) {
        let mut machine = Machine::with_search("store", Wanted::Both, &["example.org"]);
        let begun = machine.now;
        let mut datagrams = datagrams.into_iter().cycle();
        let mut packets = 0;
        loop {
            match machine.poll() {
                Step::Send { to, message } => {
                    packets += 1;
                    let mut datagram = datagrams.next().expect("there is no end");
                    if keep_id && datagram.len() > 2 {
                        datagram[..2].copy_from_slice(&message[..2]);
                    }
                    prop_assert!(machine.lookup.receive(to, &datagram).is_err());
                }
                Step::Wait(until) => {
                    prop_assert!(until > machine.now);
                    machine.now = until;
                }
                Step::Failed(_) => break,
                Step::Done(addresses) => panic!("{addresses:?}"),
            }
        }
        prop_assert!(packets <= 2 * 5 && machine.now - begun <= Duration::from_secs(10));
    }

    #[test]
    fn any_changes_of_an_answer_are_taken(
        changes in proptest::collection::vec((2..200_usize, any::<u8>()), 0..6),
        len in 0..200_usize,
    ) {
        let mut machine = Machine::new(NAME, Wanted::Ipv4);
        let asked = machine.sent();
        let mut message = Answer::to(&asked)
            .alias(NAME, "b.example.org")
            .alias("b.example.org", "c.example.org")
            .with("c.example.org", ip("192.0.2.80"))
            .message();
        for (at, value) in changes {
            let at = at.min(message.len() - 1);
            message[at] = value;
        }
        message.truncate(len.max(2));
        let _: Result<_, _> = machine.lookup.receive(asked.server, &message);
        let _: Step = machine.poll();
    }

    #[test]
    fn names_that_point_anywhere_are_taken(pointers in proptest::collection::vec((0..256_u16, any::<u8>()), 1..30)) {
        let mut machine = Machine::new(NAME, Wanted::Ipv4);
        let asked = machine.sent();
        let mut message = Answer::to(&asked).message();
        message[6..8].copy_from_slice(&u16::try_from(pointers.len()).expect("few").to_be_bytes());
        for (pointer, label) in pointers {
            // An alias whose owner and target are a label and a pointer.
            let [high, low] = (0xc000 | pointer).to_be_bytes();
            message.extend([1, label, high, low]);
            message.extend([0, u8::try_from(CNAME).expect("small"), 0, 1, 0, 0, 0, 0, 0, 4]);
            message.extend([1, label, high, low]);
        }
        let _: Result<_, _> = machine.lookup.receive(asked.server, &message);
        prop_assert!(!matches!(machine.poll(), Step::Done(_)));
    }

    #[test]
    fn what_is_written_is_read(
        addresses in proptest::collection::vec((1..224_u8, any::<[u8; 3]>()), 1..16),
        six in proptest::collection::vec(any::<[u8; 15]>(), 0..16),
    ) {
        let four: Vec<_> = addresses
            .iter()
            .map(|(first, [b, c, d])| IpAddr::from([*first, *b, *c, *d]))
            .filter(|address| !address.is_loopback())
            .collect();
        prop_assume!(!four.is_empty());
        let six: Vec<_> = six
            .iter()
            .map(|rest| {
                let mut octets = [0x20; 16];
                octets[1..].copy_from_slice(rest);
                IpAddr::from(octets)
            })
            .collect();
        let mut machine = Machine::new(NAME, Wanted::Both);
        for _ in 0..2 {
            let asked = machine.sent();
            let all = match asked.kind {
                A => &four,
                AAAA => &six,
                other => panic!("{other}"),
            };
            let answer = all
                .iter()
                .fold(Answer::to(&asked), |answer, address| answer.with(NAME, *address));
            machine.taken(&asked, &answer);
        }
        prop_assert_eq!(machine.addresses(), [six, four].concat());
    }

    #[test]
    fn every_name_is_asked_for_as_it_is(labels in proptest::collection::vec("[a-z0-9_-]{1,63}", 1..5)) {
        let name = labels.join(".");
        prop_assume!(name.len() <= 253 && name.parse::<IpAddr>().is_err());
        prop_assert_eq!(Machine::new(&name, Wanted::Ipv4).sent().name, name);
    }

    #[test]
    fn any_text_is_a_name_or_not(text in ".{0,300}") {
        if let Ok(name) = Name::parse(&text) {
            prop_assert_eq!(Name::parse(name.as_str()), Ok(name.clone()));
        }
    }

    #[test]
    fn any_file_is_taken(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        let found = ResolvConf::parse(&[b"nameserver 192.0.2.1\n".as_slice(), &text].concat());
        prop_assert!((1..=3).contains(&found.servers.len()) && found.search.len() <= 6);
    }
}
