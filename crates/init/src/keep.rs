//! Keeping what somebody added to the initrd.
//!
//! The kernel unpacks all archives of an initrd into rootfs. Where the booted system has another root, the files that
//! are not stage 1's own are copied there: keys of the machine, an `authorized_keys`. Each is removed from rootfs
//! once it is copied, so this takes no more memory than the largest of them. A hard link becomes a file of its own.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::console::Console;
use crate::paths::LEFTOVERS;
use crate::sys::{self, Errno, Fd, FileKind, Open, Stat};

/// What the booted system has from the kernel.
const KERNEL: [&CStr; 3] = [c"dev", c"proc", c"sys"];
/// How deep directories may lie in each other: two open files and a few KiB of the stack each.
const DEPTH: usize = 200;
/// How much is copied at once; a symbolic link's target fits too.
const BUFFER: usize = 1 << 16;
/// As many failures are told one by one: on a serial console, each takes its time.
const WARNINGS: u64 = 50;

/// Copies what is not stage 1's own from rootfs to `/`. What cannot be copied is no reason not to boot.
pub(crate) fn keep(rootfs: &Fd, console: &Console) {
    let mut failures = 0_u64;
    let mut lost = |path: &[u8], errno| {
        failures += 1;
        if failures <= WARNINGS {
            let path = String::from_utf8_lossy(path);
            console.warning(&format_args!(
                "cannot bring /{path} of the initrd into the booted system: {errno}"
            ));
        }
    };
    let kept = rootfs
        .stat()
        .and_then(|stat| {
            // Opened anew: listing goes on where it ended, and rootfs is listed again to be emptied.
            let rootfs = sys::open_at(rootfs, c".", Open::Directory)?;
            let root = sys::open(c"/", Open::Directory)?;
            Ok(copy_all(&rootfs, &root, stat.device, &mut lost))
        })
        .unwrap_or_else(|errno| {
            lost(b"", errno);
            0
        });
    if failures > WARNINGS {
        let more = failures - WARNINGS;
        console.warning(&format_args!("and {more} more"));
    }
    console.step(format_args!(
        "kept {kept} files of other archives in the initrd"
    ));
}

/// Copies from one open directory to another, and returns how many files that were. `lost` learns what failed.
fn copy_all(from: &Fd, to: &Fd, device: (u32, u32), lost: &mut dyn FnMut(&[u8], Errno)) -> u64 {
    let mut copying = Copying {
        device,
        path: Vec::new(),
        buffer: alloc::vec![0; BUFFER],
        files: 0,
        lost,
    };
    copying.content(from, to, 0);
    copying.files
}

struct Copying<'a> {
    /// Only what is on this file system is copied.
    device: (u32, u32),
    /// Where we are, for messages.
    path: Vec<u8>,
    buffer: Vec<u8>,
    files: u64,
    lost: &'a mut dyn FnMut(&[u8], Errno),
}

impl Copying<'_> {
    /// Copies everything in a directory.
    fn content(&mut self, from: &Fd, to: &Fd, depth: usize) {
        let listed = sys::for_each_entry(from, |name| {
            if depth == 0 && LEFTOVERS.iter().chain(&KERNEL).any(|&own| own == name) {
                return Ok(());
            }
            let parent = self.path.len();
            if depth > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.to_bytes());
            if let Err(errno) = self.entry(from, to, name, depth) {
                (self.lost)(&self.path, errno);
            }
            self.path.truncate(parent);
            Ok(())
        });
        if let Err(errno) = listed {
            (self.lost)(&self.path, errno);
        }
    }

    fn entry(&mut self, from: &Fd, to: &Fd, name: &CStr, depth: usize) -> Result<(), Errno> {
        let stat = sys::lstat_at(from, name)?;
        if stat.device != self.device {
            return Ok(());
        }
        if stat.kind == FileKind::Directory {
            return self.directory(from, to, name, &stat, depth);
        }
        let mut made = self.file(from, to, name, &stat);
        if made == Err(Errno::EEXIST) {
            // Something of the store. As in layout `direct`, what is added wins.
            sys::remove_at(to, name, false)?;
            made = self.file(from, to, name, &stat);
        }
        if let Err(errno) = made.and_then(|()| sys::make_alike_at(to, name, &stat)) {
            // Half a file may do more harm than none.
            let _ = sys::remove_at(to, name, false);
            return Err(errno);
        }
        self.files += 1;
        // If this fails, the memory is given back with all of rootfs.
        let _ = sys::remove_at(from, name, false);
        Ok(())
    }

    fn directory(
        &mut self,
        from: &Fd,
        to: &Fd,
        name: &CStr,
        stat: &Stat,
        depth: usize,
    ) -> Result<(), Errno> {
        if depth == DEPTH {
            return Err(Errno::ENAMETOOLONG);
        }
        if depth == 0 && is_the_kernels(from, name, stat) {
            return Ok(());
        }
        let made = sys::make_directory_at(to, name);
        if made != Err(Errno::EEXIST) {
            made?;
        }
        let inner = sys::open_at(from, name, Open::Directory)?;
        let target = sys::open_at(to, name, Open::Directory)?;
        self.content(&inner, &target, depth + 1);
        // At last, since what is made in it changes its time. One that was there before stays as it was.
        match made {
            Ok(()) => sys::make_alike_at(to, name, stat),
            Err(_) => Ok(()),
        }
    }

    /// Makes anything but a directory, under a free name.
    fn file(&mut self, from: &Fd, to: &Fd, name: &CStr, stat: &Stat) -> Result<(), Errno> {
        match stat.kind {
            FileKind::File => {
                let target = sys::create_at(to, name)?;
                let source = sys::open_at(from, name, Open::Read)?;
                loop {
                    match source.read(&mut self.buffer)? {
                        0 => return Ok(()),
                        len => write_all(&target, &self.buffer[..len])?,
                    }
                }
            }
            FileKind::Link => {
                let len = sys::read_link_at(from, name, &mut self.buffer)?;
                *self.buffer.get_mut(len).ok_or(Errno::ENAMETOOLONG)? = 0;
                let target = CStr::from_bytes_until_nul(&self.buffer).map_err(|_| Errno::EINVAL)?;
                sys::make_link_at(to, name, target)
            }
            FileKind::Other => sys::make_node_at(to, name, stat),
            FileKind::Directory => Err(Errno::EISDIR),
        }
    }
}

