//! Parses a list of [`Drivers`].

use alloc::string::String;
use alloc::vec::Vec;

use super::{
    DRIVERS_HEADER, Driver, Drivers, MAX_ALIASES, MAX_DRIVER_FILES, MAX_DRIVERS, MAX_DRIVERS_TEXT,
};
use crate::parse::{ascii, fields, number, push, valid};
use crate::{ParseError, Reason};

impl Drivers {
    /// Parses a list. Hostile input is safe: this never panics, and takes at most a few times the text's memory.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let whole = |reason| ParseError { line: 0, reason };
        if text.len() > MAX_DRIVERS_TEXT {
            return Err(whole(Reason::DriversTooLong(text.len())));
        }
        let mut drivers = Self::default();
        let mut aliases = 0;
        let mut lines = text.split(|&b| b == b'\n');
        // What follows the last line feed is empty unless the text was cut off.
        let rest = lines.next_back().unwrap_or_default();
        for (number, line) in (1..).zip(lines) {
            let here = |reason| ParseError {
                line: number,
                reason,
            };
            let line = ascii(line).map_err(here)?;
            match number {
                1 if line == DRIVERS_HEADER => {}
                1 => return Err(here(Reason::NoDriversHeader)),
                _ => drivers.line(line, &mut aliases).map_err(here)?,
            }
        }
        if !rest.is_empty() || text.is_empty() {
            return Err(whole(Reason::CutOff));
        }
        drivers.check().map_err(whole)?;
        Ok(drivers)
    }

    fn line(&mut self, line: &str, aliases: &mut usize) -> Result<(), Reason> {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        let too_many = Reason::TooManyDriverFiles;
        match key {
            "file" => {
                let [path] = fields("file", rest)?;
                push(&mut self.files, MAX_DRIVER_FILES, too_many, valid(path)?)
            }
            "firmware" => {
                let [path] = fields("firmware", rest)?;
                push(&mut self.firmware, MAX_DRIVER_FILES, too_many, valid(path)?)
            }
            "driver" => {
                let driver = self.driver(rest)?;
                push(
                    &mut self.drivers,
                    MAX_DRIVERS,
                    Reason::TooManyDrivers,
                    driver,
                )
            }
            "alias" => {
                *aliases += 1;
                if *aliases > MAX_ALIASES {
                    return Err(Reason::TooManyAliases);
                }
                let driver = self.drivers.last_mut().ok_or(Reason::Missing("driver"))?;
                driver.aliases.push(rest.into());
                Ok(())
            }
            _ => Err(Reason::UnknownKey(key.chars().take(40).collect())),
        }
    }

    /// The fields of a `driver`.
    fn driver(&self, rest: &str) -> Result<Driver, Reason> {
        let mut parts = rest.split(' ');
        let mut next = || parts.next().ok_or(Reason::Fields("driver"));
        let class = next()?.parse().map_err(|_| Reason::UnknownClass)?;
        let name = String::from(next()?);
        let files = parts.map(|text| {
            let file = number("file's number", text)?;
            // Numbers of listed files only: so one that does not fit an index is refused as well.
            let listed = usize::try_from(file)
                .ok()
                .filter(|at| *at < self.files.len());
            listed.ok_or(Reason::FileNumber(file))
        });
        Ok(Driver {
            name,
            class,
            files: files.collect::<Result<Vec<_>, _>>()?,
            aliases: Vec::new(),
        })
    }
}
