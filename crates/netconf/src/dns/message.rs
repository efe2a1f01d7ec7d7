//! A question and its answer, as messages.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use smoltcp::wire::{
    DnsFlags, DnsOpcode, DnsPacket, DnsQueryType, DnsQuestion, DnsRcode, DnsRecord, DnsRecordData,
    DnsRepr,
};

use super::{Ignored, MAX_ADDRESSES, Name};

/// More aliases in a row are a loop.
const MAX_ALIASES: usize = 16;

pub(super) struct Answer {
    pub code: DnsRcode,
    /// At most [`MAX_ADDRESSES`], in order.
    pub addresses: Vec<IpAddr>,
    /// Records are missing.
    pub truncated: bool,
}

enum Data {
    Address(IpAddr),
    Alias(Name),
}

pub(super) fn write(id: u16, name: &Name, kind: DnsQueryType) -> Vec<u8> {
    let name = name.to_wire();
    let message = DnsRepr {
        transaction_id: id,
        opcode: DnsOpcode::Query,
        flags: DnsFlags::RECURSION_DESIRED,
        question: DnsQuestion {
            name: &name,
            type_: kind,
        },
    };
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut DnsPacket::new_unchecked(bytes.as_mut_slice()));
    bytes
}

/// The number of a message, by which its question is found.
pub(super) fn id(bytes: &[u8]) -> Result<u16, Ignored> {
    let packet = DnsPacket::new_checked(bytes).map_err(|_| Ignored::Malformed)?;
    Ok(packet.transaction_id())
}

/// Reads an answer to the question for `name` and `kind`.
pub(super) fn read(bytes: &[u8], name: &Name, kind: DnsQueryType) -> Result<Answer, Ignored> {
    let packet = DnsPacket::new_checked(bytes).map_err(|_| Ignored::Malformed)?;
    let flags = packet.flags();
    if !flags.contains(DnsFlags::RESPONSE) || packet.opcode() != DnsOpcode::Query {
        return Err(Ignored::Malformed);
    }
    let truncated = flags.contains(DnsFlags::TRUNCATED);
    if packet.question_count() != 1 {
        return Err(Ignored::OtherQuestion);
    }
    let (rest, question) = DnsQuestion::parse(packet.payload()).map_err(|_| Ignored::Malformed)?;
    let asked = Name::from_labels(packet.parse_name(question.name));
    if asked.as_ref() != Some(name) || question.type_ != kind {
        return Err(Ignored::OtherQuestion);
    }
    let records = records(&packet, rest, kind, truncated)?;
    Ok(Answer {
        code: packet.rcode(),
        addresses: addresses(&records, name),
        truncated,
    })
}

/// The records of the answer that matter: each takes at least eleven bytes of the message.
fn records(
    packet: &DnsPacket<&[u8]>,
    mut rest: &[u8],
    kind: DnsQueryType,
    truncated: bool,
) -> Result<Vec<(Name, Data)>, Ignored> {
    let mut records = Vec::new();
    for _ in 0..packet.answer_record_count() {
        let record = match DnsRecord::parse(rest) {
            Ok((after, record)) => {
                rest = after;
                record
            }
            // A truncated answer counts as far as it goes.
            Err(_) if truncated => break,
            Err(_) => return Err(Ignored::Malformed),
        };
        let data = match record.data {
            DnsRecordData::A(address) if kind == DnsQueryType::A => {
                Some(Data::Address(IpAddr::V4(address)))
            }
            DnsRecordData::Aaaa(address) if kind == DnsQueryType::Aaaa => {
                Some(Data::Address(IpAddr::V6(address)))
            }
            DnsRecordData::Cname(alias) => {
                Name::from_labels(packet.parse_name(alias)).map(Data::Alias)
            }
            _ => None,
        };
        // A record with a name that no host can have (a wildcard, a DNSSEC signature's) is not on the way.
        let owner = Name::from_labels(packet.parse_name(record.name));
        records.extend(owner.zip(data));
    }
    Ok(records)
}

/// Follows the aliases from `name`, in whatever order the records are.
fn addresses(records: &[(Name, Data)], name: &Name) -> Vec<IpAddr> {
    let mut owner = name;
    for _ in 0..=MAX_ALIASES {
        let of_owner = || records.iter().filter(|(name, _)| name == owner);
        let addresses: Vec<IpAddr> = of_owner()
            .filter_map(|(_, data)| match data {
                Data::Address(address) if crate::is_unicast(*address) => Some(*address),
                _ => None,
            })
            .take(MAX_ADDRESSES)
            .collect();
        if !addresses.is_empty() {
            return addresses;
        }
        let alias = of_owner().find_map(|(_, data)| match data {
            Data::Alias(alias) => Some(alias),
            Data::Address(_) => None,
        });
        match alias {
            Some(alias) => owner = alias,
            None => break,
        }
    }
    Vec::new()
}
