//! Kernel modules.

use core::fmt;

use crate::console::Console;
use crate::paths::{c_path, rooted};
use crate::sys::{self, Errno, Open};

/// Loads the modules in the given order.
///
/// A module that does not load gets a message and is skipped: it may be for hardware that is missing, and a step that
/// needs it reports that later.
pub(crate) fn load(modules: &[impl AsRef<str>], console: &Console) {
    for module in modules {
        load_one(module.as_ref(), &"", console);
    }
}

/// Loads one module, with a message as [`load`]'s. `purpose` stands behind the module's path.
pub(crate) fn load_one(module: &str, purpose: &dyn fmt::Display, console: &Console) {
    let module = rooted(module);
    match insert(&module) {
        Ok(()) => console.step(format_args!("loaded {module}{purpose}")),
        Err(Errno::EEXIST) => console.step(format_args!("{module} is part of the kernel already")),
        Err(Errno::ENODEV) => console.info(&format_args!(
            "{module} finds no device that it is for{purpose}"
        )),
        Err(errno) => console.warning(&format_args!(
            "cannot load {module}{purpose}: {errno}{}",
            hint(errno)
        )),
    }
}

fn insert(path: &str) -> Result<(), Errno> {
    sys::finit_module(&sys::open(&c_path(path)?, Open::Read)?)
}

/// Explains error numbers whose text misleads.
fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => "; either the file or a symbol from another module is missing",
        Errno::ENOEXEC | Errno::EINVAL => "; it is made for another kernel than the one that runs",
        Errno::ENOKEY | Errno::EKEYREJECTED => "; this kernel takes signed modules only",
        _ => "",
    }
}
