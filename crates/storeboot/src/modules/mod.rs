//! The kernel modules that stage 1 loads: those that it needs on any machine, and device drivers.
//!
//! [`collect`] finds the wanted modules under a folder as distributions and NixOS lay it out, adds what they depend on,
//! unpacks them and puts them in load order. [`collect_drivers`] does so for device drivers, and lists the devices that
//! they are for. Both read the modules themselves (`.modinfo`), so no `depmod` has to have run.

mod drivers;
mod error;
mod modinfo;
mod name;
mod provided;
mod resolve;
mod stream;
#[cfg(test)]
mod tests;
mod tree;
mod verity;

use std::path::{Path, PathBuf};

pub use drivers::{DriverRequest, DriverSet, Firmware, collect_drivers};
pub use error::ModulesError;
use resolve::Resolver;

/// What stage 1 itself needs: a loop device, squashfs and the overlay.
pub const DEFAULT_MODULES: [&str; 3] = ["loop", "squashfs", "overlay"];

/// A kernel module, ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Module {
    /// Its name as the kernel writes it, with `_` and never `-`.
    pub name: String,
    /// The file it comes from.
    pub path: PathBuf,
    /// The module, unpacked.
    pub data: Vec<u8>,
}

/// What [`collect`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Modules {
    /// What has to be loaded, in this order.
    pub load: Vec<Module>,
    /// What was asked for, or is depended on, and is part of the kernel.
    pub builtin: Vec<String>,
    /// Soft dependencies (`softdep=pre:`) that are not met: no module has this name or this algorithm, or it needs the
    /// module that would like it first. Nothing fails without them.
    pub unmet_soft: Vec<String>,
}

/// Finds modules and all they depend on, for a kernel of this release.
///
/// `folder` is the root of a tree with `lib/modules/RELEASE` or `usr/lib/modules/RELEASE` in it, or `modules`, or
/// `RELEASE` itself. `-` and `_` are the same in names. The order depends on nothing but the order of `wanted` and the
/// modules.
///
/// ```no_run
/// use storeboot::modules::{DEFAULT_MODULES, collect};
///
/// let wanted = DEFAULT_MODULES.into_iter().chain(["virtio-net"]);
/// let modules = collect("/run/current-system/kernel-modules".as_ref(), "6.12.107", wanted)?;
/// for module in &modules.load {
///     println!("{} from {}", module.name, module.path.display());
/// }
/// # Ok::<(), storeboot::modules::ModulesError>(())
/// ```
///
/// # Errors
/// When a module or a dependency is neither there nor built in, is damaged, or was built for another kernel; when the
/// folder has modules for several kernels and none for this one; when modules depend on each other in a circle.
pub fn collect<'a>(
    folder: &Path,
    release: &str,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<Modules, ModulesError> {
    collect_with(Besides::default(), folder, release, wanted)
}

/// What an initrd needs of the kernel besides the modules that it names.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Besides {
    /// dm-verity, with its hash.
    pub(crate) verity: bool,
    /// Block devices that a process serves, and that are replaced while they are in use.
    pub(crate) stream: bool,
}

/// As [`collect`], with what is needed besides behind the other modules.
pub(crate) fn collect_with<'a>(
    besides: Besides,
    folder: &Path,
    release: &str,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<Modules, ModulesError> {
    let tree = tree::Tree::open(folder, release)?;
    let mut resolver = resolve_all(&tree, release, wanted)?;
    if besides.verity {
        verity::add(&mut resolver)?;
    }
    if besides.stream {
        stream::add(&mut resolver)?;
    }
    Ok(resolver.finish())
}

fn resolve_all<'a, 'tree>(
    tree: &'tree tree::Tree,
    release: &'tree str,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<Resolver<'tree>, ModulesError> {
    let mut resolver = Resolver::new(tree, release);
    for name in wanted {
        resolver.add(name)?;
    }
    Ok(resolver)
}

/// Reads a module: for the fuzzer.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz(module: &[u8]) {
    let _ = modinfo::read(module);
}
