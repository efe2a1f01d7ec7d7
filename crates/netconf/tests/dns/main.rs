//! The DNS client against answers of the test, and against answers of dnsmasq.

mod captured;
mod hostile;
mod server;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use storeboot_netconf::dns::{
    Error, Ignored, Lookup, Name, NameError, NameServer, Question, ResolvConf, Step, Wanted,
};

use server::{A, AAAA, Answer, Asked, CNAME, read};

const NAME: &str = "store.example.org";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn servers() -> Vec<SocketAddr> {
    ["192.0.2.53:53", "[fd00::53]:53"]
        .map(|text| text.parse().expect("an address"))
        .to_vec()
}

/// A lookup with a clock and random numbers.
struct Machine {
    lookup: Lookup,
    now: Duration,
    number: u32,
}

impl Machine {
    fn new(name: &str, wanted: Wanted) -> Self {
        Self::with_search(name, wanted, &[])
    }

    fn with_search(name: &str, wanted: Wanted, search: &[&str]) -> Self {
        let search: Vec<_> = search
            .iter()
            .map(|name| Name::parse(name).expect("a name"))
            .collect();
        Self::asking(&Question {
            name,
            wanted,
            servers: &servers(),
            search: &search,
            tries: 5,
        })
    }

    fn asking(question: &Question) -> Self {
        Self {
            lookup: Lookup::new(question),
            now: Duration::from_secs(7),
            number: 0,
        }
    }

    fn poll(&mut self) -> Step {
        let number = &mut self.number;
        self.lookup.poll(self.now, &mut || {
            // Any numbers will do, if they differ.
            *number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *number
        })
    }

    fn sent(&mut self) -> Asked {
        match self.poll() {
            Step::Send { to, message } => read(to, &message),
            other => panic!("{other:?}"),
        }
    }

