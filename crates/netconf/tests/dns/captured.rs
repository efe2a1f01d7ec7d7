//! Answers of dnsmasq 2.90, with names that point to other names.

use std::net::SocketAddr;
use std::time::Duration;

use storeboot_netconf::dns::{Error, Lookup, Question, Refusal, Step, Wanted};

use crate::ip;

/// Asks one server for one kind of address, and hands on its answer to the message of number `id`.
fn ask(name: &str, wanted: Wanted, id: u32, answer: &str) -> Step {
    let server: SocketAddr = "192.0.2.1:53".parse().expect("an address");
    let mut lookup = Lookup::new(&Question {
        name,
        wanted,
        servers: &[server],
        search: &[],
        tries: 1,
    });
    let mut random = || id;
    assert!(matches!(
        lookup.poll(Duration::ZERO, &mut random),
        Step::Send { .. }
    ));
    let answer = data_encoding::HEXLOWER
        .decode(answer.as_bytes())
        .expect("hexadecimal digits");
    lookup.receive(server, &answer).expect("the answer counts");
    lookup.poll(Duration::ZERO, &mut random)
}

#[test]
fn addresses() {
    let four = "1234858000010001000000000573746f7265076578616d706c65036f72670000010001\
                c00c00010001000000000004c0000250";
    assert_eq!(
        ask("store.example.org", Wanted::Ipv4, 0x1234, four),
        Step::Done(vec![ip("192.0.2.80")])
    );
    let six = "1235858000010001000000000573746f7265076578616d706c65036f726700001c0001\
               c00c001c000100000000001020010db8000000000000000000000080";
    assert_eq!(
        ask("store.example.org", Wanted::Ipv6, 0x1235, six),
        Step::Done(vec![ip("2001:db8::80")])
    );
}

#[test]
fn an_alias() {
    let four = "12368580000100020000000005616c696173076578616d706c65036f72670000010001\
                c00c00050001000000000012047265616c076578616d706c65036f726700\
                c02f00010001000000000004c0000251";
    assert_eq!(
        ask("alias.example.org", Wanted::Ipv4, 0x1236, four),
        Step::Done(vec![ip("192.0.2.81")])
    );
    let six = "12378580000100020000000005616c696173076578616d706c65036f726700001c0001\
               c00c00050001000000000012047265616c076578616d706c65036f726700\
               c02f001c000100000000001020010db8000000000000000000000081";
    assert_eq!(
        ask("alias.example.org", Wanted::Ipv6, 0x1237, six),
        Step::Done(vec![ip("2001:db8::81")])
    );
}

#[test]
fn no_such_name_and_a_refusal() {
    let none = "123881830001000000000000076e6f7468657265076578616d706c65036f72670000010001";
    assert!(matches!(
        ask("nothere.example.org", Wanted::Ipv4, 0x1238, none),
        Step::Failed(Error::NoSuchName { .. })
    ));
    let refused = "123981850001000000000000056f7468657204746573740000010001";
    assert!(matches!(
        ask("other.test", Wanted::Ipv4, 0x1239, refused),
        Step::Failed(Error::NoAnswer {
            refusal: Some(Refusal { code: 5, .. }),
            ..
        })
    ));
}
