//! The device drivers of an initrd, which stage 1 loads for the devices that it finds.

mod lookup;
mod parse;
mod write;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

pub use lookup::Lookup;

/// The path of the list of drivers in the initrd, without the leading slash.
pub const DRIVERS_PATH: &str = "storeboot/drivers";
/// The first line of every list of drivers: the format's name and version.
pub const DRIVERS_HEADER: &str = "storeboot-drivers 1";
/// The longest list of drivers that is read, in bytes. All network and disk drivers of Debian's kernels need a tenth.
pub const MAX_DRIVERS_TEXT: usize = 4 << 20;
/// The most drivers that a list may have.
pub const MAX_DRIVERS: usize = 1 << 12;
/// The most module files, and the most firmware files, that a list may have.
pub const MAX_DRIVER_FILES: usize = 1 << 14;
/// The most aliases that all drivers may have together.
pub const MAX_ALIASES: usize = 1 << 16;
/// The longest alias in bytes, and the longest modalias that a [`Lookup`] looks at.
pub const MAX_ALIAS: usize = 1024;

/// Drivers that stage 1 loads when it finds their devices, or on demand.
///
/// The list's form is [`DRIVERS_HEADER`] and one fact on each line. `file` and `firmware` name a file in the initrd.
/// `driver` gives a driver's class, its name, and the numbers of its module files in the order of loading; each must be
/// listed before. Every `alias` is one of the driver above it.
///
/// ```
/// use storeboot_index::{Class, Driver, Drivers, Lookup};
///
/// let drivers = Drivers {
///     files: vec!["storeboot/modules/mii.ko".into(), "storeboot/modules/e100.ko".into()],
///     firmware: vec!["lib/firmware/e100/d101m_ucode.bin".into()],
///     drivers: vec![Driver {
///         name: "e100".into(),
///         class: Class::Network,
///         files: vec![0, 1],
///         aliases: vec!["pci:v00008086d00001229sv*sd*bc02sc00i*".into()],
///     }],
/// };
/// drivers.check()?;
/// let text = drivers.to_string();
/// assert_eq!(
///     text,
///     "storeboot-drivers 1\n\
///      file storeboot/modules/mii.ko\n\
///      file storeboot/modules/e100.ko\n\
///      firmware lib/firmware/e100/d101m_ucode.bin\n\
///      driver network e100 0 1\n\
///      alias pci:v00008086d00001229sv*sd*bc02sc00i*\n"
/// );
/// assert_eq!(Drivers::parse(text.as_bytes())?, drivers);
///
/// let lookup = Lookup::new(&drivers);
/// assert_eq!(lookup.drivers("pci:v00008086d00001229sv00001AF4sd00001100bc02sc00i00"), [0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drivers {
    /// Module files, as paths inside the initrd.
    pub files: Vec<String>,
    /// Firmware files, as paths inside the initrd. Stage 1 removes them with the module files.
    pub firmware: Vec<String>,
    /// The drivers, each name once.
    pub drivers: Vec<Driver>,
}

/// One driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The module's name as the kernel writes it, with `_` and never `-`.
    pub name: String,
    /// What it is for.
    pub class: Class,
    /// Positions in [`Drivers::files`] in the order of loading, at least one: what the module needs, then its own file,
    /// then what it needs to be of use.
    pub files: Vec<usize>,
    /// Shell patterns of the modaliases of its devices, see [`glob::matches`](crate::glob::matches). A driver without
    /// any is loaded in any case, unless its class is [`Class::Named`].
    pub aliases: Vec<String>,
}

/// What a driver is for.
///
/// ```
/// use storeboot_index::Class;
/// assert_eq!("network".parse(), Ok(Class::Network));
/// assert_eq!(Class::Named.to_string(), "named");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Finds further devices, such as network cards and disks.
    Bus,
    /// A network card, or a part of one.
    Network,
    /// A disk, or what disks hang on.
    Disk,
    /// No device: a protocol or a file system, which is loaded by its name when it is needed.
    Named,
}

impl Class {
    /// Every class, for tests.
    pub const ALL: [Self; 4] = [Self::Bus, Self::Network, Self::Disk, Self::Named];

    /// The class's name in the list.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bus => "bus",
            Self::Network => "network",
            Self::Disk => "disk",
            Self::Named => "named",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error of a name that no [`Class`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownClass;

impl fmt::Display for UnknownClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the classes are `bus`, `network`, `disk` and `named`")
    }
}

impl core::error::Error for UnknownClass {}

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, UnknownClass> {
        Self::ALL
            .into_iter()
            .find(|class| class.name() == name)
            .ok_or(UnknownClass)
    }
}

#[cfg(test)]
mod tests;
