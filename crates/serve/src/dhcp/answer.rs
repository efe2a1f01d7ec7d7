//! What a proxy answers, by the PXE specification 2.1 (section 2.2), RFC 4578 and the UEFI specification's HTTP boot.
//!
//! A proxy hands out no addresses: the DHCP server that is there does. It only tells machines that boot over the
//! network where their boot loader is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use dhcproto::Encodable;
use dhcproto::v4::borrowed;
use dhcproto::v4::{DhcpOption, HType, Message, MessageType, Opcode, OptionCode, UnknownOption};

use crate::script;
use crate::{Loaders, Mac, Machine, Platform};

/// The port of DHCP servers.
pub const DHCP: u16 = 67;
/// The port of PXE's boot servers.
pub const BOOT_SERVER: u16 = 4011;
/// The port of DHCP clients.
const CLIENT: u16 = 68;

/// A longer message is none: one over Ethernet has 1472 bytes at most, and relays make none longer.
const MAX_MESSAGE: usize = 4096;
/// Some firmware takes no shorter message than BOOTP had (RFC 951).
const MIN_MESSAGE: usize = 300;
/// The head of a message, up to the options' magic cookie.
const HEAD: usize = 240;

/// PXE's option 43 with suboption 6 (`PXE_DISCOVERY_CONTROL`) = 8: take the file of this offer, look for no other boot
/// server. Then comes the end. UEFI's firmware drops an offer that has it.
const TAKE_THIS_FILE: [u8; 4] = [6, 1, 8, 255];

/// Where the server is, as a machine on this network sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The server's address there.
    pub address: Ipv4Addr,
    /// The port of HTTP.
    pub http: u16,
    /// Whether boot loaders can be had by TFTP. Without it, PXE gets no answer.
    pub tftp: bool,
}

impl Place {
    fn url(self, path: &str) -> String {
        super::url(self.address, self.http, path)
    }
}

/// What comes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is not for a proxy.
    Nothing,
    /// The machine wants to boot, and there is no boot loader for it.
    Refused {
        /// The machine.
        machine: Machine,
        /// Why.
        reason: String,
    },
    /// The machine is told where its boot loader or its script is.
    Told {
        /// The machine.
        machine: Machine,
        /// The name of the file, or the URL.
        what: String,
        /// The message.
        message: Vec<u8>,
        /// Where the message goes.
        to: SocketAddrV4,
    },
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// iPXE, which gets the script.
    Ipxe,
    /// Firmware that loads by TFTP.
    Pxe,
    /// Firmware that loads by HTTP.
    Http,
}

/// What a proxy says to a message that came to `port` (67 or 4011) from `from`.
pub fn answer(
    message: &[u8],
    port: u16,
    from: SocketAddrV4,
    place: Place,
    loaders: &Loaders,
) -> Answer {
    let Some(request) = Request::parse(message) else {
        return Answer::Nothing;
    };
    // The numbers of DHCPDISCOVER, DHCPREQUEST and DHCPINFORM.
    let kind = match (port, request.option(53)) {
        (DHCP, [1]) => MessageType::Offer,
        // On port 67 a request is for the server that hands out addresses.
        (BOOT_SERVER, [3 | 8]) => MessageType::Ack,
        _ => return Answer::Nothing,
    };
    let Some(client) = client(&request) else {
        return Answer::Nothing;
    };
    if client == Client::Pxe && !place.tftp {
        return Answer::Nothing;
    }
    let machine = machine(&request);
    let Some((what, is_url)) = file(client, machine.platform, place, loaders) else {
        let reason = match machine.platform {
            None => "its firmware is of a kind that storeboot does not boot".into(),
            Some(platform) => Loaders::lacks(platform),
        };
        return Answer::Refused { machine, reason };
    };
    let reply = reply(
        &request,
        kind,
        client,
        machine.platform,
        place,
        &what,
        is_url,
    );
    let Ok(mut message) = reply.to_vec() else {
        return Answer::Nothing;
    };
    if message.len() < MIN_MESSAGE {
        message.resize(MIN_MESSAGE, 0);
    }
    Answer::Told {
        machine,
        what,
        message,
        to: destination(&request, port, from),
    }
}

/// A message of a client. Only the options that count are looked at.
struct Request<'a> {
    head: borrowed::Message<'a>,
    options: BTreeMap<u8, Vec<u8>>,
}

impl<'a> Request<'a> {
    fn parse(message: &'a [u8]) -> Option<Self> {
        // The length of a hardware address, byte 2, has to fit: the library takes it as it comes.
        if !(HEAD..=MAX_MESSAGE).contains(&message.len()) || message[2] != 6 {
            return None;
        }
        let head = borrowed::Message::new(message).ok()?;
        let options = head
            .opts()
            .map(|option| (u8::from(option.code()), option.data().to_vec()))
            .collect();
        let is_request = head.opcode() == Opcode::BootRequest && head.htype() == HType::Eth;
        is_request.then_some(Self { head, options })
    }

    /// An option's bytes; none where it is not there.
    fn option(&self, code: u8) -> &[u8] {
        self.options.get(&code).map_or(&[], Vec::as_slice)
    }
}

