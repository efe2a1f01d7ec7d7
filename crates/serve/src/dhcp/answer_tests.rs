use std::fs;

use dhcproto::Decodable;
use dhcproto::v4::{Architecture, OptionCode, UnknownOption};

use super::*;

const PLACE: Place = Place {
    address: Ipv4Addr::new(192, 0, 2, 1),
    http: 8080,
    tftp: true,
};
const NOWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT);

fn loaders() -> Loaders {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("undionly.kpxe"), "a loader").unwrap();
    let uefi = crate::loaders::tests::program(0x8664);
    fs::write(folder.path().join("ipxe.efi"), uefi).unwrap();
    Loaders::find(&[folder.path()])
}

fn message(kind: MessageType, class: &str, architecture: u16, more: Vec<DhcpOption>) -> Message {
    let mut message = Message::default();
    message
        .set_xid(0x1234_5678)
        .set_chaddr(&[0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    options.insert(DhcpOption::ClassIdentifier(class.into()));
    let architecture = Architecture::from(architecture);
    options.insert(DhcpOption::ClientSystemArchitecture(architecture));
    let mut uuid = vec![0];
    uuid.extend(1..=16);
    options.insert(DhcpOption::ClientMachineIdentifier(uuid));
    for option in more {
        options.insert(option);
    }
    message
}

fn ask(port: u16, from: SocketAddrV4, message: &Message) -> Answer {
    answer(&message.to_vec().unwrap(), port, from, PLACE, &loaders())
}

fn told(answer: &Answer) -> (&str, Message, SocketAddrV4) {
    let Answer::Told {
        what, message, to, ..
    } = answer
    else {
        panic!("{answer:?}");
    };
    (what, Message::from_bytes(message).unwrap(), *to)
}

#[test]
fn bios_is_offered_a_file_and_no_search_for_others() {
    let discover = message(MessageType::Discover, "PXEClient:Arch:00000", 0, vec![]);
    let answer = ask(DHCP, NOWHERE, &discover);
    let (what, offer, to) = told(&answer);
    assert_eq!(what, "undionly.kpxe");
    assert_eq!(to, "255.255.255.255:68".parse().unwrap());
    assert_eq!(offer.opcode(), Opcode::BootReply);
    assert_eq!(offer.xid(), 0x1234_5678);
    assert!(offer.yiaddr().is_unspecified());
    assert_eq!(offer.siaddr(), PLACE.address);
    assert_eq!(offer.fname(), Some(&b"undionly.kpxe\0"[..]));
    let options = offer.opts();
    assert!(options.has_msg_type(MessageType::Offer));
    for (code, expected) in [
        (54, DhcpOption::ServerIdentifier(PLACE.address)),
        (60, DhcpOption::ClassIdentifier(b"PXEClient".to_vec())),
        (43, DhcpOption::VendorExtensions(vec![6, 1, 8, 255])),
    ] {
        assert_eq!(options.get(OptionCode::from(code)), Some(&expected));
    }
    let identifier = OptionCode::ClientMachineIdentifier;
    assert_eq!(options.get(identifier), discover.opts().get(identifier));
}

#[test]
fn uefi_gets_no_option_43_and_asks_the_boot_server() {
    let discover = message(MessageType::Discover, "PXEClient:Arch:00007", 7, vec![]);
    let answer = ask(DHCP, NOWHERE, &discover);
    let (_, offer, _) = told(&answer);
    assert!(!offer.opts().contains(OptionCode::VendorExtensions));

    let request = message(MessageType::Request, "PXEClient:Arch:00007", 7, vec![]);
    let from = "192.0.2.50:68".parse().unwrap();
    let answer = ask(BOOT_SERVER, from, &request);
    let (what, ack, to) = told(&answer);
    assert_eq!((what, to), ("ipxe.efi", from));
    assert!(ack.opts().has_msg_type(MessageType::Ack));
    assert_eq!(ack.fname(), Some(&b"ipxe.efi\0"[..]));
}

#[test]
fn http_boot_gets_a_url() {
    let discover = message(MessageType::Discover, "HTTPClient:Arch:00016", 16, vec![]);
    let answer = ask(DHCP, NOWHERE, &discover);
    let (what, offer, _) = told(&answer);
    assert_eq!(what, "http://192.0.2.1:8080/loader/ipxe.efi");
    let class = offer.opts().get(OptionCode::ClassIdentifier);
    assert_eq!(
        class,
        Some(&DhcpOption::ClassIdentifier(b"HTTPClient".to_vec()))
    );
}

#[test]
fn ipxe_gets_the_script_and_not_the_loader_again() {
    let marks = [
        DhcpOption::UserClass(b"iPXE".to_vec()),
        DhcpOption::UserClass(b"\x04iPXE".to_vec()),
        DhcpOption::Unknown(UnknownOption::new(OptionCode::from(175), vec![1, 1, 1])),
    ];
    for mark in marks {
        let discover = message(MessageType::Discover, "PXEClient:Arch:00000", 0, vec![mark]);
        let answer = ask(DHCP, NOWHERE, &discover);
        let (what, offer, _) = told(&answer);
        assert_eq!(what, "http://192.0.2.1:8080/boot.ipxe");
        assert_eq!(offer.fname(), None);
    }
}

#[test]
fn who_boots_from_a_disk_gets_no_answer() {
    let discover = |class| message(MessageType::Discover, class, 0, vec![]);
    for class in ["", "MSFT 5.0", "android-dhcp-14", "xPXEClient"] {
        assert_eq!(ask(DHCP, NOWHERE, &discover(class)), Answer::Nothing);
    }
    // Nor is a request for an address a proxy's.
    let request = message(MessageType::Request, "PXEClient", 0, vec![]);
    assert_eq!(ask(DHCP, NOWHERE, &request), Answer::Nothing);
    let mut reply = discover("PXEClient");
    reply.set_opcode(Opcode::BootReply);
    assert_eq!(ask(DHCP, NOWHERE, &reply), Answer::Nothing);
}

#[test]
fn a_machine_without_a_loader_is_refused_with_a_reason() {
    let arm = message(MessageType::Discover, "PXEClient:Arch:00011", 11, vec![]);
    let Answer::Refused { machine, reason } = ask(DHCP, NOWHERE, &arm) else {
        panic!("there is no loader");
    };
    assert!(reason.contains("no iPXE for UEFI arm64"), "{reason}");
    assert_eq!(
        machine.uuid.unwrap(),
        "04030201-0605-0807-090a-0b0c0d0e0f10"
    );
    let other = message(MessageType::Discover, "PXEClient", 27, vec![]);
    assert!(matches!(ask(DHCP, NOWHERE, &other), Answer::Refused { .. }));
}

#[test]
fn a_relay_gets_the_answer_back() {
    let mut discover = message(MessageType::Discover, "PXEClient", 0, vec![]);
    discover.set_giaddr([198, 51, 100, 1]);
    let circuit = UnknownOption::new(OptionCode::RelayAgentInformation, b"\x01\x02p7".to_vec());
    let circuit = DhcpOption::Unknown(circuit);
    discover.opts_mut().insert(circuit);
    let answer = ask(DHCP, NOWHERE, &discover);
    let (_, offer, to) = told(&answer);
    assert_eq!(to, "198.51.100.1:67".parse().unwrap());
    let code = OptionCode::RelayAgentInformation;
    let put_in = Message::from_bytes(&discover.to_vec().unwrap()).unwrap();
    assert!(put_in.opts().get(code).is_some());
    assert_eq!(offer.opts().get(code), put_in.opts().get(code));
}

#[test]
fn gpxe_gets_the_loader() {
    let marks = vec![
        DhcpOption::UserClass(b"gPXE".to_vec()),
        DhcpOption::Unknown(UnknownOption::new(OptionCode::from(175), vec![1, 1, 1])),
    ];
    let discover = message(MessageType::Discover, "PXEClient:Arch:00000", 0, marks);
    assert_eq!(told(&ask(DHCP, NOWHERE, &discover)).0, "undionly.kpxe");
}

#[test]
fn without_tftp_only_what_loads_by_http_is_answered() {
    let place = Place {
        tftp: false,
        ..PLACE
    };
    let ask = |class, architecture| {
        let discover = message(MessageType::Discover, class, architecture, vec![]);
        let bytes = discover.to_vec().unwrap();
        answer(&bytes, DHCP, NOWHERE, place, &loaders())
    };
    assert_eq!(ask("PXEClient", 0), Answer::Nothing);
    assert!(matches!(ask("HTTPClient", 16), Answer::Told { .. }));
}

#[test]
fn the_first_known_architecture_counts() {
    let list = UnknownOption::new(OptionCode::ClientSystemArchitecture, vec![0, 6, 0, 7]);
    let mut discover = message(MessageType::Discover, "PXEClient", 0, vec![]);
    discover.opts_mut().insert(DhcpOption::Unknown(list));
    assert_eq!(told(&ask(DHCP, NOWHERE, &discover)).0, "ipxe.efi");
}

#[test]
fn no_message_harms() {
    let mut whole = message(MessageType::Discover, "PXEClient", 0, vec![])
        .to_vec()
        .unwrap();
    for len in 0..whole.len() {
        let _ = answer(&whole[..len], DHCP, NOWHERE, PLACE, &loaders());
    }
    whole[2] = 255;
    assert_eq!(
        answer(&whole, DHCP, NOWHERE, PLACE, &loaders()),
        Answer::Nothing
    );
}

proptest::proptest! {
    #[test]
    fn no_bytes_harm(bytes: Vec<u8>, at in 0..400_usize, byte: u8) {
        let loaders = Loaders::default();
        let _ = answer(&bytes, DHCP, NOWHERE, PLACE, &loaders);
        let mut whole = message(MessageType::Discover, "PXEClient", 0, vec![]).to_vec().unwrap();
        let at = at % whole.len();
        whole[at] = byte;
        whole.extend(bytes);
        let _ = answer(&whole, DHCP, NOWHERE, PLACE, &loaders);
    }
}
