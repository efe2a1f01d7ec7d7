//! The device drivers that stage 1 may need, with the aliases by which it chooses among them.

mod alias;
mod firmware;
mod presets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use storeboot_index::{Class, Driver, Drivers};

use super::resolve::{Loaded, Resolver};
use super::tree::Tree;
use super::{Module, ModulesError, name};

pub use firmware::Firmware;

/// The drivers that an initrd is to have.
///
/// Each list holds names of modules, `all`, or `common`. `all` is every driver of the kernel for wired network cards,
/// or for disks; `common` those of the usual computers, servers, clouds and virtual machines. An empty list stands for
/// no drivers of that kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct DriverRequest<'a> {
    /// Drivers of network cards.
    pub network: &'a [String],
    /// Drivers of disks.
    pub disk: &'a [String],
    /// A folder with firmware files, as `/lib/firmware`. It may have them in `lib/firmware`, too.
    pub firmware: Option<&'a Path>,
}

/// What [`collect_drivers`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DriverSet {
    /// The list that stage 1 reads.
    pub drivers: Drivers,
    /// The modules in the order of [`Drivers::files`], which has their paths in the initrd.
    pub modules: Vec<Module>,
    /// The firmware files in the order of [`Drivers::firmware`].
    pub firmware: Vec<Firmware>,
    /// What the modules name as firmware and the folder does not have, or all of it where there is no folder. Modules
    /// name many versions, of which they need one.
    pub missing_firmware: Vec<String>,
    /// What was asked for, or is depended on, and is part of the kernel.
    pub builtin: Vec<String>,
    /// Soft dependencies that are not met, see [`Modules::unmet_soft`](super::Modules::unmet_soft).
    pub unmet_soft: Vec<String>,
}

/// Finds device drivers and all they need, for a kernel of this release, in a folder as [`collect`](super::collect)
/// takes it.
///
/// - The buses that the cards and disks hang on are added, such as `virtio_pci` for `virtio_net`.
/// - `all` has what the cards and disks of boards with a device tree may need, such as regulators.
/// - With drivers of network cards come the protocols `af_packet`, `ipv6` and `8021q`; with those of disks the file
///   systems ext4, xfs and vfat. Stage 1 loads these by their names.
/// - Of `all` and `common`, only what the kernel has as a module is taken.
///
/// The result depends on nothing but the folders' files and the words of the request; not on the order of the words.
///
/// ```no_run
/// use storeboot::modules::{DriverRequest, collect_drivers};
///
/// let network = ["common".to_owned(), "bonding".to_owned()];
/// let request = DriverRequest {
///     network: &network,
///     firmware: Some("/run/current-system/firmware".as_ref()),
///     ..DriverRequest::default()
/// };
/// let found = collect_drivers("/run/current-system/kernel-modules".as_ref(), "6.12.107", &request)?;
/// for (path, module) in found.drivers.files.iter().zip(&found.modules) {
///     println!("{path}: {} bytes from {}", module.data.len(), module.path.display());
/// }
/// # Ok::<(), storeboot::modules::ModulesError>(())
/// ```
///
/// # Errors
/// As [`collect`](super::collect); when the modules or the firmware are too many for the list that stage 1 reads.
pub fn collect_drivers(
    folder: &Path,
    release: &str,
    request: &DriverRequest<'_>,
) -> Result<DriverSet, ModulesError> {
    let tree = Tree::open(folder, release)?;
    let mut selection = Selection {
        tree: &tree,
        resolver: Resolver::new(&tree, release),
        classes: BTreeMap::new(),
    };
    selection.add_kind(Class::Network, request.network, &presets::NETWORK)?;
    selection.add_kind(Class::Disk, request.disk, &presets::DISK)?;
    selection.add_what_carries_them()?;
    selection.finish(request.firmware)
}

/// What was chosen so far.
struct Selection<'a> {
    tree: &'a Tree,
    resolver: Resolver<'a>,
    /// The drivers, by their normal names.
    classes: BTreeMap<String, Class>,
}

