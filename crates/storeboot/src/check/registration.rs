//! Reads which store paths a netboot directory holds, from the registration that Nix will read on the booted system.

use std::path::{Path, PathBuf};

use storeboot_closure::{Closure, StoreDir, read_registration};

use super::overlay::{OverlayStore, damaged};
use super::verify::fault;
use crate::initrd::segments::{self, InitrdFile, Search};
use crate::layout::direct::UNPACKED_STORE;
use crate::manifest::{Image, Manifest};
use crate::{Cancel, Error, REGISTRATION, folder};

/// Bytes that are kept of a registration: more than are read of any.
const REGISTRATION_MAX: u64 = (512 << 20) + 1;

/// The closure that a netboot directory boots. Nobody need have looked at its files before.
pub(super) fn of_folder(
    folder: &Path,
    manifest: &Manifest,
    cancel: &Cancel,
) -> Result<Closure, Error> {
    let images = manifest.images.iter();
    let beside = images.filter(|image| image.offset.is_none());
    let names = beside.map(|image| image.path.as_str());
    for name in names.chain(["initrd"]) {
        folder::open_file(folder, name)?;
    }
    if manifest.images.is_empty() {
        return of_archives(&folder.join("initrd"));
    }
    let places = image_places(folder, manifest);
    let places = places
        .iter()
        .map(|(file, offset)| (file.as_path(), *offset));
    of_store(folder, &mut OverlayStore::open(places, cancel)?)
}

/// The files of a netboot directory's store images, and at which byte of them each begins.
pub(super) fn image_places(folder: &Path, manifest: &Manifest) -> Vec<(PathBuf, u64)> {
    let place = |image: &Image| match image.offset {
        Some(offset) => (folder.join("initrd"), offset),
        None => (folder.join(&image.path), 0),
    };
    manifest.images.iter().map(place).collect()
}

/// The closure that the store images at `path` hold.
pub(super) fn of_store(path: &Path, store: &mut OverlayStore) -> Result<Closure, Error> {
    let Some(content) = store.registration().map_err(damaged(path))? else {
        return Err(fault(
            path,
            format!(
                "it has no {REGISTRATION}; where a store is several images, name the netboot directory that holds them"
            ),
        ));
    };
    Ok(read_registration(content, &StoreDir::default())?)
}

/// The closure whose files are members of the initrd's archives, in layout `direct`.
fn of_archives(initrd: &Path) -> Result<Closure, Error> {
    let folders = [StoreDir::default().to_string(), UNPACKED_STORE.to_owned()];
    let names = folders.map(|folder| format!("{}/{REGISTRATION}", folder.trim_start_matches('/')));
    let search = Search {
        names: &[names[0].as_bytes(), names[1].as_bytes()],
        keep: REGISTRATION_MAX,
    };
    let found = match segments::read(initrd, Some(search))? {
        InitrdFile::Initrd(_, found) => found,
        InitrdFile::Image(_) => None,
    };
    match found {
        Some(found) => Ok(read_registration(&*found.start, &StoreDir::default())?),
        None => Err(fault(initrd, format!("it has no {REGISTRATION}"))),
    }
}
