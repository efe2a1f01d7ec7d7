//! The booted system's `/nix/store`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use storeboot_index::Image;

use crate::console::Console;
use crate::error::Error;
use crate::image::{LoopDevice, compression_option};
use crate::paths::{STORE, c_path};
use crate::sys::{self, MountFlags};

/// Where what is written to the store goes, as in nixpkgs' images.
const WRITABLE: &str = "/nix/.rw-store";
/// What the kernel reads of a mount's options: a page, with the NUL at its end.
const OPTIONS: usize = 4095;

/// Mounts the images, a tmpfs, and an overlay of them all as `/nix/store`.
pub(crate) fn mount(images: &[(&Image, LoopDevice)], console: &Console) -> Result<(), Error> {
    let places = places(images.len());
    let options = overlay_options(&places)?;
    mkdir("/nix")?;
    for ((image, device), place) in images.iter().zip(&places) {
        mkdir(place)?;
        let needs = format!(
            "CONFIG_SQUASHFS and {}",
            compression_option(&image.superblock)
        );
        mount_at(&device.path, place, "squashfs", MountFlags::READ_ONLY, "").map_err(|errno| {
            Error::Mount {
                what: format!("store image {}", image.path),
                place: place.clone(),
                needs,
                errno,
            }
        })?;
        console.step(format_args!("mounted {} at {place}", image.path));
    }
    mkdir(WRITABLE)?;
    let failed = |what: &str, place: &str, needs: &str| {
        let (what, place, needs) = (what.to_string(), place.to_string(), needs.to_string());
        move |errno| Error::Mount {
            what,
            place,
            needs,
            errno,
        }
    };
    mount_at("tmpfs", WRITABLE, "tmpfs", MountFlags::NONE, "mode=0755").map_err(failed(
        "a tmpfs",
        WRITABLE,
        "CONFIG_TMPFS",
    ))?;
    for dir in ["/nix/.rw-store/store", "/nix/.rw-store/work", STORE] {
        mkdir(dir)?;
    }
    mount_at("overlay", STORE, "overlay", MountFlags::NONE, &options).map_err(failed(
        "the overlay",
        STORE,
        "CONFIG_OVERLAY_FS",
    ))?;
    console.step(format_args!("mounted {STORE}: {options}"));
    Ok(())
}

/// Makes the store read-only for everyone.
pub(crate) fn make_read_only(console: &Console) -> Result<(), Error> {
    for (flags, what) in [
        (MountFlags::BIND, "the store"),
        (MountFlags::BIND_READ_ONLY, "the read-only store"),
    ] {
        mount_at(STORE, STORE, "", flags, "").map_err(|errno| Error::Mount {
            what: what.into(),
            place: STORE.into(),
            needs: String::new(),
            errno,
        })?;
    }
    console.step(format_args!("made {STORE} read-only"));
    Ok(())
}

/// Where each image is mounted: nixpkgs' place if it is the only one.
fn places(count: usize) -> Vec<String> {
    match count {
        1 => alloc::vec!["/nix/.ro-store".into()],
        _ => (0..count)
            .map(|number| format!("/nix/.ro-store{number}"))
            .collect(),
    }
}

fn overlay_options(lower: &[String]) -> Result<String, Error> {
    let lower_dirs = lower.join(":");
    let options =
        format!("lowerdir={lower_dirs},upperdir={WRITABLE}/store,workdir={WRITABLE}/work");
    if options.len() > OPTIONS {
        Err(Error::TooManyImages(lower.len()))
    } else {
        Ok(options)
    }
}

fn mkdir(path: &str) -> Result<(), Error> {
    c_path(path)
        .and_then(|c| sys::mkdir(&c))
        .map_err(|errno| Error::Directory {
            path: path.into(),
            errno,
        })
}

fn mount_at(
    source: &str,
    place: &str,
    kind: &str,
    flags: MountFlags,
    options: &str,
) -> Result<(), sys::Errno> {
    sys::mount(
        &c_path(source)?,
        &c_path(place)?,
        &c_path(kind)?,
        flags,
        &c_path(options)?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_image_is_mounted_where_nixpkgs_has_it() {
        assert_eq!(
            overlay_options(&places(1)).unwrap(),
            "lowerdir=/nix/.ro-store,upperdir=/nix/.rw-store/store,workdir=/nix/.rw-store/work"
        );
        assert_eq!(places(2), ["/nix/.ro-store0", "/nix/.ro-store1"]);
    }

    #[test]
    fn as_many_images_fit_as_an_index_may_list() {
        assert!(overlay_options(&places(storeboot_index::MAX_IMAGES)).is_ok());
        assert!(matches!(
            overlay_options(&places(400)),
            Err(Error::TooManyImages(400))
        ));
    }
}
