//! A DNS server's side: reads questions, and writes answers.

use std::net::{IpAddr, SocketAddr};

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const AAAA: u16 = 28;

/// What is asked, of whom.
#[derive(Clone, Debug)]
pub struct Asked {
    pub server: SocketAddr,
    pub id: u16,
    pub name: String,
    pub kind: u16,
}

/// Reads a question, which must be right in every respect.
pub fn read(server: SocketAddr, message: &[u8]) -> Asked {
    let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    // A standard query that asks for recursion, with one question and nothing else.
    let counts: Vec<_> = (1..6).map(|field| number(2 * field)).collect();
    assert_eq!(counts, [0x0100, 1, 0, 0, 0]);
    let mut labels = Vec::new();
    let mut at = 12;
    while message[at] != 0 {
        let end = at + 1 + usize::from(message[at]);
        labels.push(String::from_utf8(message[at + 1..end].to_vec()).expect("ASCII"));
        at = end;
    }
    assert_eq!(message.len(), at + 5);
    assert_eq!(number(at + 3), 1, "class IN");
    Asked {
        server,
        id: number(0),
        name: labels.join("."),
        kind: number(at + 1),
    }
}

/// What a server says.
#[derive(Clone, Debug)]
pub struct Answer {
    asked: Asked,
    flags: u16,
    records: Vec<(String, u16, Vec<u8>)>,
}

impl Answer {
    /// An answer without records.
    pub fn to(asked: &Asked) -> Self {
        Self {
            asked: asked.clone(),
            flags: 0x8180,
            records: Vec::new(),
        }
    }

    pub fn code(mut self, code: u16) -> Self {
        self.flags |= code;
        self
    }

    pub fn truncated(mut self) -> Self {
        self.flags |= 0x0200;
        self
    }

    pub fn with(self, name: &str, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.record(name, A, &address.octets()),
            IpAddr::V6(address) => self.record(name, AAAA, &address.octets()),
        }
    }

    pub fn alias(self, name: &str, alias: &str) -> Self {
        self.record(name, CNAME, &wire(alias))
    }

    pub fn record(mut self, name: &str, kind: u16, data: &[u8]) -> Self {
        self.records.push((name.into(), kind, data.to_vec()));
        self
    }

    pub fn message(&self) -> Vec<u8> {
        let mut message = Vec::new();
        let count = u16::try_from(self.records.len()).expect("few records");
        for number in [self.asked.id, self.flags, 1, count, 0, 0] {
            message.extend(number.to_be_bytes());
        }
        message.extend(wire(&self.asked.name));
        message.extend(self.asked.kind.to_be_bytes());
        message.extend([0, 1]);
        for (name, kind, data) in &self.records {
            message.extend(wire(name));
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 60]);
            message.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
            message.extend(data);
        }
        message
    }
}

/// A name as a message has it.
fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).expect("a short label"));
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}
