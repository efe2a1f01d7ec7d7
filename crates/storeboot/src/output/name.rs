//! The names of what lies beside an output while it is written.
//!
//! - `.storeboot-HHHHHHHH-BBBBBBBB-XXXXXXXXXXXX.unfinished` is not complete, or no longer wanted.
//! - `.storeboot-HHHHHHHH-BBBBBBBB-XXXXXXXXXXXX.NAME.replaced` is the whole old output `NAME`, moved aside for a new
//!   one.
//!
//! `H` and `B` are hashes of the host and of its boot, in hexadecimal, and `X` is random. Earlier versions wrote
//! `.storeboot-XXXXXXXXXXXX.unfinished`, which tells nothing of the host.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use sha2::{Digest, Sha256};

const PREFIX: &str = ".storeboot-";
pub(super) const UNFINISHED: &str = ".unfinished";
const REPLACED: &str = ".replaced";
/// How many random letters and digits are in a name.
pub(super) const RANDOM: usize = 12;

/// Which host made a name, and in which of its boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    host: Option<u32>,
    boot: Option<u32>,
}

impl Origin {
    /// The origin of the names that earlier versions made.
    const UNKNOWN: Self = Self {
        host: None,
        boot: None,
    };

    /// The origin of the names that this process makes.
    pub(super) fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::new(
            read("/etc/machine-id").trim(),
            read("/proc/sys/kernel/hostname").trim(),
            read("/proc/sys/kernel/random/boot_id").trim(),
        )
    }

    fn new(machine: &str, host_name: &str, boot: &str) -> Self {
        // Machines that start from the same disk image have the same ID, and many machines have the same name.
        let is_id = machine.len() == 32 && machine.bytes().all(|byte| byte.is_ascii_hexdigit());
        Self {
            host: is_id.then(|| hash(&["host", machine, host_name])),
            boot: (!boot.is_empty()).then(|| hash(&["boot", boot])),
        }
    }

    /// Whether a lock tells if the maker is alive: it runs under this kernel, or it ran before this host was booted.
    pub(super) fn is_known_by_locks(self, here: Self) -> bool {
        (self.boot.is_some() && self.boot == here.boot)
            || (self.host.is_some() && self.host == here.host)
    }

    /// How names of this origin begin.
    pub(super) fn prefix(self) -> String {
        // 0 stands for what is not known. A hash that happens to be 0 counts as not known, and that is safe.
        let [host, boot] = [self.host, self.boot].map(Option::unwrap_or_default);
        format!("{PREFIX}{host:08x}-{boot:08x}-")
    }

    #[cfg(test)]
    pub(super) fn of_another_host() -> Self {
        Self::new(&"5".repeat(32), "elsewhere", "another boot")
    }
}

/// The hash does not give the machine's ID away, which is meant to be kept secret.
fn hash(parts: &[&str]) -> u32 {
    let mut hasher = Sha256::new_with_prefix("storeboot output");
    for part in parts {
        hasher.update([0]);
        hasher.update(part);
    }
    let hash: [u8; 32] = hasher.finalize().into();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// How the name of an output that is moved aside ends.
pub(super) fn replaced_suffix(output: &OsStr) -> OsString {
    let mut suffix = OsString::from(".");
    suffix.push(output);
    suffix.push(REPLACED);
    suffix
}

/// A name, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) origin: Origin,
    /// The whole name up to what follows the random part.
    stem: OsString,
    /// The output that was moved aside; without it, the name is an unfinished output's.
    pub(super) replaced: Option<OsString>,
}

impl Name {
    pub(super) fn parse(name: &OsStr) -> Option<Self> {
        let name = name.as_bytes();
        let rest = name.strip_prefix(PREFIX.as_bytes())?;
        let is_random = |part: &[u8]| {
            part.len() == RANDOM && part.iter().all(|byte| byte.is_ascii_alphanumeric())
        };
        let (before, suffix) = rest.split_at(rest.iter().position(|byte| *byte == b'.')?);
        let parts: Vec<&[u8]> = before.split(|byte| *byte == b'-').collect();
        let replaced = replaced_output(suffix);
        let origin = match parts[..] {
            [random] if is_random(random) && replaced.is_none() => Origin::UNKNOWN,
            [host, boot, random] if is_random(random) => Origin {
                host: parse_hash(host)?,
                boot: parse_hash(boot)?,
            },
            _ => return None,
        };
        if replaced.is_none() && suffix != UNFINISHED.as_bytes() {
            return None;
        }
        let stem = name[..name.len() - suffix.len()].to_vec();
        Some(Self {
            origin,
            stem: OsString::from_vec(stem),
            replaced,
        })
    }

