//! The segment with the device drivers from which stage 1 chooses.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;

use storeboot_cpio::{Metadata, WriteError, Writer};
use storeboot_index::DRIVERS_PATH;

use crate::Error;
use crate::modules::DriverSet;

/// Bytes of all its files.
pub(crate) fn content_size(drivers: &DriverSet) -> Result<u64, Error> {
    let modules = drivers.modules.iter();
    let mut size = modules.map(|module| module.data.len() as u64).sum();
    for firmware in &drivers.firmware {
        let metadata = fs::metadata(&firmware.path);
        size += metadata.map_err(Error::read(&firmware.path))?.len();
    }
    Ok(size)
}

/// The archive that goes behind stage 1's own: the list of drivers, the modules and the firmware. What is written is
/// not compressed.
pub(crate) fn write(drivers: &DriverSet, out: impl Write) -> Result<(), Error> {
    let failed = |source| Error::Archive {
        archive: "the device drivers".into(),
        source,
    };
    let mut archive = Writer::new(out);
    for folder in folders(drivers) {
        let added = archive.directory(folder, &Metadata::directory());
        added.map_err(failed)?;
    }
    let text = drivers.drivers.to_string();
    let list = [(DRIVERS_PATH, text.as_bytes())];
    let files = drivers.drivers.files.iter().map(String::as_str);
    let data = drivers.modules.iter().map(|module| module.data.as_slice());
    for (path, bytes) in list.into_iter().chain(files.zip(data)) {
        let size = bytes.len() as u64;
        let added = archive.file(path, &Metadata::file(), size, bytes);
        added.map_err(failed)?;
    }
    for firmware in &drivers.firmware {
        let read = |error| Error::read(&firmware.path)(error);
        let file = File::open(&firmware.path).map_err(read)?;
        let size = file.metadata().map_err(read)?.len();
        archive
            .file(&firmware.name, &Metadata::file(), size, file)
            .map_err(|error| match error {
                WriteError::Read { source, .. } => read(source),
                other => failed(other),
            })?;
    }
    archive.finish().map(drop).map_err(failed)
}

/// Every folder that a file is in, parents first: the kernel makes none by itself.
fn folders(drivers: &DriverSet) -> BTreeSet<&str> {
    let list = &drivers.drivers;
    let files = list.files.iter().chain(&list.firmware);
    let paths = files.map(String::as_str).chain([DRIVERS_PATH]);
    paths.flat_map(parents).collect()
}

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}
