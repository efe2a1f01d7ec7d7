//! Which machines a rule is for.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::source::shortened;
use crate::{Mac, Machine, Platform};

/// What a machine has to be. An empty list says nothing of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Matches {
    pub(super) macs: Vec<Mac>,
    pub(super) uuids: Vec<Uuid>,
    pub(super) serials: Vec<String>,
    pub(super) platforms: Vec<PlatformName>,
    pub(super) networks: Vec<Network>,
}

impl Matches {
    /// Whether a machine is one of these.
    pub(super) fn machine(&self, machine: &Machine) -> bool {
        let uuid = machine.uuid.as_ref();
        let serial = machine.serial.as_ref();
        any(&self.macs, machine.mac.as_ref(), |a, b| a == b)
            && any(&self.uuids, uuid, |a, b| a.0.eq_ignore_ascii_case(b))
            && any(&self.serials, serial, |a, b| a == b)
            && any(&self.platforms, machine.platform.as_ref(), |a, b| a.0 == *b)
            && any(&self.networks, machine.address.as_ref(), |a, b| a.holds(*b))
    }

    /// Whether it is for no machine in particular.
    pub(super) fn is_empty(&self) -> bool {
        self.macs.is_empty()
            && self.uuids.is_empty()
            && self.serials.is_empty()
            && self.platforms.is_empty()
            && self.networks.is_empty()
    }
}

fn any<A, B>(wanted: &[A], found: Option<&B>, is: impl Fn(&A, &B) -> bool) -> bool {
    wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|wanted| is(wanted, found)))
}

/// A machine's UUID.
#[derive(Clone, Debug)]
pub(super) struct Uuid(String);

impl FromStr for Uuid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lengths = [8, 4, 4, 4, 12];
        let is_hex = |(part, length): (&str, usize)| {
            part.len() == length && part.bytes().all(|c| c.is_ascii_hexdigit())
        };
        let parts: Vec<&str> = text.splitn(6, '-').collect();
        match parts.len() == lengths.len() && parts.into_iter().zip(lengths).all(is_hex) {
            true => Ok(Self(text.into())),
            false => Err(format!(
                "{:?} is no UUID: write it as 4c4c4544-0042-4b10-8051-b4c04f4d3232",
                shortened(text)
            )),
        }
    }
}

/// The platform of a machine, by its name in a rules file.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlatformName(Platform);

impl FromStr for PlatformName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "bios" => Platform::Bios,
            "uefi-x64" => Platform::UefiX64,
            "uefi-arm64" => Platform::UefiArm64,
            _ => {
                return Err(format!(
                    "{:?} is no platform: take bios, uefi-x64 or uefi-arm64",
                    shortened(text)
                ));
            }
        }))
    }
}

/// A network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network(IpNet);

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        // A socket for both kinds of addresses gives the older ones a longer form.
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!(
                "{:?} is no network: write it as 192.0.2.0/24 or 2001:db8::/64",
                shortened(text)
            )
        })
    }
}
