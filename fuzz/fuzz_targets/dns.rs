//! The answers of a DNS server, and `/etc/resolv.conf`.
#![no_main]

use std::net::SocketAddr;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use storeboot_netconf::dns::{Lookup, Name, Question, ResolvConf, Step, Wanted};

fuzz_target!(|data: &[u8]| {
    let found = ResolvConf::parse(data);
    assert!(found.servers.len() <= 3 && found.search.len() <= 6);

    let server = SocketAddr::from(([192, 0, 2, 53], 53));
    let search = [Name::parse("a").expect("a name")];
    let mut lookup = Lookup::new(&Question {
        name: "b",
        wanted: Wanted::Both,
        servers: &[server],
        search: &search,
        tries: 2,
    });
    let mut now = Duration::ZERO;
    let mut rest = data;
    let mut sent = 0;
    loop {
        match lookup.poll(now, &mut || 0x0101) {
            Step::Send { to, message } => {
                sent += 1;
                assert!(sent <= 8);
                let Some((len, after)) = rest.split_first_chunk() else {
                    continue;
                };
                let len = usize::from(u16::from_le_bytes(*len)) % 1500;
                let (answer, after) = after.split_at(len.min(after.len()));
                rest = after;
                // Most answers repeat the question, or the checks would hide what comes after them.
                let answer = match answer.split_first() {
                    Some((flags, records)) if flags & 1 == 1 => {
                        let mut answer = message.clone();
                        answer[2..4].copy_from_slice(&[0x80 | flags & 0x06, flags >> 4]);
                        answer[7] = flags >> 3;
                        [answer.as_slice(), records].concat()
                    }
                    _ => answer.to_vec(),
                };
                let _: Result<_, _> = lookup.receive(to, &answer);
            }
            Step::Wait(until) => {
                assert!(until > now);
                now = until;
            }
            Step::Done(addresses) => {
                assert!((1..=32).contains(&addresses.len()));
                break;
            }
            Step::Failed(error) => {
                assert!(now <= Duration::from_secs(6) && !error.to_string().is_empty());
                break;
            }
        }
    }
});