    /// The same name for what is no longer wanted.
    pub(super) fn unfinished(&self) -> OsString {
        let mut name = self.stem.clone();
        name.push(UNFINISHED);
        name
    }
}

/// The output's name in what follows the random part, if that is an output that was moved aside.
fn replaced_output(suffix: &[u8]) -> Option<OsString> {
    let output = suffix
        .strip_prefix(b".")?
        .strip_suffix(REPLACED.as_bytes())?;
    let is_name = !matches!(output, b"" | b"." | b"..") && !output.contains(&b'/');
    is_name.then(|| OsString::from_vec(output.to_vec()))
}

/// `None` where this is no hash, `Some(None)` where the hash is not known.
fn parse_hash(digits: &[u8]) -> Option<Option<u32>> {
    let is_hash = digits.len() == 8
        && digits
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hash {
        return None;
    }
    let hash = u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    Some((hash != 0).then_some(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn parse(name: &str) -> Option<Name> {
        Name::parse(name.as_ref())
    }

    #[test]
    fn a_name_tells_its_origin() {
        let origin = Origin::new(ID, "host", "boot");
        let stem = format!("{}0123456789ab", origin.prefix());
        let name = parse(&format!("{stem}.unfinished")).expect("a name");
        assert_eq!((name.origin, &name.replaced), (origin, &None));
        let name = parse(&format!("{stem}.net.boot.replaced")).expect("a name");
        assert_eq!(name.origin, origin);
        assert_eq!(name.replaced.as_deref(), Some("net.boot".as_ref()));
        assert_eq!(name.unfinished(), *format!("{stem}.unfinished"));

        let unknown = Origin::new("uninitialized", "host", "");
        assert_eq!(unknown, Origin::UNKNOWN);
        let name = format!("{}0123456789ab.unfinished", unknown.prefix());
        assert_eq!(parse(&name).expect("a name").origin, unknown);
        let old = parse(".storeboot-0123456789ab.unfinished").expect("a name of earlier versions");
        assert_eq!(old.origin, unknown);
        assert_eq!(old.unfinished(), ".storeboot-0123456789ab.unfinished");
    }

    #[test]
    fn other_names_are_not_taken_for_one() {
        for name in [
            ".storeboot-abcdefABCDEF",
            ".storeboot-boot.unfinished",
            ".storeboot-0123456789ab.netboot.replaced",
            ".storeboot-01234567-0123456789ab.unfinished",
            ".storeboot-0123456-01234567-0123456789ab.unfinished",
            ".storeboot-0123456G-01234567-0123456789ab.unfinished",
            ".storeboot-01234567-01234567-0123456789a.unfinished",
            ".storeboot-01234567-01234567-0123456789ab.unfinished.gz",
            ".storeboot-01234567-01234567-0123456789ab.replaced",
            ".storeboot-01234567-01234567-0123456789ab..replaced",
            ".storeboot-01234567-01234567-0123456789ab...replaced",
            ".storeboot-01234567-01234567-0123456789ab....replaced",
            "storeboot-01234567-01234567-0123456789ab.unfinished",
        ] {
            let parsed = parse(name);
            assert!(parsed.is_none(), "{name}: {parsed:?}");
        }
    }

    #[test]
    fn locks_tell_of_this_boot_and_of_this_host_only() {
        let here = Origin::new(ID, "host", "boot");
        let known = |machine, host, boot| Origin::new(machine, host, boot).is_known_by_locks(here);
        assert!(known(ID, "host", "boot"));
        assert!(known(ID, "host", "an earlier boot"));
        // A container of this host.
        assert!(known("", "container", "boot"));
        // Another machine that was started from the same disk image.
        assert!(!known(ID, "another host", "another boot"));
        assert!(!known(
            "f123456789abcdef0123456789abcdef",
            "host",
            "another boot"
        ));
        assert!(!known("", "host", "another boot"));
        let unknown = Origin::UNKNOWN;
        assert!(!unknown.is_known_by_locks(here) && !unknown.is_known_by_locks(unknown));
    }
}
