//! `vlan=<name>:<device>`.

use alloc::string::String;

use super::{Device, Reason, ip};

/// A tagged VLAN (IEEE 802.1Q) on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// The name of the new device.
    pub name: String,
    /// The number of the VLAN, 1 to 4094: the digits at the end of the name (`vlan5`, `vlan0005`, `eth0.5`,
    /// `eth0.0005`).
    pub id: u16,
    /// The device that carries it.
    pub physical: Device,
}

pub(super) fn parse(value: &str) -> Result<Vlan, Reason> {
    let (name, device) = value.split_once(':').ok_or(Reason::VlanForm)?;
    let Device::Name(name) = ip::device(name)? else {
        return Err(Reason::VlanId(name.into()));
    };
    let id = id(&name).ok_or_else(|| Reason::VlanId(name.clone()))?;
    Ok(Vlan {
        name,
        id,
        physical: ip::device(device)?,
    })
}

/// Only the two forms of names that dracut knows: in `eth10` the digits are no VLAN.
fn id(name: &str) -> Option<u16> {
    let digits = match name.strip_prefix("vlan") {
        Some(digits) => digits,
        None => name.rsplit_once('.')?.1,
    };
    let known = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let id = known.then(|| digits.parse().ok()).flatten()?;
    (1..=4094).contains(&id).then_some(id)
}
