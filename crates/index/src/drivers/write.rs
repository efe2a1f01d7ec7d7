//! Checks and writes a list of [`Drivers`].

use alloc::collections::BTreeSet;
use core::fmt;

use super::{
    DRIVERS_HEADER, Driver, Drivers, MAX_ALIAS, MAX_ALIASES, MAX_DRIVER_FILES, MAX_DRIVERS,
    MAX_DRIVERS_TEXT,
};
use crate::{Reason, path, write};

/// The longest name of a module: `MODULE_NAME_LEN` is 64 less the size of a pointer.
const MAX_NAME: usize = 56;

impl Drivers {
    /// Checks that this list's text can be parsed again. Call it before you write the text.
    pub fn check(&self) -> Result<(), Reason> {
        if self.drivers.len() > MAX_DRIVERS {
            return Err(Reason::TooManyDrivers);
        }
        if self.files.len().max(self.firmware.len()) > MAX_DRIVER_FILES {
            return Err(Reason::TooManyDriverFiles);
        }
        let aliases: usize = self.drivers.iter().map(|driver| driver.aliases.len()).sum();
        if aliases > MAX_ALIASES {
            return Err(Reason::TooManyAliases);
        }
        let mut paths = self.files.iter().chain(&self.firmware);
        if let Some(path) = paths.find(|path| !path::is_valid(path)) {
            return Err(Reason::Path(path.clone()));
        }
        let mut names = BTreeSet::new();
        for driver in &self.drivers {
            self.check_driver(driver)?;
            if !names.insert(&driver.name) {
                return Err(Reason::DriverTwice(driver.name.clone()));
            }
        }
        match write::length(self) {
            length if length > MAX_DRIVERS_TEXT => Err(Reason::DriversTooLong(length)),
            _ => Ok(()),
        }
    }

    fn check_driver(&self, driver: &Driver) -> Result<(), Reason> {
        let Driver {
            name,
            files,
            aliases,
            ..
        } = driver;
        let graphic = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        if name.is_empty() || name.len() >= MAX_NAME || !name.bytes().all(graphic) {
            return Err(Reason::DriverName(name.chars().take(MAX_NAME).collect()));
        }
        if files.is_empty() {
            return Err(Reason::Fields("driver"));
        }
        if let Some(file) = files.iter().find(|file| **file >= self.files.len()) {
            return Err(Reason::FileNumber(*file as u64));
        }
        // Spaces are fine: an alias is the rest of its line.
        let fits = |alias: &&alloc::string::String| {
            let printable = alias.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            printable && (1..=MAX_ALIAS).contains(&alias.len())
        };
        match aliases.iter().find(|alias| !fits(alias)) {
            Some(alias) => Err(Reason::Alias(alias.chars().take(200).collect())),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Drivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{DRIVERS_HEADER}")?;
        for path in &self.files {
            writeln!(f, "file {path}")?;
        }
        for path in &self.firmware {
            writeln!(f, "firmware {path}")?;
        }
        for driver in &self.drivers {
            write!(f, "driver {} {}", driver.class, driver.name)?;
            for file in &driver.files {
                write!(f, " {file}")?;
            }
            f.write_str("\n")?;
            for alias in &driver.aliases {
                writeln!(f, "alias {alias}")?;
            }
        }
        Ok(())
    }
}
