//! What is in the initrd for one machine only.

use storeboot_cpio::{Metadata, WriteError, Writer};

/// Letters, digits and hyphens, as in a host's name, so that nothing else gets into the machine.
pub fn is_a_name(name: &str) -> bool {
    let inner = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    inner && (1..=63).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
}

/// An archive that the kernel unpacks behind the others: what it holds is in the booted system, under the same names.
pub fn archive(name: &str) -> Result<Vec<u8>, WriteError> {
    let hostname = format!("{name}\n");
    let mut writer = Writer::new(Vec::new());
    writer.directory("etc", &Metadata::directory())?;
    writer.file(
        "etc/hostname",
        &Metadata::file(),
        hostname.len() as u64,
        hostname.as_bytes(),
    )?;
    writer.finish()
}
