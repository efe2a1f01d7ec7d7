//! The booted system's `/nix/store`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use storeboot_index::Image;

use crate::block_device::BlockDevice;
use crate::console::Console;
use crate::directories::make_directory;
use crate::error::Error;
use crate::image::compression_option;
use crate::kernel_version;
use crate::paths::{STORE, UNPACKED_STORE, c_path};
use crate::sys::{self, Errno, MountFlags};

/// The modification time of every file in a Nix store: seconds since 1970, and nanoseconds.
pub(crate) const MTIME: (i64, u32) = (1, 0);
/// Where the images are mounted, as in nixpkgs.
const LOWER: &str = "/nix/.ro-store";
/// The longest mount options that the kernel reads: a page, less the NUL at its end.
const OPTIONS: usize = 4095;
/// The first Linux whose squashfs has the option `threads=`.
const THREADS: (u32, u32) = (6, 2);

/// Mounts the images, a tmpfs, and an overlay of them all as `/nix/store` of the system whose root is at `root`. For
/// `/`, `root` is empty.
pub(crate) fn mount(
    root: &str,
    images: &[(&Image, BlockDevice)],
    console: &Console,
) -> Result<(), Error> {
    let [lower, writable, store] =
        [LOWER, "/nix/.rw-store", STORE].map(|place| [root, place].concat());
    make_directory(&[root, "/nix"].concat())?;
    let places = mount_images(&lower, images, console)?;
    let [upper, work] = ["/store", "/work"].map(|place| [&writable, place].concat());
    make_directory(&writable)?;
    mount_at("tmpfs", &writable, "tmpfs", MountFlags::NONE, "mode=0755").map_err(failed(
        "a tmpfs",
        &writable,
        "CONFIG_TMPFS",
    ))?;
    for place in [&upper, &work, &store] {
        make_directory(place)?;
    }
    let options = format!(
        "lowerdir={},upperdir={upper},workdir={work}",
        places.join(":")
    );
    mount_overlay(&store, &options, places.len(), console)
}

/// Mounts the images alone as `/nix/store`, as [`mount`] does with more: there is nothing that could be written to.
pub(crate) fn mount_images_only(
    root: &str,
    images: &[(&Image, BlockDevice)],
    console: &Console,
) -> Result<(), Error> {
    let [lower, store] = [LOWER, STORE].map(|place| [root, place].concat());
    make_directory(&[root, "/nix"].concat())?;
    mount_read_only(&lower, images, console)?;
    make_directory(&store)?;
    mount_at(&lower, &store, "", MountFlags::BIND, "").map_err(failed("the store", &store, ""))?;
    console.step(format_args!("mounted {store}, which is read-only"));
    Ok(())
}

/// Mounts the images so that all their store paths are at `place`, read-only.
pub(crate) fn mount_read_only(
    place: &str,
    images: &[(&Image, BlockDevice)],
    console: &Console,
) -> Result<(), Error> {
    let places = mount_images(place, images, console)?;
    if places.len() < 2 {
        return Ok(());
    }
    make_directory(place)?;
    let options = format!("lowerdir={}", places.join(":"));
    mount_overlay(place, &options, places.len(), console)
}

/// Mounts each image, and returns the mount points.
fn mount_images(
    place: &str,
    images: &[(&Image, BlockDevice)],
    console: &Console,
) -> Result<Vec<String>, Error> {
    let places = places(place, images.len());
    let release = sys::kernel_release();
    for ((image, device), place) in images.iter().zip(&places) {
        make_directory(place)?;
        let needs = format!(
            "CONFIG_SQUASHFS and {}",
            compression_option(&image.superblock)
        );
        mount_image(&device.path, place, &release).map_err(|errno| match errno {
            Errno::EIO if image.verity.is_some() => Error::ImageNotVerified {
                name: image.path.clone(),
            },
            errno => failed(&format!("store image {}", image.path), place, &needs)(errno),
        })?;
        console.step(format_args!("mounted {} at {place}", image.path));
    }
    Ok(places)
}

/// Mounts an image, with the wished options if the kernel takes them.
fn mount_image(device: &str, place: &str, release: &str) -> Result<(), Errno> {
    let mount = |options| mount_at(device, place, "squashfs", MountFlags::READ_ONLY, options);
    match wishes(release) {
        None => mount(""),
        // A kernel whose squashfs was built for one way of unpacking refuses the option.
        Some(options) => match mount(options) {
            Err(Errno::EINVAL) => mount(""),
            done => done,
        },
    }
}

