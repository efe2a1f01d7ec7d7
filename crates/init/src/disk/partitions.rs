//! The UUIDs of partitions, as the kernel's `PARTUUID=` has them.
//!
//! The formats are those of UEFI's specification, section 5, and of the PC's master boot record.

use alloc::format;
use alloc::string::String;

use super::bytes::Bytes;
use super::uuid::mixed_endian;
use crate::read_at::ReadAt;
use crate::sys::Errno;

/// More entries than that are in no table.
const MOST_ENTRIES: u32 = 4096;
/// The smallest and the largest entry of a table.
const ENTRY: core::ops::RangeInclusive<u32> = 128..=4096;

/// The UUID of a partition: its number, from 1 on, and its first byte on the disk as the kernel has them. `block` is
/// the size of the disk's logical blocks.
pub(super) fn uuid(
    disk: &impl ReadAt,
    block: u64,
    number: u32,
    start: u64,
) -> Result<Option<String>, Errno> {
    if let Some(uuid) = gpt(disk, block, number, start)? {
        return Ok(Some(uuid));
    }
    let mut sector = [0; 512];
    let len = disk.read_full(&mut sector, 0)?;
    Ok(mbr(Bytes(sector.get(..len).unwrap_or_default()), number))
}

fn mbr(sector: Bytes<'_>, number: u32) -> Option<String> {
    let signature = sector.u32(440)?;
    (sector.u16(510)? == 0xaa55 && signature != 0).then(|| format!("{signature:08x}-{number:02x}"))
}

fn gpt(disk: &impl ReadAt, block: u64, number: u32, start: u64) -> Result<Option<String>, Errno> {
    let mut head = [0; 92];
    let len = disk.read_full(&mut head, block)?;
    let Some(place) = place_of_entry(Bytes(head.get(..len).unwrap_or_default()), block, number)
    else {
        return Ok(None);
    };
    let mut entry = [0; 128];
    let len = disk.read_full(&mut entry, place)?;
    let entry = Bytes(entry.get(..len).unwrap_or_default());
    let first = entry.u64(32).and_then(|first| first.checked_mul(block));
    Ok(entry
        .array(16)
        .filter(|_| first == Some(start))
        .map(mixed_endian))
}

/// The offset of a partition's entry, by the table's head.
fn place_of_entry(head: Bytes<'_>, block: u64, number: u32) -> Option<u64> {
    let (table, count, size) = (head.u64(72)?, head.u32(80)?, head.u32(84)?);
    let number = number.checked_sub(1)?;
    let is_sound = head.array(0)? == *b"EFI PART"
        && head.u64(24)? == 1
        && count <= MOST_ENTRIES
        && number < count
        && ENTRY.contains(&size);
    let within = u64::from(number) * u64::from(size);
    table
        .checked_mul(block)?
        .checked_add(within)
        .filter(|_| is_sound)
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::read_at::InPieces;

    fn gpt_disk(block: usize) -> Vec<u8> {
        let mut disk = vec![0; 64 << 10];
        let mut put = |at: usize, bytes: &[u8]| disk[at..at + bytes.len()].copy_from_slice(bytes);
        put(510, &[0x55, 0xaa]);
        put(440, &[4, 3, 2, 1]);
        put(block, b"EFI PART");
        put(block + 24, &1_u64.to_le_bytes());
        put(block + 72, &2_u64.to_le_bytes());
        put(block + 80, &128_u32.to_le_bytes());
        put(block + 84, &128_u32.to_le_bytes());
        let entry = 2 * block + 2 * 128;
        let uuid: [u8; 16] = core::array::from_fn(|at| at as u8);
        put(entry + 16, &uuid);
        put(entry + 32, &40_u64.to_le_bytes());
        disk
    }

    #[test]
    fn a_gpt_names_its_partitions() {
        for block in [512, 4096] {
            let disk = gpt_disk(block);
            let uuid =
                |number, start| uuid(&InPieces(&disk, 1000), block as u64, number, start).unwrap();
            let third = "03020100-0504-0706-0809-0a0b0c0d0e0f";
            assert_eq!(uuid(3, 40 * block as u64).as_deref(), Some(third));
            // Not the partition that the kernel has: then only the master boot record counts.
            assert_eq!(uuid(3, 41 * block as u64).as_deref(), Some("01020304-03"));
            assert_eq!(uuid(129, 0).as_deref(), Some("01020304-81"));
        }
    }

    #[test]
    fn a_master_boot_record_has_one_number_for_all() {
        let mut disk = vec![0; 512];
        let uuid = |disk: &[u8]| uuid(&InPieces(disk, 512), 512, 5, 0).unwrap();
        assert_eq!(uuid(&disk), None);
        disk[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(uuid(&disk), None, "no number");
        disk[440..444].copy_from_slice(&0xab_cdef_u32.to_le_bytes());
        assert_eq!(uuid(&disk).as_deref(), Some("00abcdef-05"));
        assert_eq!(uuid(&disk[..500]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(
            head in prop::collection::vec(any::<u8>(), 0..92),
            number: u32,
            start: u64,
            size: u16,
        ) {
            let mut disk = gpt_disk(512);
            let _ = uuid(&InPieces(&disk, 512), 512, number, start);
            disk[512 + 8..][..head.len()].copy_from_slice(&head);
            disk.truncate(usize::from(size));
            let _ = uuid(&InPieces(&disk, 512), 512, number, start);
        }
    }
}
