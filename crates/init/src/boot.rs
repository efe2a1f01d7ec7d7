//! From the first instruction of stage 1 to the first of stage 2.

use core::convert::Infallible;
use core::ffi::CStr;

use storeboot_index::Layout;

use crate::context::Context;
use crate::error::Error;
use crate::layout::fetch::Rest;
use crate::layout::{self, Attached, direct};
use crate::paths::STORE;
use crate::sys::{self, Open};
use crate::{added_files, changes, cleanup, memory, modules, parts, recorder, root, stage2, store};

/// Boots. Returns only what went wrong.
pub(crate) fn boot(args: &[&CStr], env: &[&CStr]) -> Result<Infallible, Error> {
    root::mount_kernel()?;
    let context = Context::read()?;
    let console = &context.console;
    // Checked first, although it is used last: nothing else is mended so easily.
    let init = context.cmdline.init.as_deref().ok_or(Error::NoInit)?;

    memory::check(context.index.memory, console);
    modules::load(&context.index.modules, console);
    let rest = make_root(&context)?;
    stage2::check(init)?;
    if let Some(rest) = rest {
        rest.start()?;
    }
    if context.cmdline.profile {
        recorder::start(console);
    }
    console.info(&format_args!(
        "layout {}, starting {init}",
        context.index.layout
    ));
    console.step(format_args!("leaving stage 1"));
    stage2::start(init, args, env)
}

/// Makes `/` the booted system's root, with the store in it and no more of the initrd than that needs. Returns what is
/// still to be fetched.
fn make_root(context: &Context) -> Result<Option<Rest<'_>>, Error> {
    let console = &context.console;
    let read_only = context.cmdline.read_only_store;
    if context.index.layout == Layout::Direct {
        context.nothing_to_verify();
        parts::put_together(STORE, console)?;
        changes::warn_unpacked(console);
        direct::enter(console)?;
        if read_only {
            store::make_read_only("", console)?;
        }
        return Ok(None);
    }
    let Attached { images, rest } = layout::attach_images(context)?;
    root::make_empty()?;
    if context.index.layout == Layout::Fetch {
        layout::fetch::keep::take_along(console);
    }
    let rootfs = root::enter()?;
    root::mount_run(console);
    // Files for the store from other archives need a place that can be written to, for now.
    let adds_to_store = sys::open_at(&rootfs, c"nix/store", Open::Directory).is_ok();
    let images_only = read_only && !adds_to_store;
    match images_only {
        true => store::mount_images_only("", &images, console)?,
        false => store::mount("", &images, console)?,
    }
    changes::warn(&rootfs, console);
    // After the store is mounted, so that files for the store get into it.
    added_files::copy(&rootfs, console);
    if read_only && !images_only {
        store::make_read_only("", console)?;
    }
    // What is mounted keeps its file, with or without a name.
    cleanup::empty(&rootfs);
    console.step(format_args!("removed the unpacked initrd"));
    Ok(rest)
}
