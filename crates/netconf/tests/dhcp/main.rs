//! The DHCP client against a server of the test, and against packets of dnsmasq.

mod captured;
mod hostile;
mod server;

use std::net::Ipv4Addr;
use std::time::Duration;

use smoltcp::wire::DhcpMessageType;
use storeboot_netconf::Mac;
use storeboot_netconf::dhcp::{Client, Error, Ignored, Lease, Route, Step, UdpChecksum};

use server::{Answer, Asked, OPTIONS, packet, read};

const MAC: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const LIMIT: Duration = Duration::from_secs(120);
const FILLED: UdpChecksum = UdpChecksum::Filled;
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);

/// A client with a clock and random numbers.
struct Machine {
    client: Client,
    now: Duration,
    number: u32,
}

impl Machine {
    fn new() -> Self {
        let now = Duration::from_secs(7);
        Self {
            client: Client::new(MAC, now, LIMIT),
            now,
            number: 0,
        }
    }

    fn poll(&mut self) -> Step {
        let number = &mut self.number;
        self.client.poll(self.now, &mut || {
            // Any numbers will do, if they differ.
            *number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *number
        })
    }

    fn receive(&mut self, packet: &[u8]) -> Result<(), Ignored> {
        self.client.receive(packet, FILLED, self.now)
    }