/// Who asks, if it is somebody who boots over the network.
fn client(request: &Request<'_>) -> Option<Client> {
    let class = request.option(60);
    // iPXE writes its name bare, RFC 3004 puts the length before it. gPXE has the same option 175, and does not know
    // iPXE's scripts.
    let is = |name: &[u8]| request.option(77).ends_with(name);
    let is_ipxe = is(b"iPXE") || request.options.contains_key(&175) && !is(b"gPXE");
    if class.starts_with(b"PXEClient") {
        Some(if is_ipxe { Client::Ipxe } else { Client::Pxe })
    } else if class.starts_with(b"HTTPClient") {
        Some(if is_ipxe { Client::Ipxe } else { Client::Http })
    } else {
        None
    }
}

fn machine(request: &Request<'_>) -> Machine {
    Machine {
        mac: request.head.chaddr().try_into().ok().map(Mac),
        uuid: uuid(request.option(97)),
        serial: None,
        platform: platform(request),
        address: Some(request.head.ciaddr())
            .filter(|address| !address.is_unspecified())
            .map(IpAddr::V4),
    }
}

/// The first of option 93's numbers that is known, by IANA's "Processor Architecture Types". Firmware for x86-64 says 7
/// or 9.
fn platform(request: &Request<'_>) -> Option<Platform> {
    let mut numbers = request.option(93).chunks_exact(2);
    numbers.find_map(|number| match number {
        [0, 0] => Some(Platform::Bios),
        [0, 7 | 9 | 16] => Some(Platform::UefiX64),
        [0, 11 | 19] => Some(Platform::UefiArm64),
        _ => None,
    })
}

/// Option 97: a zero, and the UUID, of which the first three parts are little-endian.
fn uuid(option: &[u8]) -> Option<String> {
    let [0, a, b, c, d, e, f, g, h, rest @ ..] = option else {
        return None;
    };
    let rest: [u8; 8] = rest.try_into().ok()?;
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    Some(format!(
        "{}-{}-{}-{}-{}",
        hex(&[*d, *c, *b, *a]),
        hex(&[*f, *e]),
        hex(&[*h, *g]),
        hex(&rest[..2]),
        hex(&rest[2..])
    ))
}

/// What a client is told, and whether that is a URL.
fn file(
    client: Client,
    platform: Option<Platform>,
    place: Place,
    loaders: &Loaders,
) -> Option<(String, bool)> {
    if client == Client::Ipxe {
        return Some((place.url(script::ENTRY), true));
    }
    let loader = loaders.of(platform?)?;
    Some(match client {
        Client::Http => (place.url(&format!("/loader/{}", loader.name)), true),
        _ => (loader.name.clone(), false),
    })
}

fn reply(
    request: &Request<'_>,
    kind: MessageType,
    client: Client,
    platform: Option<Platform>,
    place: Place,
    what: &str,
    is_url: bool,
) -> Message {
    let mut reply = Message::default();
    let head = &request.head;
    reply
        .set_opcode(Opcode::BootReply)
        .set_htype(head.htype())
        .set_xid(head.xid())
        .set_flags(head.flags())
        .set_ciaddr(head.ciaddr())
        .set_giaddr(head.giaddr())
        .set_siaddr(place.address)
        .set_chaddr(head.chaddr());
    // Firmware for TFTP reads this field of 128 bytes, that for HTTP and iPXE the option.
    if !is_url && what.len() < 128 {
        reply.set_fname_str(what);
    }
    let class = match client {
        Client::Http => b"HTTPClient".to_vec(),
        Client::Pxe | Client::Ipxe => b"PXEClient".to_vec(),
    };
    let options = reply.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    options.insert(DhcpOption::ServerIdentifier(place.address));
    options.insert(DhcpOption::ClassIdentifier(class));
    options.insert(DhcpOption::BootfileName(what.as_bytes().to_vec()));
    if let Some(identifier) = request.options.get(&97) {
        options.insert(DhcpOption::ClientMachineIdentifier(identifier.clone()));
    }
    // RFC 3046: a relay wants back what it put in.
    if let Some(relay) = request.options.get(&82) {
        let code = OptionCode::RelayAgentInformation;
        options.insert(DhcpOption::Unknown(UnknownOption::new(code, relay.clone())));
    }
    if client == Client::Pxe && platform == Some(Platform::Bios) {
        options.insert(DhcpOption::VendorExtensions(TAKE_THIS_FILE.to_vec()));
    }
    reply
}

/// A relay gets it back; who has an address gets it there; and all others hear broadcasts only.
fn destination(request: &Request<'_>, port: u16, from: SocketAddrV4) -> SocketAddrV4 {
    let (relay, address) = (request.head.giaddr(), request.head.ciaddr());
    if port == DHCP && !relay.is_unspecified() {
        return SocketAddrV4::new(relay, DHCP);
    }
    if port == BOOT_SERVER && !from.ip().is_unspecified() {
        return from;
    }
    match address.is_unspecified() {
        true => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT),
        false => SocketAddrV4::new(address, CLIENT),
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
