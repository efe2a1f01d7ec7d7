//! What dm-verity needs of a kernel.

use super::ModulesError;
use super::resolve::Resolver;

/// The device mapper's target. It brings dm-mod and dm-bufio with it.
const TARGET: &str = "dm_verity";
/// The algorithm, as modules that have it are called besides.
const ALGORITHM: &str = "crypto-sha256";
/// Modules that have it for processors with instructions for it, where that is not built into the kernel. The kernel
/// takes the fastest that is loaded, and a processor without them refuses the module.
const FASTER: [&str; 3] = ["sha256_ssse3", "sha2_ce", "sha256_arm64"];

/// Adds the target, and the algorithm that its trees are made with.
pub(super) fn add(resolver: &mut Resolver<'_>) -> Result<(), ModulesError> {
    resolver.add(TARGET).map_err(|error| match error {
        ModulesError::NotFound {
            folder, release, ..
        } => ModulesError::NoVerity { folder, release },
        error => error,
    })?;
    resolver.add_provider(ALGORITHM)?;
    FASTER
        .iter()
        .try_for_each(|name| resolver.add_if_there(name))
}