/// Whether it is the empty `/root` that every kernel's built-in initramfs has: nobody put that there to be found.
fn is_the_kernels(rootfs: &Fd, name: &CStr, stat: &Stat) -> bool {
    let is_empty = || {
        let dir = sys::open_at(rootfs, name, Open::Directory)?;
        sys::for_each_entry(&dir, |_| Err(Errno::ENOTEMPTY))
    };
    name == c"root" && stat.mode & 0o7777 == 0o700 && is_empty().is_ok()
}

fn write_all(file: &Fd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match file.write(bytes)? {
            0 => return Err(Errno::EIO),
            len => bytes = &bytes[len..],
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
    use std::path::{Path, PathBuf};
    use std::string::ToString;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::paths::c_path;

    /// Two directories, removed when dropped.
    struct Roots {
        base: PathBuf,
        old: PathBuf,
        new: PathBuf,
    }

    impl Roots {
        fn new(name: &str) -> Self {
            let name = std::format!("storeboot-keep-{name}-{}", std::process::id());
            let base = std::env::temp_dir().join(name);
            let (old, new) = (base.join("old"), base.join("new"));
            fs::create_dir_all(&old).unwrap();
            fs::create_dir_all(&new).unwrap();
            Self { base, old, new }
        }

        /// Copies, and returns how many files that were and what was lost.
        fn copy(&self) -> (u64, Vec<(String, Errno)>) {
            let mut lost = Vec::new();
            let old = open(&self.old);
            let device = old.stat().unwrap().device;
            let files = copy_all(&old, &open(&self.new), device, &mut |path, errno| {
                lost.push((String::from_utf8_lossy(path).into_owned(), errno));
            });
            (files, lost)
        }
    }

    impl Drop for Roots {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.base).unwrap();
        }
    }

    fn open(path: &Path) -> Fd {
        sys::open(&c_path(path.to_str().unwrap()).unwrap(), Open::Directory).unwrap()
    }

    fn write(path: PathBuf, content: &[u8], mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_str().unwrap().into())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_arrive_as_they_were_and_leave_rootfs() {
        let roots = Roots::new("alike");
        let (old, new) = (&roots.old, &roots.new);
        let large: Vec<u8> = (0..3 * BUFFER + 1).map(|i| (i / 3) as u8).collect();
        write(old.join("root/.ssh/authorized_keys"), b"key", 0o600);
        write(old.join("etc/tools/large"), &large, 0o4755);
        write(old.join("etc/tools/empty"), b"", 0o000);
        for (folder, mode) in [
            ("root", 0o700),
            ("root/.ssh", 0o700),
            ("etc/tools", 0o1777),
            ("empty", 0o750),
        ] {
            fs::create_dir_all(old.join(folder)).unwrap();
            fs::set_permissions(old.join(folder), Permissions::from_mode(mode)).unwrap();
        }
        symlink("tools/large", old.join("etc/link")).unwrap();
        symlink("/nowhere", old.join("dangling")).unwrap();
        let pipe = Stat {
            mode: 0o10_640,
            represents: (0, 0),
            ..open(old).stat().unwrap()
        };
        sys::make_node_at(&open(old), c"pipe", &pipe).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        for timed in ["etc/tools/large", "etc/tools"] {
            let file = fs::File::open(old.join(timed)).unwrap();
            file.set_modified(long_ago).unwrap();
        }

        assert_eq!(roots.copy(), (6, Vec::new()));
        assert_eq!(names(new), ["dangling", "empty", "etc", "pipe", "root"]);
        assert_eq!(fs::read(new.join("etc/link")).unwrap(), large);
        assert_eq!(
            fs::read(new.join("root/.ssh/authorized_keys")).unwrap(),
            b"key"
        );
        let mode = |name| fs::symlink_metadata(new.join(name)).unwrap().mode() & 0o7777;
        let modes = ["root", "root/.ssh", "root/.ssh/authorized_keys"].map(mode);
        assert_eq!(modes, [0o700, 0o700, 0o600]);
        let modes = ["etc/tools", "etc/tools/large", "etc/tools/empty", "empty"].map(mode);
        assert_eq!(modes, [0o1777, 0o4755, 0, 0o750]);
        for timed in ["etc/tools/large", "etc/tools"] {
            let metadata = fs::metadata(new.join(timed)).unwrap();
            assert_eq!(metadata.modified().unwrap(), long_ago);
        }
        let target = fs::read_link(new.join("dangling")).unwrap();
        assert_eq!(target, Path::new("/nowhere"));
        let kind = fs::symlink_metadata(new.join("pipe")).unwrap().file_type();
        assert!(kind.is_fifo());
        // Directories are all that is left.
        assert_eq!(names(old), ["empty", "etc", "root"]);
        assert!(names(&old.join("etc/tools")).is_empty());
    }

    #[test]
    fn what_is_stage_1s_own_or_the_kernels_is_no_file_of_the_user() {
        let roots = Roots::new("own");
        let old = &roots.old;
        for own in LEFTOVERS.iter().chain(&KERNEL) {
            write(old.join(own.to_str().unwrap()).join("file"), b"", 0o644);
            write(old.join("kept").join(own.to_str().unwrap()), b"", 0o644);
        }
        fs::create_dir(old.join("root")).unwrap();
        fs::set_permissions(old.join("root"), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(roots.copy(), (7, Vec::new()));
        assert_eq!(names(&roots.new), ["kept"]);

        // With other permissions, somebody made it.
        fs::set_permissions(old.join("root"), Permissions::from_mode(0o755)).unwrap();
        roots.copy();
        assert_eq!(names(&roots.new), ["kept", "root"]);

        write(old.join("elsewhere"), b"", 0o644);
        let (old, new) = (open(old), open(&roots.new));
        let files = copy_all(&old, &new, (u32::MAX, 0), &mut |_, _| ());
        assert_eq!(files, 0);
    }

    #[test]
    fn what_is_there_is_merged() {
        let roots = Roots::new("merged");
        write(roots.new.join("nix/store/a/old"), b"old", 0o444);
        write(roots.new.join("nix/store/a/changed"), b"store", 0o444);
        fs::set_permissions(roots.new.join("nix"), Permissions::from_mode(0o711)).unwrap();
        write(roots.old.join("nix/store/a/new"), b"new", 0o444);
        write(roots.old.join("nix/store/a/changed"), b"user", 0o640);
        assert_eq!(roots.copy(), (2, Vec::new()));
        let folder = roots.new.join("nix/store/a");
        assert_eq!(names(&folder), ["changed", "new", "old"]);
        assert_eq!(fs::read(folder.join("changed")).unwrap(), b"user");
        let metadata = fs::metadata(roots.new.join("nix")).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o711);
    }

    #[test]
    fn what_is_lost_is_named_and_the_rest_is_kept() {
        let roots = Roots::new("lost");
        write(roots.old.join("a/b/file"), b"", 0o644);
        write(roots.old.join("a/c/file"), b"", 0o644);
        write(roots.old.join("d"), b"", 0o644);
        // Not a directory, not even for a link to one; and a directory where there should be a file.
        fs::create_dir_all(roots.new.join("a")).unwrap();
        fs::create_dir_all(roots.base.join("outside")).unwrap();
        symlink(roots.base.join("outside"), roots.new.join("a/b")).unwrap();
        fs::create_dir_all(roots.new.join("d")).unwrap();
        let mut deep = roots.old.clone();
        for _ in 0..=DEPTH {
            deep.push("x");
        }
        write(deep.join("file"), b"", 0o644);

        let (files, mut lost) = roots.copy();
        lost.sort_by_key(|(path, _)| path.clone());
        assert_eq!(files, 1);
        assert!(roots.new.join("a/c/file").exists());
        assert!(names(&roots.base.join("outside")).is_empty());
        let paths: Vec<_> = lost.iter().map(|(path, _)| path.as_str()).collect();
        let deep = ["x/".repeat(DEPTH), "x".to_string()].concat();
        assert_eq!(paths, ["a/b", "d", &deep]);
        let errors = [lost[0].1, lost[1].1, lost[2].1];
        assert_eq!(errors, [Errno::ENOTDIR, Errno::EISDIR, Errno::ENAMETOOLONG]);
    }
}