    fn wait(&mut self) -> u64 {
        match self.poll() {
            Step::Wait(until) => {
                let wait = until - self.now;
                self.now = until;
                wait.as_secs()
            }
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, asked: &Asked, answer: &Answer) -> Result<(), Ignored> {
        self.lookup.receive(asked.server, &answer.message())
    }

    fn taken(&mut self, asked: &Asked, answer: &Answer) {
        self.answer(asked, answer).expect("the answer counts");
    }

    fn addresses(&mut self) -> Vec<IpAddr> {
        match self.poll() {
            Step::Done(addresses) => addresses,
            other => panic!("{other:?}"),
        }
    }

    fn error(&mut self) -> String {
        match self.poll() {
            Step::Failed(error) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn both_kinds_of_addresses() {
    let mut machine = Machine::new(NAME, Wanted::Both);
    let six = machine.sent();
    let four = machine.sent();
    assert_eq!((six.kind, four.kind), (AAAA, A));
    assert_eq!((six.name.as_str(), four.name.as_str()), (NAME, NAME));
    assert_eq!((six.server, four.server), (servers()[0], servers()[0]));
    assert_ne!(six.id, four.id);
    machine.taken(&four, &Answer::to(&four).with(NAME, ip("192.0.2.80")));
    assert!(matches!(machine.poll(), Step::Wait(_)));
    machine.taken(
        &six,
        &Answer::to(&six)
            .with(NAME, ip("fd00::80"))
            .with(NAME, ip("fd00::81")),
    );
    let expected = ["fd00::80", "fd00::81", "192.0.2.80"].map(ip);
    assert_eq!(machine.addresses(), expected);
    // The answer stays.
    assert_eq!(
        machine.answer(&six, &Answer::to(&six)),
        Err(Ignored::OtherServer)
    );
    assert_eq!(machine.addresses(), expected);
}

#[test]
fn one_kind_is_enough_if_the_other_does_not_come() {
    let mut machine = Machine::new(NAME, Wanted::Both);
    machine.sent();
    let four = machine.sent();
    machine.taken(&four, &Answer::to(&four).with(NAME, ip("192.0.2.80")));
    assert_eq!(machine.wait(), 1);
    assert_eq!(machine.addresses(), [ip("192.0.2.80")]);
}

#[test]
fn only_the_wanted_kind_is_asked_for() {
    for (wanted, kind) in [(Wanted::Ipv4, A), (Wanted::Ipv6, AAAA)] {
        let mut machine = Machine::new(NAME, wanted);
        assert_eq!(machine.sent().kind, kind);
        assert!(matches!(machine.poll(), Step::Wait(_)));
    }
}

#[test]
fn servers_in_turn_and_a_bound() {
    let mut machine = Machine::new(NAME, Wanted::Ipv4);
    let mut asked = Vec::new();
    let mut waits = Vec::new();
    for _ in 0..5 {
        asked.push(machine.sent());
        waits.push(machine.wait());
    }
    assert_eq!(waits, [1, 1, 2, 2, 2]);
    let [first, second] = servers()[..] else {
        panic!("two servers")
    };
    let order: Vec<_> = asked.iter().map(|asked| asked.server).collect();
    assert_eq!(order, [first, second, first, second, first]);
    assert!(asked.windows(2).all(|pair| pair[0].id != pair[1].id));
    assert_eq!(
        machine.error(),
        "no name server answered when asked for store.example.org"
    );
    assert!(matches!(machine.poll(), Step::Failed(_)));
}

#[test]
fn a_name_that_does_not_exist() {
    let mut machine = Machine::new(NAME, Wanted::Both);
    let six = machine.sent();
    let four = machine.sent();
    machine.taken(&six, &Answer::to(&six).code(3));
    machine.taken(&four, &Answer::to(&four).code(3));
    assert_eq!(
        machine.error(),
        "the name store.example.org does not exist, says name server 192.0.2.53"
    );
}

#[test]
fn a_name_without_an_address() {
    let mut machine = Machine::new(NAME, Wanted::Both);
    let six = machine.sent();
    let four = machine.sent();
    machine.taken(&six, &Answer::to(&six));
    machine.taken(&four, &Answer::to(&four));
    assert_eq!(
        machine.error(),
        "the name store.example.org has no address, says name server 192.0.2.53"
    );
}

#[test]
fn a_server_that_fails_is_passed_over_at_once() {
    for (code, text) in [
        (1, "FORMERR"),
        (2, "SERVFAIL"),
        (4, "NOTIMP"),
        (5, "REFUSED"),
        (9, "with response code 9"),
    ] {
        let mut machine = Machine::new(NAME, Wanted::Ipv4);
        for at in 0..5 {
            let asked = machine.sent();
            assert_eq!(asked.server, servers()[at % 2]);
            machine.taken(&asked, &Answer::to(&asked).code(code));
        }
        assert_eq!(
            machine.error(),
            format!(
                "no name server could tell the address of store.example.org: 192.0.2.53 answered {text}"
            )
        );
    }

    let mut machine = Machine::new(NAME, Wanted::Ipv4);
    let asked = machine.sent();
    machine.taken(&asked, &Answer::to(&asked).code(2));
    let asked = machine.sent();
    machine.taken(&asked, &Answer::to(&asked).with(NAME, ip("192.0.2.80")));
    assert_eq!(machine.addresses(), [ip("192.0.2.80")]);
}

#[test]
fn aliases_are_followed_in_any_order() {
    let long = "a.very.long.alias.example.org";
    let mut machine = Machine::new(NAME, Wanted::Ipv4);
    let asked = machine.sent();
    machine.taken(
        &asked,
        &Answer::to(&asked)
            .with("real.example.org", ip("192.0.2.80"))
            .with("other.example.org", ip("192.0.2.66"))
            .alias(long, "REAL.example.org")
            .alias("Store.Example.org", long),
    );
    assert_eq!(machine.addresses(), [ip("192.0.2.80")]);
}

#[test]
fn aliases_in_a_circle_end() {
    let mut machine = Machine::new(NAME, Wanted::Ipv4);
    let asked = machine.sent();
    machine.taken(
        &asked,
        &Answer::to(&asked)
            .alias(NAME, "b.example.org")
            .alias("b.example.org", NAME),
    );
    assert!(machine.error().contains("has no address"));
}

#[test]
fn addresses_of_others_and_of_nobody_do_not_count() {
    let mut machine = Machine::new(NAME, Wanted::Ipv4);
    let asked = machine.sent();
    machine.taken(
        &asked,
        &Answer::to(&asked)
            .with("evil.example.org", ip("192.0.2.66"))
            .with(NAME, ip("fd00::80"))
            .with(NAME, ip("0.0.0.0"))
            .with(NAME, ip("224.0.0.1"))
            .with(NAME, ip("255.255.255.255"))
            .record(NAME, 16, b"\x04text"),
    );
    assert!(machine.error().contains("has no address"));

    let mut machine = Machine::new(NAME, Wanted::Ipv4);
    let asked = machine.sent();
    let answer = (0..=255_u8).fold(Answer::to(&asked), |answer, last| {
        answer.with(NAME, IpAddr::from([192, 0, 2, last]))
    });
    machine.taken(&asked, &answer);
    assert_eq!(machine.addresses().len(), 16);
}

#[test]
fn a_truncated_answer_counts_as_far_as_it_goes() {
    let mut machine = Machine::new(NAME, Wanted::Ipv4);
    let asked = machine.sent();
    let mut message = Answer::to(&asked)
        .with(NAME, ip("192.0.2.80"))
        .with(NAME, ip("192.0.2.81"))
        .message();
    message.truncate(message.len() - 3);
    assert_eq!(
        machine.lookup.receive(asked.server, &message),
        Err(Ignored::Malformed)
    );
    message[2] |= 2;
    assert_eq!(machine.lookup.receive(asked.server, &message), Ok(()));
    assert_eq!(machine.addresses(), [ip("192.0.2.80")]);

    let mut machine = Machine::new(NAME, Wanted::Ipv4);
    for _ in 0..5 {
        let asked = machine.sent();
        machine.taken(&asked, &Answer::to(&asked).truncated());
    }
    assert_eq!(
        machine.error(),
        "no name server could tell the address of store.example.org: 192.0.2.53 answered too much for one packet, \
         and no address"
    );
}

#[test]
fn foreign_answers_do_not_count() {
    let mut machine = Machine::new(NAME, Wanted::Ipv4);
    let asked = machine.sent();
    let right = Answer::to(&asked).with(NAME, ip("192.0.2.80"));
    for (from, expected) in [
        ("192.0.2.54:53", Ignored::OtherServer),
        ("192.0.2.53:54", Ignored::OtherServer),
        ("[fd00::53]:53", Ignored::OtherServer),
    ] {
        let from = from.parse().expect("an address");
        assert_eq!(
            machine.lookup.receive(from, &right.message()),
            Err(expected)
        );
    }
    let other_id = Asked {
        id: asked.id ^ 1,
        ..asked.clone()
    };
    let other_name = Asked {
        name: "other.example.org".into(),
        ..asked.clone()
    };
    let other_kind = Asked {
        kind: AAAA,
        ..asked.clone()
    };
    for (asked_else, expected) in [
        (other_id, Ignored::OtherMessage),
        (other_name, Ignored::OtherQuestion),
        (other_kind, Ignored::OtherQuestion),
    ] {
        assert_eq!(
            machine.answer(
                &asked,
                &Answer::to(&asked_else).with(NAME, ip("192.0.2.80"))
            ),
            Err(expected)
        );
    }
    let message = right.message();
    let mut changed = |at: usize, value: u8, expected: Ignored| {
        let mut message = message.clone();
        message[at] = value;
        assert_eq!(
            machine.lookup.receive(asked.server, &message),
            Err(expected)
        );
    };
    changed(2, 0x01, Ignored::Malformed); // a question
    changed(2, 0x90, Ignored::Malformed); // another operation
    changed(5, 0, Ignored::OtherQuestion); // no question
    changed(5, 2, Ignored::OtherQuestion);
    changed(message.len() - 1 - 4, 3, Ignored::Malformed); // an address of three bytes
    assert_eq!(
        machine.lookup.receive(asked.server, &message[..11]),
        Err(Ignored::Malformed)
    );

    // Capitals come back as they like.
    let capitals = Asked {
        name: "STORE.example.ORG".into(),
        ..asked.clone()
    };
    machine.taken(&asked, &Answer::to(&capitals).with(NAME, ip("192.0.2.80")));
    assert_eq!(
        machine.answer(&asked, &right),
        Err(Ignored::OtherMessage),
        "the second answer to one question"
    );
    assert_eq!(machine.addresses(), [ip("192.0.2.80")]);
}

#[test]
fn a_name_of_one_label_is_tried_in_each_domain() {
    let mut machine = Machine::with_search("store", Wanted::Ipv4, &["example.org", "example.net"]);
    for name in ["store", "store.example.org"] {
        let asked = machine.sent();
        assert_eq!((asked.name.as_str(), asked.server), (name, servers()[0]));
        machine.taken(&asked, &Answer::to(&asked).code(3));
    }
    let asked = machine.sent();
    assert_eq!(asked.name, "store.example.net");
    machine.taken(
        &asked,
        &Answer::to(&asked).with("store.example.net", ip("192.0.2.80")),
    );
    assert_eq!(machine.addresses(), [ip("192.0.2.80")]);

    // A server that refuses names of one label.
    let mut machine = Machine::with_search("store", Wanted::Ipv4, &["example.org"]);
    for _ in 0..5 {
        let asked = machine.sent();
        assert_eq!(asked.name, "store");
        machine.taken(&asked, &Answer::to(&asked).code(5));
    }
    assert_eq!(machine.sent().name, "store.example.org");

    // Servers that are silent for one name are not asked for the next.
    let mut machine = Machine::with_search("store", Wanted::Ipv4, &["example.org"]);
    for _ in 0..5 {
        machine.sent();
        machine.wait();
    }
    assert_eq!(
        machine.error(),
        "no name server answered when asked for store"
    );

    for whole in ["store.", "a.b"] {
        let mut machine = Machine::with_search(whole, Wanted::Ipv4, &["example.org"]);
        let asked = machine.sent();
        machine.taken(&asked, &Answer::to(&asked).code(3));
        assert!(machine.error().contains("does not exist"));
    }
}

#[test]
fn addresses_need_no_server() {
    for (text, address) in [
        ("192.0.2.80", "192.0.2.80"),
        ("fd00::80", "fd00::80"),
        ("[fd00::80]", "fd00::80"),
    ] {
        let mut machine = Machine::asking(&Question {
            name: text,
            wanted: Wanted::Both,
            servers: &[],
            search: &[],
            tries: 5,
        });
        assert_eq!(machine.addresses(), [ip(address)]);
    }
}

#[test]
fn what_cannot_be_asked() {
    let mut machine = Machine::asking(&Question {
        name: NAME,
        wanted: Wanted::Both,
        servers: &[],
        search: &[],
        tries: 5,
    });
    assert_eq!(
        machine.error(),
        "no name server is known that could be asked for store.example.org"
    );
    assert!(matches!(
        Machine::asking(&Question {
            name: NAME,
            wanted: Wanted::Both,
            servers: &servers(),
            search: &[],
            tries: 0,
        })
        .poll(),
        Step::Failed(Error::NoAnswer { refusal: None, .. })
    ));
    let mut machine = Machine::new("a..b", Wanted::Both);
    assert_eq!(
        machine.error(),
        "`a..b` is no name of a host: it is empty, or two dots follow each other"
    );
}

#[test]
fn names() {
    let label = "a".repeat(63);
    let longest = [label.as_str(), &label, &label, &"a".repeat(61)].join(".");
    assert_eq!(longest.len(), 253);
    for name in ["a", "a.b.", "A-1._tcp.x", label.as_str(), longest.as_str()] {
        let parsed = Name::parse(name).expect("a name");
        assert_eq!(
            parsed.as_str(),
            name.trim_end_matches('.').to_ascii_lowercase()
        );
    }
    for (name, expected) in [
        (String::new(), NameError::EmptyLabel),
        (".".into(), NameError::EmptyLabel),
        (".a".into(), NameError::EmptyLabel),
        ("a..".into(), NameError::EmptyLabel),
        ("a b".into(), NameError::Character(' ')),
        ("bücher.example".into(), NameError::Character('ü')),
        (format!("{label}a"), NameError::LongLabel),
        (format!("{longest}a"), NameError::TooLong),
    ] {
        assert_eq!(Name::parse(&name), Err(expected), "{name}");
    }
}

#[test]
fn resolv_conf() {
    let server = |address, scope: Option<&str>| NameServer {
        address: ip(address),
        scope: scope.map(String::from),
    };
    let found = ResolvConf::parse(
        b"# a comment\nnameserver 192.0.2.53\nsearch a b\n\tnameserver  fe80::1%eth0 # x\n\xff\xfe\n\
          nameserver dns\nnameserver\nsearch example.org not..one example.net\nnameserver fd00::53\r\n\
          nameserver 192.0.2.54\noptions ndots:2",
    );
    assert_eq!(
        found.servers,
        [
            server("192.0.2.53", None),
            server("fe80::1", Some("eth0")),
            server("fd00::53", None)
        ]
    );
    let search: Vec<_> = found.search.iter().map(Name::as_str).collect();
    assert_eq!(search, ["example.org", "example.net"]);
    assert_eq!(ResolvConf::parse(b""), ResolvConf::default());
    let many = "x ".repeat(100_000);
    assert_eq!(
        ResolvConf::parse(format!("search {many}").as_bytes())
            .search
            .len(),
        6
    );
}
