use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::Name;

/// As in the C library.
const MAX_SERVERS: usize = 3;
const MAX_SEARCH: usize = 6;
/// The most bytes that are looked at.
const MAX_TEXT: usize = 64 << 10;

/// What `/etc/resolv.conf` says, as another stage 1 leaves it (`resolv.conf(5)`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// From `nameserver`, at most three, in order.
    pub servers: Vec<NameServer>,
    /// From the last `search` or `domain`, at most six, in order.
    pub search: Vec<Name>,
}

/// A name server of `/etc/resolv.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// Its address.
    pub address: IpAddr,
    /// What comes after the `%` of a link-local address: the name of a device, or its number.
    pub scope: Option<String>,
}

impl ResolvConf {
    /// Reads the file. Lines that make no sense count for nothing, as in the C library.
    pub fn parse(text: &[u8]) -> Self {
        let mut found = Self::default();
        let text = text.get(..MAX_TEXT).unwrap_or(text);
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(line) = core::str::from_utf8(line) else {
                continue;
            };
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if found.servers.len() < MAX_SERVERS => {
                    found.servers.extend(words.next().and_then(server));
                }
                Some("search" | "domain") => {
                    let names = words.filter_map(|word| Name::parse(word).ok());
                    found.search = names.take(MAX_SEARCH).collect();
                }
                _ => {}
            }
        }
        found
    }
}

fn server(text: &str) -> Option<NameServer> {
    let (address, scope) = match text.split_once('%') {
        Some((address, scope)) => (address, Some(scope.into())),
        None => (text, None),
    };
    Some(NameServer {
        address: address.parse().ok()?,
        scope,
    })
}
