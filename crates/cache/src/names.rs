//! The names of the cache's files. Files with other names are not the cache's and are never removed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::Key;

/// The folder of the files that are being written.
pub(crate) const NEW: &str = "new";
/// The file that is locked by the process that evicts.
pub(crate) const LOCK: &str = "lock";

/// Hexadecimal digits of a key in the name of an entry's folder.
const SHARD_DIGITS: usize = 2;
/// Hexadecimal digits of a key in the name of the entry itself.
const ENTRY_DIGITS: usize = 62;

/// The path of an entry below the folder of all entries.
pub(crate) fn entry(key: &Key) -> PathBuf {
    let digits = key.to_string();
    let (shard, name) = digits.split_at(SHARD_DIGITS);
    [shard, name].iter().collect()
}

/// The names of all folders of entries.
pub(crate) fn shards() -> impl Iterator<Item = String> {
    (0..=u8::MAX).map(|number| format!("{number:02x}"))
}

pub(crate) fn is_shard(name: &OsStr) -> bool {
    is_hex(name, SHARD_DIGITS)
}

pub(crate) fn is_entry(name: &OsStr) -> bool {
    is_hex(name, ENTRY_DIGITS)
}

fn is_hex(name: &OsStr, digits: usize) -> bool {
    let name = name.as_bytes();
    name.len() == digits
        && name
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A machine between its start and its end. The name of every unfinished file has it: the locks of another machine are
/// not seen on every file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    host: String,
    /// The kernel's random number of this boot. `None`: not known, so that it is the same as no other.
    boot: Option<String>,
}

const UNKNOWN: &str = "unknown";

impl Machine {
    pub(crate) fn this() -> Self {
        let host = rustix::system::uname();
        let host: String = host
            .nodename()
            .to_string_lossy()
            .chars()
            .take(64)
            .map(|char| if is_plain(char) { char } else { '-' })
            .collect();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot: String = boot.chars().filter(char::is_ascii_hexdigit).collect();
        Self {
            host: if host.is_empty() {
                UNKNOWN.into()
            } else {
                host
            },
            boot: is_hex(OsStr::new(&boot), 32).then_some(boot),
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.boot.is_some() && self == other
    }

    /// A name for a file that is being written. No other process uses it, on any machine.
    pub(crate) fn unfinished(&self, number: u64) -> String {
        let boot = self.boot.as_deref().unwrap_or(UNKNOWN);
        // Processes in other containers may have the same number, and other caches of this process the same count.
        let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let process = std::process::id();
        format!(
            "{}.{boot}.{process}.{}.{number}",
            self.host,
            time.as_nanos()
        )
    }

    /// The machine in the name of a file that is being written. `None`: it is no such name.
    pub(crate) fn of_unfinished(name: &OsStr) -> Option<Self> {
        let mut parts = name.to_str()?.split('.');
        let (host, boot) = (parts.next()?, parts.next()?);
        let is_number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let numbers: Vec<&str> = parts.collect();
        let known = is_hex(OsStr::new(boot), 32);
        let ours = !host.is_empty()
            && host.chars().all(is_plain)
            && (known || boot == UNKNOWN)
            && numbers.len() == 3
            && numbers.into_iter().all(is_number);
        ours.then(|| Self {
            host: host.into(),
            boot: known.then(|| boot.into()),
        })
    }
}

fn is_plain(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '-' || char == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_64_digits_in_two_parts() {
        let path = entry(&Key::derive("test", &[]));
        let names: Vec<_> = path.iter().collect();
        assert_eq!(names.len(), 2);
        assert!(is_shard(names[0]) && is_entry(names[1]));
        assert_eq!(shards().count(), 256);
        assert!(shards().all(|name| is_shard(OsStr::new(&name))));
        for name in ["", "a", "AB", "0g", "abc", "src", NEW, LOCK] {
            assert!(!is_shard(OsStr::new(name)), "{name}");
        }
        let digits = "0".repeat(ENTRY_DIGITS);
        for name in [
            &digits[1..],
            &format!("{digits}0"),
            &digits.replacen('0', "A", 1),
            &digits.replacen('0', ".", 1),
        ] {
            assert!(!is_entry(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_name_tells_its_machine() {
        let this = Machine::this();
        let unknown = Machine {
            host: "host".into(),
            boot: None,
        };
        for machine in [&this, &unknown] {
            let name = machine.unfinished(7);
            let found = Machine::of_unfinished(OsStr::new(&name));
            assert_eq!(found.as_ref(), Some(machine), "{name}");
        }
        assert!(!unknown.is_same(&unknown), "its boot is not known");
        assert_ne!(this.unfinished(1), this.unfinished(2));
    }

    #[test]
    fn other_names_have_no_machine() {
        let boot = "0123456789abcdef0123456789abcdef";
        for name in [
            "",
            "notes",
            "123-456-7",
            &format!("host.{boot}.1.2"),
            &format!("host.{boot}.1.2.3.4"),
            &format!("host.{boot}.1.2.x"),
            &format!("host.{boot}.1.2."),
            &format!(".{boot}.1.2.3"),
            &format!("a b.{boot}.1.2.3"),
            &format!("host.{}.1.2.3", &boot[1..]),
        ] {
            assert_eq!(Machine::of_unfinished(OsStr::new(name)), None, "{name}");
        }
    }
}
