//! The root: mounts the kernel's file systems, and moves from rootfs to the booted system's `/`.

use alloc::string::String;
use core::ffi::CStr;

use crate::added_files;
use crate::console::Console;
use crate::error::Error;
use crate::paths::{NEW_ROOT, c_path};
use crate::sys::{self, Errno, Fd, MountFlags, Open, Stat};

/// The kernel's own file systems: mount point, type, flags, and the kernel option for it.
const KERNEL: [(&CStr, &CStr, MountFlags, &str); 3] = [
    (c"/dev", c"devtmpfs", MountFlags::NO_SUID, "CONFIG_DEVTMPFS"),
    (c"/proc", c"proc", MountFlags::PLAIN, "CONFIG_PROC_FS"),
    (c"/sys", c"sysfs", MountFlags::PLAIN, "CONFIG_SYSFS"),
];

/// Mounts `/dev`, `/proc` and `/sys`, and opens a console where the kernel opened none.
pub(crate) fn mount_kernel() -> Result<(), Error> {
    // Before everything else, so that a later failure can be reported.
    for (place, kind, flags, needs) in KERNEL {
        sys::mkdir(place).map_err(|errno| directory(place, errno))?;
        let options = if kind == c"devtmpfs" {
            c"mode=0755"
        } else {
            c""
        };
        match sys::mount(kind, place, kind, flags, options) {
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(errno) => return Err(mount_error(text(kind), place, needs, errno)),
        }
        ensure_stdio();
    }
    Ok(())
}

/// The kernel opens `/dev/console` for PID 1 only if the initrd holds it. Without this, the first files that stage 1
/// opens would become stage 2's standard input and output.
fn ensure_stdio() {
    if sys::stdio_is_open() {
        return;
    }
    let fallback = || sys::open(c"/dev/null", Open::ReadWrite);
    if let Ok(fd) = sys::open(c"/dev/console", Open::ReadWrite).or_else(|_| fallback()) {
        sys::replace_stdio(fd);
    }
}

/// Mounts an empty root at [`NEW_ROOT`].
pub(crate) fn make_empty() -> Result<(), Error> {
    let place = new_root()?;
    sys::mount(c"tmpfs", &place, c"tmpfs", MountFlags::NONE, c"mode=0755")
        .map_err(|errno| mount_error("a tmpfs".into(), &place, "CONFIG_TMPFS", errno))
}

/// Mounts rootfs itself at [`NEW_ROOT`], by a bind mount: the same files, in a mount that can be moved and that
/// `pivot_root` accepts.
pub(crate) fn make_of_rootfs() -> Result<(), Error> {
    let place = new_root()?;
    close_to_others();
    sys::mount(c"/", &place, c"", MountFlags::BIND, c"")
        .map_err(|errno| mount_error("rootfs".into(), &place, "", errno))
}

/// Takes the right to write to rootfs from other users, who have it unless an archive sets a mode.
fn close_to_others() {
    const OPEN_TO_ALL: u32 = 0o1777;
    let closed = sys::open(c"/", Open::Directory).and_then(|rootfs| {
        let stat = rootfs.stat()?;
        if stat.mode & 0o7777 != OPEN_TO_ALL {
            return Ok(());
        }
        let mode = stat.mode & !0o7777 | 0o755;
        sys::make_alike_at(&rootfs, c".", &Stat { mode, ..stat })
    });
    // A failure does no harm yet: only root runs until stage 2 starts programs of other users.
    let _ = closed;
}

/// Moves the mount at [`NEW_ROOT`] to `/`, with `/dev`, `/proc` and `/sys` in it. Returns rootfs, which no path leads
/// to any more.
pub(crate) fn enter() -> Result<Fd, Error> {
    let at = |place| move |errno| directory(place, errno);
    let rootfs = sys::open(c"/", Open::Directory).map_err(at(c"/"))?;
    for (place, ..) in KERNEL {
        let target = [NEW_ROOT, &text(place)].concat();
        let target = c_path(&target).map_err(at(place))?;
        sys::mkdir(&target).map_err(at(place))?;
        sys::mount(place, &target, c"", MountFlags::MOVE, c"")
            .map_err(|errno| mount_error(text(place), &target, "", errno))?;
    }
    sys::change_dir(&c_path(NEW_ROOT).map_err(at(c"/"))?).map_err(at(c"/"))?;
    sys::mount(c".", c"/", c"", MountFlags::MOVE, c"")
        .map_err(|errno| mount_error("the new root".into(), c"/", "", errno))?;
    sys::change_root(c".").map_err(at(c"/"))?;
    sys::change_dir(c"/").map_err(at(c"/"))?;
    Ok(rootfs)
}

/// Mounts a tmpfs at `/run`, and copies the added files of `/run` into it. Stage 2 and systemd mount one there only if
/// there is none; files that were written before would be hidden below it.
pub(crate) fn mount_run(console: &Console) {
    let run = c"/run";
    let before = sys::open(run, Open::Directory).ok();
    let mounted = sys::mkdir(run).and_then(|()| {
        let flags = MountFlags::NO_DEV_NO_SUID;
        sys::mount(c"tmpfs", run, c"tmpfs", flags, c"mode=0755")
    });
    match mounted {
        Ok(()) => {
            if let Some(before) = before {
                added_files::copy_into_mount(&before, run, console);
            }
        }
        Err(errno) => console.warning(&format_args!("cannot mount a tmpfs at /run: {errno}")),
    }
}

fn new_root() -> Result<alloc::ffi::CString, Error> {
    // An initrd that was put together by hand may lack `/storeboot`.
    for path in [c"/storeboot", c"/storeboot/root"] {
        sys::mkdir(path).map_err(|errno| directory(path, errno))?;
    }
    c_path(NEW_ROOT).map_err(|errno| directory(c"/storeboot/root", errno))
}

fn text(path: &CStr) -> String {
    path.to_string_lossy().into_owned()
}

fn directory(path: &CStr, errno: Errno) -> Error {
    Error::Directory {
        path: text(path),
        errno,
    }
}

fn mount_error(what: String, place: &CStr, needs: &str, errno: Errno) -> Error {
    Error::Mount {
        what,
        place: text(place),
        needs: needs.into(),
        errno,
    }
}