impl Selection<'_> {
    /// Adds what the words of a list stand for.
    fn add_kind(
        &mut self,
        class: Class,
        words: &[String],
        kind: &presets::Kind,
    ) -> Result<(), ModulesError> {
        if words.is_empty() {
            return Ok(());
        }
        // Sorted, so that the order of the words does not matter.
        for word in words.iter().collect::<BTreeSet<_>>() {
            match word.as_str() {
                "all" => self.add_all(class, kind)?,
                "common" => self.add_present(class, kind.common)?,
                named => {
                    self.resolver.add(named)?;
                    let name = name::normal(named).unwrap_or_default();
                    self.set_class(name, class);
                }
            }
        }
        self.add_present(class, kind.always)?;
        self.add_present(Class::Named, kind.named)
    }

    /// Adds each driver of a kind that the kernel has.
    fn add_all(&mut self, class: Class, kind: &presets::Kind) -> Result<(), ModulesError> {
        self.add_present(class, kind.common)?;
        let tree = self.tree;
        for (name, path) in tree.below(kind.folders) {
            if !presets::EXCLUDED.contains(&name) && alias::is_driver(path, alias::is_modalias)? {
                self.add_present(class, &[name])?;
            }
        }
        for (name, path) in tree.below(&presets::BOARDS) {
            if alias::is_driver(path, |alias| alias.starts_with("of:"))? {
                self.add_present(Class::Bus, &[name])?;
            }
        }
        Ok(())
    }

    /// Adds those of these modules that the kernel has as files.
    fn add_present(&mut self, class: Class, names: &[&str]) -> Result<(), ModulesError> {
        for name in names {
            if self.tree.file(name).is_some() {
                self.resolver.add(name)?;
                self.set_class((*name).into(), class);
            }
        }
        Ok(())
    }

    fn set_class(&mut self, name: String, class: Class) {
        let known = self.classes.entry(name).or_insert(class);
        *known = match (*known, class) {
            (known, class) if known == class => class,
            (Class::Named, other) | (other, Class::Named) => other,
            // Needed for network cards and for disks.
            _ => Class::Bus,
        };
    }

    /// Adds the buses that the chosen drivers' devices hang on, what these need in turn, and companions.
    fn add_what_carries_them(&mut self) -> Result<(), ModulesError> {
        let mut seen = 0;
        while seen < self.resolver.load().len() {
            let Loaded { module, info, .. } = &self.resolver.load()[seen];
            seen += 1;
            let name = module.name.clone();
            let mut buses: BTreeSet<String> = BTreeSet::new();
            for alias in info.aliases.iter().filter(|text| alias::is_modalias(text)) {
                buses.extend(alias.split_once(':').map(|(bus, _)| bus.to_owned()));
            }
            // What a driver depends on may be a driver itself, and the first one's devices may hang on it.
            if !buses.is_empty() && !self.classes.contains_key(&name) {
                self.set_class(name.clone(), Class::Bus);
            }
            let carriers = presets::CARRIERS
                .iter()
                .filter(|(bus, _, _)| buses.contains(*bus));
            for (_, names, folders) in carriers {
                self.add_present(Class::Bus, names)?;
                let tree = self.tree;
                for (name, path) in tree.below(folders) {
                    if alias::is_driver(path, alias::is_modalias)? {
                        self.add_present(Class::Bus, &[name])?;
                    }
                }
            }
            for companion in presets::companions(&name) {
                if self.tree.file(companion).is_some() {
                    self.resolver.add(companion)?;
                }
            }
        }
        Ok(())
    }

    fn finish(self, firmware: Option<&Path>) -> Result<DriverSet, ModulesError> {
        let order = self.tree.order()?;
        // The kernel's own order says which driver is to be tried first, where several fit a device.
        let mut names: Vec<&String> = self.classes.keys().collect();
        names.sort_by_key(|name| (order.get(*name).copied().unwrap_or(usize::MAX), *name));
        let drivers = names
            .into_iter()
            .filter_map(|name| self.driver(name))
            .collect();
        let named: BTreeSet<&str> = self
            .resolver
            .load()
            .iter()
            .flat_map(|loaded| loaded.info.firmware.iter().map(String::as_str))
            .collect();
        let (firmware, missing_firmware) = firmware::find(firmware, named)?;
        let modules = self.resolver.finish();
        let path = |module: &Module| format!("storeboot/modules/{}.ko", module.name);
        let drivers = Drivers {
            files: modules.load.iter().map(path).collect(),
            firmware: firmware.iter().map(|file| file.name.clone()).collect(),
            drivers,
        };
        drivers
            .check()
            .map_err(|reason| ModulesError::Unlistable { reason })?;
        Ok(DriverSet {
            drivers,
            modules: modules.load,
            firmware,
            missing_firmware,
            builtin: modules.builtin,
            unmet_soft: modules.unmet_soft,
        })
    }

    /// The line of a driver; none for one that is built in.
    fn driver(&self, name: &str) -> Option<Driver> {
        let loaded = self.resolver.loaded(name)?;
        let mut files = self.resolver.closure(name);
        for companion in presets::companions(name) {
            files.extend(self.resolver.closure(companion));
        }
        let aliases: BTreeSet<&String> = loaded
            .info
            .aliases
            .iter()
            .filter(|alias| alias::is_modalias(alias))
            .collect();
        Some(Driver {
            name: name.into(),
            class: self.classes.get(name).copied()?,
            files: files.into_iter().collect(),
            aliases: aliases.into_iter().cloned().collect(),
        })
    }
}
