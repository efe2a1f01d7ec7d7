//! What a kernel needs for a store that is fetched while the system runs.

use super::ModulesError;
use super::resolve::Resolver;

/// The modules, and by which options a kernel has them: a block device that a process serves, and the device mapper,
/// which puts another in its place.
const NEEDED: [(&str, &str); 2] = [
    ("nbd", "CONFIG_BLK_DEV_NBD"),
    ("dm_mod", "CONFIG_BLK_DEV_DM"),
];

pub(super) fn add(resolver: &mut Resolver<'_>) -> Result<(), ModulesError> {
    NEEDED.iter().try_for_each(|&(module, option)| {
        resolver.add(module).map_err(|error| match error {
            ModulesError::NotFound {
                folder, release, ..
            } => ModulesError::NoStream {
                module,
                option,
                folder,
                release,
            },
            error => error,
        })
    })
}
