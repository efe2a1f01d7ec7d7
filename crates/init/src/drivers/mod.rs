//! Device drivers, which are loaded for the devices that are there.
//!
//! The initrd has the drivers of many cards, of which a machine needs a few. `/storeboot/drivers` lists them with the
//! modaliases of their devices. There is no `modprobe`: what the kernel would have it load, such as a protocol at the
//! first use of its sockets, has to be loaded by its name before.

mod devices;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use storeboot_index::{Class, DRIVERS_PATH, Driver, Drivers, Lookup, MAX_DRIVERS_TEXT};

use crate::console::Console;
use crate::error::Error;
use crate::modules;
use crate::paths::{c_path, read_file, rooted};
use crate::sys::{self, Errno, Open};

/// How often new devices are looked for: they appear without a sign, USB devices some seconds after their bus.
const INTERVAL: Duration = Duration::from_millis(100);

/// Reads the list of drivers. Empty in an initrd that has none: all may be built into the kernel, or another stage 1
/// loads them.
pub(crate) fn read() -> Result<Drivers, Error> {
    let path = rooted(DRIVERS_PATH);
    match read_file(&path, MAX_DRIVERS_TEXT) {
        Ok(text) => Drivers::parse(&text).map_err(Error::BadDrivers),
        Err(Errno::ENOENT) => Ok(Drivers::default()),
        Err(errno) => Err(Error::Read { path, errno }),
    }
}

/// The drivers of the initrd, and which of them are loaded.
pub(crate) struct DeviceDrivers<'a> {
    drivers: &'a Drivers,
    lookup: Lookup<'a>,
    /// Where sysfs is mounted.
    sysfs: String,
    /// The modaliases that were looked up.
    seen: BTreeSet<String>,
    /// Drivers that are to be loaded, and what for: a device, or nothing.
    wanted: BTreeMap<usize, String>,
    /// Which drivers were loaded, or could not be.
    done: Vec<bool>,
    /// As `done`, for module files.
    files_done: Vec<bool>,
}

impl<'a> DeviceDrivers<'a> {
    /// Nothing is loaded yet.
    pub(crate) fn new(drivers: &'a Drivers) -> Self {
        Self {
            drivers,
            lookup: Lookup::new(drivers),
            sysfs: "/sys".into(),
            seen: BTreeSet::new(),
            wanted: BTreeMap::new(),
            done: vec![false; drivers.drivers.len()],
            files_done: vec![false; drivers.files.len()],
        }
    }

    /// Loads the drivers of one class, and of buses, for all devices that are there; then for those that appear, until
    /// nothing new does. Returns how many drivers it loaded. A module that does not load gets a message.
    ///
    /// Some devices appear later: call it again, or use [`load_until`](Self::load_until).
    pub(crate) fn load_for_devices(&mut self, class: Class, console: &Console) -> usize {
        self.load_all(class, &mut |file, purpose| {
            modules::load_one(file, purpose, console);
        })
    }

    /// As [`load_for_devices`](Self::load_for_devices), again and again until `is_enough` says so, or the time since
    /// the kernel started is `deadline`. Returns whether it is enough.
    pub(crate) fn load_until(
        &mut self,
        class: Class,
        deadline: Duration,
        console: &Console,
        mut is_enough: impl FnMut() -> bool,
    ) -> bool {
        loop {
            self.load_for_devices(class, console);
            if is_enough() {
                return true;
            }
            let left = deadline.saturating_sub(sys::boot_time());
            if left.is_zero() {
                return false;
            }
            sys::sleep(INTERVAL.min(left));
        }
    }

    /// Loads a driver, a protocol or a file system by the name of its module, such as `af_packet` or `ext4`. Returns
    /// whether the list has it; if not, it is part of the kernel, or is missing. One that does not load gets a message.
    pub(crate) fn load_by_name(&mut self, name: &str, console: &Console) -> bool {
        let position = self
            .drivers
            .drivers
            .iter()
            .position(|driver| driver.name == name);
        if let Some(at) = position {
            self.load(at, "", &mut |file, purpose| {
                modules::load_one(file, purpose, console);
            });
        }
        position.is_some()
    }

    /// Removes the files of modules and firmware, some 40 MB of memory. What is loaded stays.
    ///
    /// Call it when the links are up: some drivers send firmware to their card only then (bnx2x, r8169).
    pub(crate) fn forget(self, console: &Console) {
        let count = remove_files("/", self.drivers);
        console.step(format_args!("removed {count} files of drivers"));
    }

    fn load_all(&mut self, class: Class, load: &mut dyn FnMut(&str, &dyn fmt::Display)) -> usize {
        let fits = |driver: &Driver| driver.class == class || driver.class == Class::Bus;
        for (at, driver) in self.drivers.drivers.iter().enumerate() {
            if fits(driver) && driver.aliases.is_empty() {
                self.wanted.entry(at).or_default();
            }
        }
        let mut count = 0;
        loop {
            self.find_devices();
            let pending = self.wanted.iter().find(|(at, _)| {
                let is_done = self.done.get(**at).copied().unwrap_or(true);
                !is_done && self.drivers.drivers.get(**at).is_some_and(fits)
            });
            let Some((&at, device)) = pending else {
                return count;
            };
            let device = device.clone();
            self.load(at, &device, load);
            count += 1;
        }
    }

    /// Looks up what is new below `/sys`.
    fn find_devices(&mut self) {
        let Self {
            sysfs,
            lookup,
            seen,
            wanted,
            ..
        } = self;
        devices::for_each(sysfs, |modalias, device| {
            if seen.contains(modalias) {
                return;
            }
            seen.insert(modalias.into());
            for driver in lookup.drivers(modalias) {
                wanted.entry(driver).or_insert_with(|| device.into());
            }
        });
    }

    /// Loads those files of a driver that were not yet.
    fn load(&mut self, at: usize, device: &str, load: &mut dyn FnMut(&str, &dyn fmt::Display)) {
        let Some(driver) = self.drivers.drivers.get(at) else {
            return;
        };
        if let Some(done) = self.done.get_mut(at) {
            *done = true;
        }
        let purpose = match device {
            "" => format!(" for {}", driver.name),
            device => format!(" for {}, which {device} needs", driver.name),
        };
        for file in &driver.files {
            if let (Some(path), Some(done)) = (
                self.drivers.files.get(*file),
                self.files_done.get_mut(*file),
            ) && !core::mem::replace(done, true)
            {
                load(path, &purpose);
            }
        }
    }
}

/// Removes the files of the list from a folder, and the folders that are empty then. Returns the number of files. It
/// only saves memory, so a file that cannot be removed is no error.
fn remove_files(root: &str, drivers: &Drivers) -> usize {
    let Ok(root) = c_path(root).and_then(|root| sys::open(&root, Open::Directory)) else {
        return 0;
    };
    let remove = |path: &str, is_directory| {
        c_path(path).and_then(|path| sys::remove_at(&root, &path, is_directory))
    };
    let mut count = 0;
    for path in drivers.files.iter().chain(&drivers.firmware) {
        if remove(path, false).is_ok() {
            count += 1;
        }
        let mut folder = path.as_str();
        while let Some((above, _)) = folder.rsplit_once('/') {
            if remove(above, true).is_err() {
                break;
            }
            folder = above;
        }
    }
    count
}

#[cfg(test)]
mod tests;
