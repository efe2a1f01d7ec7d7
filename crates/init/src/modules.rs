//! Kernel modules.

use crate::console::Console;
use crate::paths::{c_path, rooted};
use crate::sys::{self, Errno, Open};

/// Loads the modules in the given order.
///
/// A module that does not load gets a message and is skipped: it may be for hardware that is missing, and a step that
/// needs it reports that later.
pub(crate) fn load(modules: &[impl AsRef<str>], console: &Console) {
    for module in modules {
        let module = rooted(module.as_ref());
        match load_one(&module) {
            Ok(()) => console.step(format_args!("loaded {module}")),
            Err(Errno::EEXIST) => {
                console.step(format_args!("{module} is part of the kernel already"))
            }
            Err(Errno::ENODEV) => {
                console.info(&format_args!("{module} finds no device that it is for"))
            }
            Err(errno) => console.warning(&format_args!(
                "cannot load {module}: {errno}{}",
                hint(errno)
            )),
        }
    }
}

fn load_one(path: &str) -> Result<(), Errno> {
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
