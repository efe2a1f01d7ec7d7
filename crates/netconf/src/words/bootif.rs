//! `BOOTIF=01-aa-bb-cc-dd-ee-ff`: the type of the hardware as ARP numbers it, then the address.

use super::{Reason, ip};
use crate::Mac;

pub(super) fn parse(value: &str) -> Result<Mac, Reason> {
    let separator = if value.contains('-') { '-' } else { ':' };
    let groups = value.split(separator).count();
    let (hardware, mac) = value
        .split_once(separator)
        .ok_or_else(|| Reason::Mac(value.into()))?;
    if groups == 21 || hardware == "20" {
        return Err(Reason::InfiniBand);
    }
    if groups == 7 && hardware != "01" {
        return Err(Reason::Hardware(hardware.into()));
    }
    if groups != 7 {
        return Err(Reason::Mac(value.into()));
    }
    ip::mac(mac, separator)
}
