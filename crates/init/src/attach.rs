//! `/storeboot/attach`: makes the store available to another stage 1, such as NixOS's.
//!
//! It is the same program under another name. That stage 1 runs it once its modules are loaded.

use alloc::format;
use alloc::string::ToString;
use core::ffi::CStr;

use storeboot_index::Layout;

use crate::console;
use crate::context::Context;
use crate::directories::{make_directories, make_directory};
use crate::error::Error;
use crate::paths::{STORE, UNPACKED_STORE, c_path};
use crate::sys::{self, Errno, Open};
use crate::{layout, memory, parts, store};

/// The name that this program has when it attaches the store.
const NAME: &str = "attach";
/// What it can be asked for.
const USAGE: &str = "usage: attach [--root DIR | --store DIR]; for the devices /dev/storeboot/0, 1, ..., for all of \
                     DIR/nix/store, or for the store's paths, read-only, at DIR";
/// The folder of the links to the loop devices.
const DEVICES: &str = "/dev/storeboot";

/// What to do with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task<'a> {
    /// Make a block device of each image.
    Devices,
    /// Show what the images hold at this place, read-only.
    Store(&'a str),
    /// Make `/nix/store` of the system whose root is mounted at this place, as storeboot's own stage 1 does.
    Root(&'a str),
}

impl<'a> Task<'a> {
    /// What the arguments ask for, the program's name left out.
    fn parse(args: &[&'a CStr]) -> Option<Self> {
        match args {
            [] => Some(Self::Devices),
            [option, place] => {
                let place = place.to_str().ok()?.trim_end_matches('/');
                match option.to_bytes() {
                    _ if !place.starts_with('/') => None,
                    b"--store" => Some(Self::Store(place)),
                    b"--root" => Some(Self::Root(place)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Whether a program of this name is to attach the store.
pub(crate) fn is_meant(args: &[&CStr]) -> bool {
    let name = args.first().map(|name| name.to_bytes()).unwrap_or_default();
    name.rsplit(|&byte| byte == b'/').next() == Some(NAME.as_bytes())
}

/// Does what the arguments ask for, and ends this process: with 0, with 1 and a sentence, or with 2 and the usage.
pub(crate) fn run(args: &[&CStr]) -> ! {
    let Some(task) = Task::parse(args.get(1..).unwrap_or_default()) else {
        console::to_standard_error(format_args!("{USAGE}"));
        sys::exit(2);
    };
    match attach(task) {
        Ok(()) => sys::exit(0),
        Err(error) => {
            console::to_caller(&error);
            sys::exit(1);
        }
    }
}

fn attach(task: Task<'_>) -> Result<(), Error> {
    for (place, proof) in [
        ("/proc", c"/proc/cmdline"),
        ("/sys", c"/sys/kernel"),
        ("/dev", c"/dev/null"),
    ] {
        sys::stat(proof).map_err(|_| Error::KernelNotMounted(place))?;
    }
    let mut context = Context::read()?;
    memory::check(context.index.memory, &context.console);
    context.until_unmounted = task != Task::Devices;
    let direct = context.index.layout == Layout::Direct;
    if direct {
        context.nothing_to_verify();
    }
    match task {
        Task::Devices if direct => return Err(Error::NoDevices),
        Task::Devices => devices(&context)?,
        Task::Store(place) => {
            make_directories(place)?;
            if direct {
                move_unpacked(&context, place)?;
            } else {
                store::mount_read_only(
                    place,
                    &layout::attach_images(&context)?.images,
                    &context.console,
                )?;
            }
        }
        Task::Root(root) => {
            is_elsewhere(root)?;
            let place = [root, STORE].concat();
            make_directories(&place)?;
            let (console, read_only) = (&context.console, context.cmdline.read_only_store);
            if direct {
                move_unpacked(&context, &place)?;
                if read_only {
                    store::make_read_only(root, console)?;
                }
            } else {
                let images = layout::attach_images(&context)?.images;
                match read_only {
                    true => store::mount_images_only(root, &images, console)?,
                    false => store::mount(root, &images, console)?,
                }
            }
        }
    }
    let layout = context.index.layout;
    match task {
        Task::Devices => {
            let count = context.index.images.len();
            let console = &context.console;
            console.info(&format_args!(
                "layout {layout}, {count} devices in {DEVICES}"
            ));
        }
        Task::Store(place) => context
            .console
            .info(&format_args!("layout {layout}, the store is at {place}")),
        Task::Root(root) => {
            context.console.info(&format_args!(
                "layout {layout}, the store is at {root}{STORE}"
            ));
        }
    }
    Ok(())
}

/// Attaches the images and makes a link to each device. Does nothing if the links are there already.
fn devices(context: &Context) -> Result<(), Error> {
    make_directory(DEVICES)?;
    let folder = c_path(DEVICES).and_then(|path| sys::open(&path, Open::Directory));
    let folder = folder.map_err(unusable(DEVICES))?;
    let name = |number: usize| c_path(&number.to_string());
    let last = context.index.images.len().saturating_sub(1);
    if name(last).is_ok_and(|last| sys::lstat_at(&folder, &last).is_ok()) {
        return Ok(());
    }
    for (number, (_, device)) in layout::attach_images(context)?.images.iter().enumerate() {
        let link = name(number).and_then(|name| {
            let target = c_path(&device.path)?;
            sys::make_link_at(&folder, &name, &target)
        });
        link.map_err(|errno| Error::Link {
            path: format!("{DEVICES}/{number}"),
            errno,
        })?;
        context
            .console
            .step(format_args!("{DEVICES}/{number} is {}", device.path));
    }
    Ok(())
}

/// Moves the unpacked store to `place`, which must not be on rootfs.
fn move_unpacked(context: &Context, place: &str) -> Result<(), Error> {
    let rootfs = device("/")?;
    match sys::stat(&c_path(UNPACKED_STORE).map_err(unusable(UNPACKED_STORE))?) {
        Ok(stat) if stat.device == rootfs => {}
        Ok(_) => return Err(Error::AttachedAlready),
        Err(Errno::ENOENT) => {
            return Err(Error::StoreMissing {
                room: context.rootfs_room(),
            });
        }
        Err(errno) => return Err(unusable(UNPACKED_STORE)(errno)),
    }
    is_elsewhere(place)?;
    parts::put_together(UNPACKED_STORE, &context.console)?;
    store::move_unpacked(place)
}

/// Refuses a place on rootfs: the other stage 1 deletes all files there when it leaves it.
fn is_elsewhere(place: &str) -> Result<(), Error> {
    if device(place)? == device("/")? {
        return Err(Error::NoNewRoot(place.to_string()));
    }
    Ok(())
}

/// The file system that a path is on.
fn device(path: &str) -> Result<(u32, u32), Error> {
    let stat = c_path(path).and_then(|path| sys::stat(&path));
    Ok(stat.map_err(unusable(path))?.device)
}

fn unusable(path: &str) -> impl FnOnce(Errno) -> Error {
    let path = path.to_string();
    move |errno| Error::Directory { path, errno }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_what_is_meant() {
        assert!(is_meant(&[c"/storeboot/attach", c"--store"]));
        assert!(is_meant(&[c"attach"]));
        assert!(!is_meant(&[c"/init", c"attach"]));
        assert!(!is_meant(&[c"reattach"]));
        assert!(!is_meant(&[]));
    }

    #[test]
    fn what_is_no_task_is_refused() {
        assert_eq!(Task::parse(&[]), Some(Task::Devices));
        assert_eq!(
            Task::parse(&[c"--store", c"/sysroot/nix/.ro-store"]),
            Some(Task::Store("/sysroot/nix/.ro-store"))
        );
        assert_eq!(
            Task::parse(&[c"--root", c"/mnt-root/"]),
            Some(Task::Root("/mnt-root"))
        );
        let wrong: [&[&CStr]; 6] = [
            &[c"--store"],
            &[c"--store", c""],
            &[c"--store", c"/"],
            &[c"--root", c"relative"],
            &[c"--root", c"/a", c"/b"],
            &[c"--help"],
        ];
        for args in wrong {
            assert_eq!(Task::parse(args), None, "{args:?}");
        }
    }
}