    /// The next packet, which must be due.
    fn sent(&mut self) -> Asked {
        match self.poll() {
            Step::Send(packet) => read(&packet),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the next packet is due; how long that takes.
    fn wait(&mut self) -> Duration {
        match self.poll() {
            Step::Wait(until) => {
                let wait = until - self.now;
                self.now = until;
                wait
            }
            other => panic!("{other:?}"),
        }
    }

    /// Up to the request for `ADDRESS`.
    fn requesting(&mut self) -> Asked {
        let asked = self.sent();
        self.receive(&packet(&Answer::offer(&asked)))
            .expect("the offer is taken");
        self.sent()
    }

    fn lease(&mut self) -> Lease {
        match self.poll() {
            Step::Done(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn error(&mut self) -> Error {
        loop {
            match self.poll() {
                Step::Send(_) => {}
                Step::Wait(until) => self.now = until,
                Step::Failed(error) => return error,
                Step::Done(lease) => panic!("{lease:?}"),
            }
        }
    }
}

#[test]
fn from_the_first_packet_to_the_lease() {
    let mut machine = Machine::new();
    let discover = machine.sent();
    assert_eq!(discover.kind, DhcpMessageType::Discover);
    assert_eq!(
        (discover.mac, discover.seconds, discover.broadcast),
        (MAC, 0, true)
    );
    assert_eq!((discover.requested, discover.server), (None, None));
    assert_eq!(discover.parameters, [1, 121, 3, 6, 15, 26]);
    assert!(matches!(machine.poll(), Step::Wait(_)));

    machine
        .receive(&packet(&Answer::offer(&discover)))
        .expect("the offer is taken");
    let request = machine.sent();
    assert_eq!(request.kind, DhcpMessageType::Request);
    assert_eq!(request.transaction, discover.transaction);
    assert_eq!(
        (request.requested, request.server),
        (Some(ADDRESS), Some(SERVER))
    );

    machine
        .receive(&packet(&Answer::ack(&request)))
        .expect("the lease is taken");
    let lease = machine.lease();
    assert_eq!(
        lease,
        Lease {
            address: ADDRESS,
            prefix_len: 24,
            routes: vec![Route {
                destination: Ipv4Addr::UNSPECIFIED,
                prefix_len: 0,
                gateway: Some(SERVER),
            }],
            name_servers: vec![SERVER],
            mtu: Some(1400),
            domain: Some("example.org".into()),
            server: SERVER,
        }
    );
    // The lease stays, whatever comes and however late it is.
    machine.now += LIMIT;
    assert_eq!(
        machine.receive(&packet(&Answer::ack(&request))),
        Err(Ignored::NotAsked)
    );
    assert_eq!(machine.lease(), lease);
}

#[test]
fn waits_double_and_end_at_the_limit() {
    let mut machine = Machine::new();
    let begun = machine.now;
    let mut waits = Vec::new();
    let mut transactions = Vec::new();
    loop {
        match machine.poll() {
            Step::Send(packet) => {
                let asked = read(&packet);
                assert_eq!(u64::from(asked.seconds), (machine.now - begun).as_secs());
                transactions.push(asked.transaction);
            }
            Step::Wait(until) => {
                waits.push((until - machine.now).as_millis());
                machine.now = until;
            }
            Step::Failed(error) => {
                let expected = Error::NoOffer {
                    ignored: None,
                    limit: LIMIT,
                };
                assert_eq!(error, expected);
                assert_eq!(
                    error.to_string(),
                    "no DHCP server offered an address within 120 seconds"
                );
                break;
            }
            Step::Done(lease) => panic!("{lease:?}"),
        }
    }
    assert_eq!(machine.now, begun + LIMIT);
    for (at, seconds) in [1, 2, 4, 8, 16, 16, 16, 16, 16].into_iter().enumerate() {
        let middle = seconds * 1000;
        assert!(
            (middle - 500..=middle + 500).contains(&waits[at]),
            "{waits:?}"
        );
    }
    // Late offers count.
    assert!(transactions.iter().all(|number| *number == transactions[0]));
    assert!(matches!(machine.poll(), Step::Failed(_)));
}

#[test]
fn an_offer_that_is_late_counts() {
    let mut machine = Machine::new();
    let first = machine.sent();
    machine.wait();
    machine.sent();
    machine.wait();
    machine
        .receive(&packet(&Answer::offer(&first)))
        .expect("the offer is taken");
    assert_eq!(machine.sent().kind, DhcpMessageType::Request);
}

#[test]
fn an_offer_that_is_not_confirmed_is_given_up() {
    let mut machine = Machine::new();
    let request = machine.requesting();
    for _ in 0..3 {
        machine.wait();
        let again = machine.sent();
        assert_eq!(
            (again.kind, again.requested, again.seconds),
            (DhcpMessageType::Request, Some(ADDRESS), request.seconds)
        );
    }
    machine.wait();
    let discover = machine.sent();
    assert_eq!(discover.kind, DhcpMessageType::Discover);
    assert_ne!(discover.transaction, request.transaction);
    assert!(discover.seconds > 0);
    let error = machine.error();
    assert_eq!(
        error.to_string(),
        "DHCP server 192.0.2.1 offered 192.0.2.100 and did not confirm it within 120 seconds"
    );
}

#[test]
fn a_refusal_begins_again_after_a_second() {
    let mut machine = Machine::new();
    let request = machine.requesting();
    machine
        .receive(&packet(&Answer::nak(&request)))
        .expect("the refusal counts");
    assert_eq!(machine.wait(), Duration::from_secs(1));
    let discover = machine.sent();
    assert_eq!(discover.kind, DhcpMessageType::Discover);
    assert_ne!(discover.transaction, request.transaction);
    let error = machine.error();
    assert_eq!(
        error.to_string(),
        "DHCP server 192.0.2.1 refused the address that it had offered, and none was to be had within 120 seconds"
    );
}

#[test]
fn a_server_that_refuses_everything_does_not_make_it_spin() {
    let mut machine = Machine::new();
    let mut packets = 0;
    loop {
        match machine.poll() {
            Step::Send(sent) => {
                packets += 1;
                let asked = read(&sent);
                let answer = match asked.kind {
                    DhcpMessageType::Discover => Answer::offer(&asked),
                    _ => Answer::nak(&asked),
                };
                machine.receive(&packet(&answer)).expect("it is taken");
            }
            Step::Wait(until) => machine.now = until,
            Step::Failed(_) => break,
            Step::Done(lease) => panic!("{lease:?}"),
        }
    }
    assert!(packets <= 2 * 121, "{packets}");
}

#[test]
fn foreign_answers_do_not_count() {
    let other = Ipv4Addr::new(192, 0, 2, 2);
    let mut machine = Machine::new();
    let asked = machine.sent();
    let offer = Answer::offer(&asked);
    for (answer, expected) in [
        (offer.clone().with_mac(Mac([2; 6])), Ignored::OtherMac),
        (
            offer.clone().with_transaction(asked.transaction ^ 1),
            Ignored::OtherTransaction,
        ),
        (Answer::ack(&asked), Ignored::NotAsked),
        (Answer::nak(&asked), Ignored::NotAsked),
        (offer.clone().without(54), Ignored::NoServer),
        (offer.clone().with(54, &[0; 4]), Ignored::NoServer),
        (offer.clone().without(1), Ignored::Netmask),
        (offer.clone().with(1, &[255, 0, 255, 0]), Ignored::Netmask),
        (offer.clone().with(1, &[0; 4]), Ignored::Netmask),
        (offer.clone().without(53), Ignored::Malformed),
        (offer.clone().with(53, &[2, 2]), Ignored::Malformed),
    ] {
        assert_eq!(machine.receive(&packet(&answer)), Err(expected));
    }
    for address in [
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "127.0.0.1",
        "192.0.2.0",
        "192.0.2.255",
        "0.1.2.3",
    ] {
        let address: Ipv4Addr = address.parse().expect("an address");
        assert_eq!(
            machine.receive(&packet(&offer.clone().with_address(address))),
            Err(Ignored::Address(address))
        );
    }

    machine
        .receive(&packet(&offer))
        .expect("the offer is taken");
    let request = machine.sent();
    let ack = Answer::ack(&request);
    for (answer, expected) in [
        (ack.clone().with(54, &other.octets()), Ignored::OtherServer),
        (
            Answer::nak(&request).with(54, &other.octets()),
            Ignored::OtherServer,
        ),
        (Answer::nak(&request).without(54), Ignored::NoServer),
        (ack.clone().with_address(other), Ignored::OtherAddress),
        (ack.clone().with_mac(Mac([2; 6])), Ignored::OtherMac),
        (ack.clone().with(1, &[255, 255, 0]), Ignored::Netmask),
        (Answer::offer(&request), Ignored::NotAsked),
    ] {
        assert_eq!(machine.receive(&packet(&answer)), Err(expected));
    }
    machine.receive(&packet(&ack)).expect("the lease is taken");
}

#[test]
fn the_error_says_what_was_wrong_with_the_last_offer() {
    let mut machine = Machine::new();
    let asked = machine.sent();
    let _ = machine.receive(&packet(&Answer::offer(&asked).without(1)));
    // What is for others says nothing.
    let _ = machine.receive(&packet(&Answer::offer(&asked).with_mac(Mac([2; 6]))));
    assert_eq!(
        machine.error().to_string(),
        "no DHCP server offered an address within 120 seconds; the last answer did not count: \
         it has no netmask, or a wrong one"
    );
}

#[test]
fn nothing_counts_before_the_first_packet() {
    let asked = Machine::new().sent();
    let mut machine = Machine::new();
    assert_eq!(
        machine.receive(&packet(&Answer::offer(&asked))),
        Err(Ignored::NotAsked)
    );
}

/// What a lease says whose last answer is changed by `change`.
fn lease(change: impl Fn(Answer) -> Answer) -> Lease {
    let mut machine = Machine::new();
    let asked = machine.sent();
    machine
        .receive(&packet(&change(Answer::offer(&asked))))
        .expect("the offer is taken");
    let request = machine.sent();
    machine
        .receive(&packet(&change(Answer::ack(&request))))
        .expect("the lease is taken");
    machine.lease()
}

#[test]
fn values_that_make_no_sense_count_for_nothing() {
    let no_sense = lease(|answer| {
        answer
            .with(3, &[255; 4])
            .with(6, &[0, 0, 0, 0, 224, 0, 0, 1, 192, 0, 2, 53, 9])
            .with(26, &[0, 68])
            .with(15, b"not a domain")
    });
    assert_eq!(no_sense.routes, []);
    assert_eq!(no_sense.name_servers, [Ipv4Addr::new(192, 0, 2, 53)]);
    assert_eq!((no_sense.mtu, no_sense.domain), (None, None));

    let bare = lease(|answer| answer.without(3).without(6).without(26).without(15));
    assert_eq!((bare.routes.len(), bare.name_servers.len()), (0, 0));
    assert_eq!((bare.mtu, bare.domain), (None, None));

    // A zero at the end of a C string.
    assert_eq!(
        lease(|answer| answer.with(15, b"example.org\0"))
            .domain
            .as_deref(),
        Some("example.org")
    );
    assert_eq!(
        lease(|answer| answer.with(26, &[0xff, 0xff])).mtu,
        Some(65535)
    );
    assert_eq!(
        lease(|answer| answer.with(6, &[9; 64])).name_servers.len(),
        8
    );
}

#[test]
fn a_network_of_one_address_and_a_gateway_outside() {
    let lease = lease(|answer| answer.with(1, &[255; 4]).with(3, &[10, 0, 0, 1]));
    assert_eq!(lease.prefix_len, 32);
    assert_eq!(lease.routes[0].gateway, Some(Ipv4Addr::new(10, 0, 0, 1)));
}

#[test]
fn classless_routes_replace_the_router() {
    // RFC 3442: 10/8 and 10.17.0.0/16 by two gateways, 10.229.0.128/25 on the link, and the default route. The bits of
    // 10.255.255.255/9 after its prefix do not count.
    let routes = [
        &[8, 10, 192, 0, 2, 9][..],
        &[16, 10, 17, 192, 0, 2, 8],
        &[25, 10, 229, 0, 128, 0, 0, 0, 0],
        &[9, 10, 255, 192, 0, 2, 7],
        &[32, 10, 0, 0, 1, 192, 0, 2, 6],
        &[0, 192, 0, 2, 5],
    ]
    .concat();
    let route = |destination: [u8; 4], prefix_len, gateway: Option<u8>| Route {
        destination: destination.into(),
        prefix_len,
        gateway: gateway.map(|last| Ipv4Addr::new(192, 0, 2, last)),
    };
    let all = [
        route([10, 0, 0, 0], 8, Some(9)),
        route([10, 17, 0, 0], 16, Some(8)),
        route([10, 229, 0, 128], 25, None),
        route([10, 128, 0, 0], 9, Some(7)),
        route([10, 0, 0, 1], 32, Some(6)),
        route([0; 4], 0, Some(5)),
    ];
    assert_eq!(lease(|answer| answer.with(121, &routes)).routes, all);
    // Cut short, it counts as far as it goes; the router does not come back.
    assert_eq!(
        lease(|answer| answer.with(121, &routes[..20])).routes,
        all[..2]
    );
    assert_eq!(
        lease(|answer| answer.with(121, &[33, 0, 0, 0, 0])).routes,
        []
    );
    assert_eq!(
        lease(|answer| answer.with(121, &[0, 224, 0, 0, 1])).routes,
        []
    );
    let many = [0, 192, 0, 2, 5].repeat(51);
    assert_eq!(lease(|answer| answer.with(121, &many)).routes.len(), 51);
}

#[test]
fn an_option_in_parts_is_one_option() {
    let lease = lease(|answer| answer.with(6, &[192, 0]).also(6, &[2, 53, 192, 0, 2, 54]));
    assert_eq!(
        lease.name_servers,
        [Ipv4Addr::new(192, 0, 2, 53), Ipv4Addr::new(192, 0, 2, 54)]
    );
}

#[test]
fn options_in_the_fields_of_names() {
    let mut machine = Machine::new();
    let asked = machine.sent();
    // Option 52 says which fields: 1 `file`, 2 `sname`, 3 both.
    for (overload, domain, mtu) in [
        (1, Some("file"), None),
        (2, None, Some(1300)),
        (3, Some("file"), Some(1300)),
    ] {
        let mut machine = Machine::new();
        machine.sent();
        let change = |answer: Answer| {
            let answer = answer.with(52, &[overload]).without(15).without(26);
            server::packet_with(&answer, |message| {
                message[44..48].copy_from_slice(&[26, 2, 5, 20]);
                message[48] = 255;
                message[108..115].copy_from_slice(b"\x0f\x04file\xff");
            })
        };
        machine
            .receive(&change(Answer::offer(&asked)))
            .expect("the offer is taken");
        machine.sent();
        machine
            .receive(&change(Answer::ack(&asked)))
            .expect("the lease is taken");
        let lease = machine.lease();
        assert_eq!(
            (lease.domain.as_deref(), lease.mtu),
            (domain, mtu),
            "{overload}"
        );
    }
}

#[test]
fn packets_that_are_no_answers() {
    let mut machine = Machine::new();
    let asked = machine.sent();
    let offer = packet(&Answer::offer(&asked));
    let mut expect = |change: &dyn Fn(&mut Vec<u8>), expected: Ignored| {
        let mut packet = offer.clone();
        change(&mut packet);
        assert_eq!(machine.receive(&packet), Err(expected));
    };
    expect(&|packet| packet[0] = 0x65, Ignored::NotDhcp);
    expect(&|packet| packet[0] = 0x44, Ignored::NotDhcp);
    expect(&|packet| packet[6] = 0x20, Ignored::NotDhcp); // more fragments follow
    expect(&|packet| packet[7] = 1, Ignored::NotDhcp); // a later fragment
    expect(&|packet| packet[9] = 6, Ignored::NotDhcp); // TCP
    expect(&|packet| packet[21] = 68, Ignored::NotDhcp); // the source port
    expect(&|packet| packet[23] = 67, Ignored::NotDhcp);
    expect(&|packet| packet[10] ^= 1, Ignored::Checksum);
    expect(&|packet| packet[26] ^= 1, Ignored::Checksum);
    expect(&|packet| packet[OPTIONS] ^= 1, Ignored::Checksum);
    expect(&|packet| packet.truncate(OPTIONS), Ignored::NotDhcp);
    expect(&|packet| packet.truncate(19), Ignored::NotDhcp);
    expect(&Vec::clear, Ignored::NotDhcp);

    let changed = |change: &dyn Fn(&mut [u8])| server::packet_with(&Answer::offer(&asked), change);
    for (packet, expected) in [
        (changed(&|message| message[0] = 1), Ignored::Malformed),
        (changed(&|message| message[1] = 6), Ignored::Malformed),
        (changed(&|message| message[2] = 16), Ignored::Malformed),
        (changed(&|message| message[236] = 0), Ignored::Malformed),
    ] {
        assert_eq!(machine.receive(&packet), Err(expected));
    }

    // Zeros after the packet fill up an Ethernet frame; a checksum of zero means that there is none.
    let mut padded = offer.clone();
    padded.extend([0; 18]);
    padded[26..28].fill(0);
    machine.receive(&padded).expect("the offer is taken");
}
