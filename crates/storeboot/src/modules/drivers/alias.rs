//! Which aliases of a module stand for devices.

use storeboot_index::MAX_ALIAS;

use crate::modules::tree::{self, Tree};
use crate::modules::{ModulesError, modinfo};

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

/// Whether a module is for devices.
pub(super) fn is_driver(tree: &Tree, name: &str) -> Result<bool, ModulesError> {
    let Some(path) = tree.file(name) else {
        return Ok(false);
    };
    let data = tree::load(path)?;
    let info = modinfo::read(&data).map_err(|reason| ModulesError::Damaged {
        path: path.into(),
        reason,
    })?;
    Ok(info.aliases.iter().any(|alias| is_modalias(alias)))
}
