//! Which aliases of a module stand for devices.

use std::path::Path;

use storeboot_index::MAX_ALIAS;

use crate::modules::{ModulesError, modinfo, tree};

/// What stands before the colon of aliases that stage 1 has no use for: names of device files, facts about the machine
/// or its processor instead of devices, what only a host of virtual machines has, and buses whose devices appear only
/// with the help of programs (PCMCIA) or never did on a 64-bit machine (EISA).
const UNUSED: [&str; 6] = ["cpu", "devname", "dmi*", "eisa", "pcmcia", "xen-backend"];

/// Whether devices may have a modalias that matches.
pub(super) fn is_modalias(alias: &str) -> bool {
    let fits = alias.len() <= MAX_ALIAS && alias.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    fits && alias
        .split_once(':')
        .is_some_and(|(bus, _)| !UNUSED.contains(&bus))
}

/// Whether a module has an alias of this kind.
pub(super) fn is_driver(path: &Path, kind: impl Fn(&str) -> bool) -> Result<bool, ModulesError> {
    let info = modinfo::read(&tree::load(path)?).map_err(|reason| ModulesError::Damaged {
        path: path.into(),
        reason,
    })?;
    Ok(info.aliases.iter().any(|alias| kind(alias)))
}
