//! The part of the initrd for one machine.

use storeboot_cpio::{Metadata, WriteError, Writer};

/// Whether a name is valid as a host name: letters, digits and hyphens only.
pub fn is_a_name(name: &str) -> bool {
    let inner = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    inner && (1..=63).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
}

/// Returns an archive with `/etc/hostname`, which the kernel unpacks after the others. The booted system has its files.
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