/// The options that have the kernel unpack blocks on all processors; NixOS's kernel does not by default. Older kernels
/// would log an error about an unknown option.
fn wishes(release: &str) -> Option<&'static str> {
    let knows = kernel_version::version(release).is_some_and(|version| version >= THREADS);
    knows.then_some("threads=multi")
}

fn mount_overlay(
    place: &str,
    options: &str,
    images: usize,
    console: &Console,
) -> Result<(), Error> {
    if options.len() > OPTIONS {
        return Err(Error::TooManyImages(images));
    }
    mount_at("overlay", place, "overlay", MountFlags::NONE, options).map_err(failed(
        "the overlay",
        place,
        "CONFIG_OVERLAY_FS",
    ))?;
    console.step(format_args!("mounted {place}: {options}"));
    Ok(())
}

/// Moves the unpacked store of layout `direct` to `place`, by a bind mount.
pub(crate) fn move_unpacked(place: &str) -> Result<(), Error> {
    for (source, target, kind, flags, what, needs) in [
        (UNPACKED_STORE, place, "", MountFlags::BIND, "the store", ""),
        // systemd makes all mounts shared, so a mount over the old place would appear over the new one too.
        (
            "",
            place,
            "",
            MountFlags::PRIVATE,
            "the store, private,",
            "",
        ),
        // A stage 1 that leaves rootfs deletes all files on its device, also through a bind mount: this hides them.
        (
            "tmpfs",
            UNPACKED_STORE,
            "tmpfs",
            MountFlags::NONE,
            "a tmpfs",
            "CONFIG_TMPFS",
        ),
    ] {
        mount_at(source, target, kind, flags, "").map_err(failed(what, target, needs))?;
    }
    Ok(())
}

/// Makes the store of the system whose root is at `root` read-only for everyone.
pub(crate) fn make_read_only(root: &str, console: &Console) -> Result<(), Error> {
    let store = [root, STORE].concat();
    for (flags, what) in [
        (MountFlags::BIND, "the store"),
        (MountFlags::BIND_READ_ONLY, "the read-only store"),
    ] {
        mount_at(&store, &store, "", flags, "").map_err(failed(what, &store, ""))?;
    }
    console.step(format_args!("made {store} read-only"));
    Ok(())
}

/// The mount point of each image: the place itself if there is only one.
fn places(place: &str, count: usize) -> Vec<String> {
    match count {
        1 => alloc::vec![place.into()],
        _ => (0..count)
            .map(|number| format!("{place}{number}"))
            .collect(),
    }
}

fn failed(what: &str, place: &str, needs: &str) -> impl FnOnce(Errno) -> Error {
    let (what, place, needs) = (what.to_string(), place.to_string(), needs.to_string());
    move |errno| Error::Mount {
        what,
        place,
        needs,
        errno,
    }
}

fn mount_at(
    source: &str,
    place: &str,
    kind: &str,
    flags: MountFlags,
    options: &str,
) -> Result<(), Errno> {
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
        assert_eq!(places("/nix/.ro-store", 1), ["/nix/.ro-store"]);
        assert_eq!(places("/r", 2), ["/r0", "/r1"]);
    }

    #[test]
    fn only_kernels_that_know_of_it_are_asked_for_threads() {
        for release in ["6.2.0", "6.12.95+deb12-cloud-amd64", "7.0-rc1"] {
            assert_eq!(wishes(release), Some("threads=multi"), "{release}");
        }
        for release in ["6.1.0-50-cloud-amd64", "5.15.0", "odd"] {
            assert_eq!(wishes(release), None, "{release}");
        }
    }

    #[test]
    fn as_many_images_fit_as_an_index_may_list() {
        let room = |count| {
            let lower = places("/nix/.ro-store", count).join(":");
            OPTIONS - lower.len().min(OPTIONS)
        };
        let rest = "lowerdir=,upperdir=/nix/.rw-store/store,workdir=/nix/.rw-store/work";
        assert!(room(storeboot_index::MAX_IMAGES) >= rest.len());
        assert_eq!(room(400), 0);
    }
}
