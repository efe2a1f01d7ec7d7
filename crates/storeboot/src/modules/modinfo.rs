//! What a module says of itself: the `.modinfo` section of its ELF file.

use object::{Object, ObjectSection};

use super::name;

/// What matters here of `.modinfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModInfo {
    /// `name=`, since Linux 4.13.
    pub name: Option<String>,
    /// `depends=`: modules without which this one does not load.
    pub depends: Vec<String>,
    /// `softdep=pre: …`: modules or aliases that should be there before this one.
    pub soft: Vec<String>,
    /// `alias=`: patterns of the modaliases of its devices, and other names by which it is asked for.
    pub aliases: Vec<String>,
    /// `firmware=`: files that it may send to its devices.
    pub firmware: Vec<String>,
    /// The first word of `vermagic=`: the release of the kernel it was built for.
    pub built_for: String,
}

/// Reads a module. The error says what is wrong with the file.
pub(super) fn read(module: &[u8]) -> Result<ModInfo, String> {
    let elf =
        object::File::parse(module).map_err(|error| format!("it is no ELF file ({error})"))?;
    let section = elf
        .section_by_name(".modinfo")
        .ok_or("it is an ELF file, but no kernel module: it has no .modinfo section")?;
    let data = section
        .data()
        .map_err(|error| format!("its .modinfo section is damaged ({error})"))?;
    let mut info = ModInfo::default();
    for entry in data.split(|byte| *byte == 0) {
        let Some(equals) = entry.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (key, value) = (&entry[..equals], &entry[equals + 1..]);
        let is_needed = matches!(
            key,
            b"name" | b"depends" | b"softdep" | b"alias" | b"firmware" | b"vermagic"
        );
        if !is_needed {
            continue; // descriptions may have any bytes
        }
        let value = std::str::from_utf8(value).map_err(|_| not_plain(key, value))?;
        match key {
            b"name" => info.name = Some(normal(key, value)?),
            b"depends" => {
                for name in value.split(',').filter(|name| !name.is_empty()) {
                    info.depends.push(normal(key, name)?);
                }
            }
            b"softdep" => info.soft.extend(pre(value)),
            b"alias" => info.aliases.push(value.into()),
            b"firmware" => info.firmware.push(value.into()),
            _ => info.built_for = value.split(' ').next().unwrap_or_default().into(),
        }
    }
    if info.built_for.is_empty() {
        return Err("its .modinfo section does not name the kernel it was built for".into());
    }
    Ok(info)
}

fn normal(key: &[u8], value: &str) -> Result<String, String> {
    name::normal(value).ok_or_else(|| not_plain(key, value.as_bytes()))
}

fn not_plain(key: &[u8], value: &[u8]) -> String {
    format!(
        "its .modinfo section has {:?} for {}",
        String::from_utf8_lossy(value),
        String::from_utf8_lossy(key)
    )
}

/// The words between `pre:` and `post:`; they need not be modules.
fn pre(value: &str) -> impl Iterator<Item = String> {
    let mut inside = false;
    value.split_ascii_whitespace().filter_map(move |word| {
        match word {
            "pre:" => inside = true,
            "post:" => inside = false,
            _ if inside => return Some(word.into()),
            _ => {}
        }
        None
    })
}
