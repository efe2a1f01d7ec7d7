//! What to tell a DHCP server, for those who would rather change theirs than have a second one answer.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::{Loaders, Platform, dhcp, script};

/// A DHCP server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DhcpServer {
    /// dnsmasq.
    Dnsmasq,
    /// Kea of the ISC.
    Kea,
    /// The ISC's older server, dhcpd.
    Isc,
}

/// What machines are told, other than those that have iPXE.
struct Case {
    /// A name of lower-case letters, digits and hyphens.
    name: &'static str,
    /// Its numbers in option 93.
    numbers: &'static [u16],
    platform: Platform,
    /// Whether it loads by HTTP.
    is_http: bool,
}

/// HTTP boot has numbers of its own.
const CASES: [Case; 5] = [
    Case {
        name: "bios",
        numbers: &[0],
        platform: Platform::Bios,
        is_http: false,
    },
    Case {
        name: "uefi-x64",
        numbers: &[7, 9],
        platform: Platform::UefiX64,
        is_http: false,
    },
    Case {
        name: "uefi-arm64",
        numbers: &[11],
        platform: Platform::UefiArm64,
        is_http: false,
    },
    Case {
        name: "http-x64",
        numbers: &[16],
        platform: Platform::UefiX64,
        is_http: true,
    },
    Case {
        name: "http-arm64",
        numbers: &[19],
        platform: Platform::UefiArm64,
        is_http: true,
    },
];

/// What is to be added to the configuration of a DHCP server, so that machines boot from this server without
/// proxyDHCP: `address` is that of this server, and `http_port` where its scripts are. Platforms without a boot loader
/// are left out, with a comment.
///
/// ```
/// use storeboot_serve::{DhcpServer, Loaders, print};
///
/// let address = "192.0.2.1".parse().unwrap();
/// let text = print(DhcpServer::Dnsmasq, address, 80, &Loaders::default());
/// assert!(text.contains("\ndhcp-boot=tag:storeboot-ipxe,http://192.0.2.1:80/boot.ipxe\n"));
/// ```
pub fn print(server: DhcpServer, address: Ipv4Addr, http_port: u16, loaders: &Loaders) -> String {
    let told = Told {
        address,
        http_port,
        loaders,
    };
    match server {
        DhcpServer::Dnsmasq => told.dnsmasq(),
        DhcpServer::Kea => told.kea(),
        DhcpServer::Isc => told.isc(),
    }
}

struct Told<'a> {
    address: Ipv4Addr,
    http_port: u16,
    loaders: &'a Loaders,
}

impl Told<'_> {
    fn script(&self) -> String {
        dhcp::url(self.address, self.http_port, script::ENTRY)
    }

    /// The cases that can boot, each with the file or the URL that it is told.
    fn cases(&self) -> impl Iterator<Item = (&'static Case, String)> {
        CASES.iter().filter_map(|case| {
            let name = self.loaders.of(case.platform)?.name.clone();
            let what = match case.is_http {
                true => dhcp::url(self.address, self.http_port, &format!("/loader/{name}")),
                false => name,
            };
            Some((case, what))
        })
    }

    /// Comments about what is missing.
    fn missing(&self, mark: &str) -> String {
        let all = [Platform::Bios, Platform::UefiX64, Platform::UefiArm64];
        all.into_iter()
            .filter(|platform| self.loaders.of(*platform).is_none())
            .map(|platform| format!("{mark} {}\n", Loaders::lacks(platform)))
            .collect()
    }

    fn dnsmasq(&self) -> String {
        let mut text = format!(
            "# Machines boot from storeboot at {}. Add this to dnsmasq.conf.\n{}\
             dhcp-match=set:storeboot-ipxe,175\n\
             dhcp-boot=tag:storeboot-ipxe,{}\n",
            self.address,
            self.missing("#"),
            self.script()
        );
        for (case, what) in self.cases() {
            let tag = format!("storeboot-{}", case.name);
            for number in case.numbers {
                let _ = writeln!(text, "dhcp-match=set:{tag},option:client-arch,{number}");
            }
            let tags = format!("tag:!storeboot-ipxe,tag:{tag}");
            let _ = match case.is_http {
                true => writeln!(
                    text,
                    "dhcp-boot={tags},{what}\ndhcp-option-force={tags},60,HTTPClient"
                ),
                false => writeln!(text, "dhcp-boot={tags},{what},,{}", self.address),
            };
        }
        text
    }

    fn kea(&self) -> String {
        let mut classes = vec![json!({
            "name": "storeboot-ipxe",
            "test": "option[175].exists",
            "boot-file-name": self.script(),
        })];
        for (case, what) in self.cases() {
            let numbers: Vec<String> = case
                .numbers
                .iter()
                .map(|number| format!("option[93].hex == 0x{number:04x}"))
                .collect();
            let test = format!("not option[175].exists and ({})", numbers.join(" or "));
            let name = format!("storeboot-{}", case.name);
            classes.push(match case.is_http {
                true => json!({
                    "name": name,
                    "test": test,
                    "option-data": [option("boot-file-name", &what), option("vendor-class-identifier", "HTTPClient")],
                }),
                false => json!({
                    "name": name,
                    "test": test,
                    "next-server": self.address,
                    "boot-file-name": what,
                }),
            });
        }
        let configuration = json!({ "Dhcp4": { "client-classes": classes } });
        format!(
            "// Machines boot from storeboot at {}. Add these classes to those in kea-dhcp4.conf.\n{}{configuration:#}\n",
            self.address,
            self.missing("//"),
        )
    }

    fn isc(&self) -> String {
        let mut text = format!(
            "# Machines boot from storeboot at {}. Add this to dhcpd.conf, outside of all blocks.\n{}\
             option storeboot-architecture code 93 = unsigned integer 16;\n\
             option storeboot-ipxe code 175 = string;\n\
             if exists storeboot-ipxe {{\n  filename \"{}\";\n}}",
            self.address,
            self.missing("#"),
            self.script()
        );
        for (case, what) in self.cases() {
            let numbers: Vec<String> = case
                .numbers
                .iter()
                .map(|number| format!("option storeboot-architecture = 00:{number:02x}"))
                .collect();
            let more = match case.is_http {
                true => "option vendor-class-identifier \"HTTPClient\";".to_owned(),
                false => format!("next-server {};", self.address),
            };
            let _ = write!(
                text,
                " elsif {} {{\n  filename \"{what}\";\n  {more}\n}}",
                numbers.join(" or ")
            );
        }
        text.push('\n');
        text
    }
}

/// An option that a client gets without having asked for it.
fn option(name: &str, data: &str) -> Value {
    json!({ "name": name, "data": data, "always-send": true })
}
