//! What a machine says of itself.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The address of a network card.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The text is no MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no MAC address: write six bytes, as 52:54:00:12:34:56")]
pub struct BadMac(String);

impl FromStr for Mac {
    type Err = BadMac;

    /// Parses six bytes with colons or hyphens between them.
    fn from_str(text: &str) -> Result<Self, BadMac> {
        let bad = || BadMac(text.chars().take(64).collect());
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(bad)?;
            let is_hex = part.len() == 2 && part.bytes().all(|c| c.is_ascii_hexdigit());
            *byte = match is_hex {
                true => u8::from_str_radix(part, 16).map_err(|_| bad())?,
                false => return Err(bad()),
            };
        }
        match parts.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(bad()),
        }
    }
}

/// The firmware of a machine, and its processor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Platform {
    /// A PC with BIOS.
    Bios,
    /// An x86-64 machine with UEFI.
    UefiX64,
    /// A 64-bit ARM machine with UEFI.
    UefiArm64,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bios => "BIOS",
            Self::UefiX64 => "UEFI x86-64",
            Self::UefiArm64 => "UEFI arm64",
        })
    }
}

/// A machine as far as it is known. Nothing of it is proven: a machine may say what it likes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Machine {
    /// The card that it boots from.
    pub mac: Option<Mac>,
    /// Its UUID, in lower case with hyphens.
    pub uuid: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its firmware.
    pub platform: Option<Platform>,
    /// Its address.
    pub address: Option<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses() {
        let mac: Mac = "52-54-00-Ab-34-56".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:ab:34:56");
        assert_eq!("52:54:00:ab:34:56".parse(), Ok(mac));
        for text in [
            "",
            "52",
            "52:54:00:ab:34",
            "52:54:00:ab:34:56:78",
            "+2:54:00:ab:34:56",
            "ää:54:00:ab:34:56",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
