//! A disk that keeps the images between boots.
//!
//! They are in the folder [`FOLDER`] of its file system, each under its SHA-256. What is there is checked chunk by
//! chunk, so that only what is missing is fetched. The disk is read-only once all is there, and stays mounted: the
//! booted system has it at [`PLACE`].

mod trouble;

use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;

use storeboot_index::hex::Hex;
use storeboot_index::{Chunks, Class, Image};

use super::files::{Files, right_chunks};
use crate::console::Console;
use crate::directories::make_directories;
use crate::disk::{self, Disk, Kind, Wanted};
use crate::drivers::DeviceDrivers;
use crate::mib::MiB;
use crate::paths::{NEW_ROOT, c_path};
use crate::sys::{self, Errno, Fd, FileKind, MountFlags, Open};
use crate::write_at::write_all_at;
pub(super) use trouble::Trouble;

/// The folder of the images on the disk.
const FOLDER: &str = "storeboot/images";
/// Where the booted system has the disk.
const PLACE: &str = "/nix/.store-disk";
/// Where the disk is mounted until then.
const FIRST_PLACE: &str = "/storeboot/disk";
/// Where it is mounted in an initrd with another stage 1, which takes `/run` along to the booted system.
const PLACE_OF_ANOTHER: &str = "/run/storeboot/disk";
/// How long the disk may take to show up.
const SHOW_UP: Duration = Duration::from_secs(30);
/// What stays free on the disk beside the images, for its file system's own lists.
const BESIDE: u64 = 1 << 20;

/// A mounted disk, and what it has of the images.
pub(super) struct Kept<'a> {
    images: &'a [Image],
    disk: Disk,
    place: &'static str,
    folder: Fd,
    /// Why nothing can be written, if so.
    read_only: Option<Errno>,
    /// The file of each image, if there is one.
    files: Vec<Option<Fd>>,
    /// For each chunk of each image, whether it is right.
    right: Vec<Vec<bool>>,
}

impl<'a> Kept<'a> {
    /// Finds and mounts the disk that the command line names, and checks what it has.
    pub(super) fn open(
        word: &str,
        images: &'a [Image],
        chunks: &Chunks,
        drivers: &mut DeviceDrivers<'_>,
        console: &Console,
    ) -> Result<Self, Trouble> {
        let wanted = Wanted::parse(word).ok_or_else(|| Trouble::Word(word.into()))?;
        let disk = wait_for(wanted, drivers, console)?;
        let path = disk.path.clone();
        let Some(kind) = disk.filesystem.as_ref().map(|found| found.kind) else {
            return Err(Trouble::Unknown(path));
        };
        drivers.load_by_name(kind.name(), console);
        let place = match sys::process_id() {
            1 => FIRST_PLACE,
            _ => PLACE_OF_ANOTHER,
        };
        let read_only = mount(&path, kind, place)?;
        let folder = open_folder(place, read_only)
            .map_err(|errno| match read_only {
                Some(errno) => Trouble::Write { path, errno },
                None => Trouble::Folder { path, errno },
            })
            .inspect_err(|_| unmount(place))?;
        console.step(format_args!("mounted {} ({kind}) at {place}", disk.path));
        let opened = Self {
            images,
            disk,
            place,
            folder,
            read_only,
            files: Vec::new(),
            right: Vec::new(),
        };
        Ok(opened.checked(chunks, console))
    }

    /// Checks what is there.
    fn checked(mut self, chunks: &Chunks, console: &Console) -> Self {
        let how = match self.read_only {
            None => Open::ReadWrite,
            Some(_) => Open::Read,
        };
        for (image, hashes) in self.images.iter().zip(chunks.images()) {
            let file = name(image).and_then(|name| open_file(&self.folder, &name, how));
            // Whatever is wrong with a file, it is written anew.
            let file = file.ok();
            let right = file.as_ref().and_then(|file| {
                console.info(&format_args!(
                    "checking {} on {}",
                    image.path, self.disk.path
                ));
                right_chunks(file, image, hashes, |_, _| Ok(())).ok()
            });
            self.right
                .push(right.unwrap_or_else(|| alloc::vec![false; hashes.len()]));
            self.files.push(file);
        }
        console.info(&format_args!(
            "{} has {} of the {} of the store",
            self.disk.path,
            MiB(super::bytes(self.images, &self.right)),
            MiB(super::total(self.images))
        ));
        self
    }

    /// Whether nothing has to be fetched.
    pub(super) fn is_whole(&self) -> bool {
        self.right.iter().flatten().all(|right| *right)
    }

    /// For each chunk of each image, whether it is there.
    pub(super) fn right(&self) -> &[Vec<bool>] {
        &self.right
    }

    /// Makes room for what is missing, and hands out the files to write it to.
    pub(super) fn prepare(&mut self, console: &Console) -> Result<Files, Trouble> {
        if let Some(errno) = self.read_only {
            return Err(self.not_written(errno));
        }
        self.make_room(console)?;
        for (image, file) in self.images.iter().zip(&mut self.files) {
            let path = || self.disk.path.clone();
            let made = name(image).and_then(|name| match file.take() {
                Some(file) => Ok(file),
                None => create_file(&self.folder, &name),
            });
            let reserved = made.and_then(|file| reserve(&file, image.size).map(|()| file));
            *file = Some(reserved.map_err(|errno| match errno {
                Errno::EFBIG => Trouble::TooLarge {
                    path: path(),
                    size: image.size,
                },
                errno => Trouble::Write {
                    path: path(),
                    errno,
                },
            })?);
        }
        // Each open file has a second number: one for writing, which the download has, one that stays here.
        self.open_all(Open::ReadWrite)
    }

    /// Compares the room that the disk has with the need, and removes images of other builds if it has to.
    fn make_room(&self, console: &Console) -> Result<(), Trouble> {
        let failed = |errno| self.not_written(errno);
        let mut need = BESIDE;
        for (image, file) in self.images.iter().zip(&self.files) {
            let there = match file {
                Some(file) => file.stat().map_err(failed)?.allocated,
                None => 0,
            };
            need = need.saturating_add(image.size.saturating_sub(there));
        }
        let free = || {
            sys::room(&self.folder)
                .map_err(failed)
                .map(|room| room.free)
        };
        if free()? < need {
            self.remove_others(console);
        }
        let free = free()?;
        if free < need {
            let path = self.disk.path.clone();
            return Err(Trouble::Full { path, need, free });
        }
        Ok(())
    }

    /// Removes the images of other builds.
    fn remove_others(&self, console: &Console) {
        let own: Vec<CString> = self
            .images
            .iter()
            .filter_map(|image| name(image).ok())
            .collect();
        let mut others: Vec<CString> = Vec::new();
        let _ = sys::for_each_entry(&self.folder, |name| {
            if is_image(name) && !own.iter().any(|own| own.as_c_str() == name) {
                others.push(name.into());
            }
            Ok(())
        });
        for name in others {
            if sys::remove_at(&self.folder, &name, false).is_ok() {
                console.info(&format_args!(
                    "removed {} of another build from {}",
                    name.to_string_lossy(),
                    self.disk.path
                ));
            }
        }
    }

    /// Waits until all is on the disk, makes it read-only, and hands out the files to read.
    pub(super) fn finish(&mut self, console: &Console) -> Result<Files, Trouble> {
        if self.read_only.is_some() {
            return self.open_all(Open::Read);
        }
        let mut written = self.files.iter().flatten();
        written
            .try_for_each(Fd::sync)
            .and_then(|()| self.folder.sync())
            .map_err(|errno| self.not_written(errno))?;
        let files = self.open_all(Open::Read)?;
        // A file that is open for writing would keep the disk from being read-only.
        self.files.clear();
        let place = c_path(self.place);
        let done =
            place.and_then(|place| sys::mount(c"", &place, c"", MountFlags::NOW_READ_ONLY, c""));
        match done {
            Ok(()) => console.step(format_args!("{} is read-only now", self.disk.path)),
            Err(errno) => {
                console.warning(&format_args!("{} stays writable: {errno}", self.disk.path))
            }
        }
        Ok(files)
    }

    fn open_all(&self, how: Open) -> Result<Files, Trouble> {
        let open = |image| name(image).and_then(|name| open_file(&self.folder, &name, how));
        let files: Result<Vec<Fd>, Errno> = self.images.iter().map(open).collect();
        files.map(Files).map_err(|errno| Trouble::Folder {
            path: self.disk.path.clone(),
            errno,
        })
    }

    /// The trouble with a chunk that could not be written.
    pub(super) fn not_written(&self, errno: Errno) -> Trouble {
        let path = self.disk.path.clone();
        Trouble::Write { path, errno }
    }

    /// Copies the right chunks to other files, leaves the disk, and returns which chunks those are.
    pub(super) fn rescue(self, chunks: &Chunks, to: &Files) -> Result<Vec<Vec<bool>>, Errno> {
        let mut rescued = Vec::new();
        let sources = self.images.iter().zip(chunks.images()).zip(&self.files);
        for (((image, hashes), file), to) in sources.zip(&to.0) {
            rescued.push(match file {
                Some(file) => right_chunks(file, image, hashes, |offset, chunk| {
                    write_all_at(to, chunk, offset)
                })?,
                None => Vec::new(),
            });
        }
        let place = self.place;
        drop(self);
        unmount(place);
        Ok(rescued)
    }
}

/// Takes the disk along to the new root, if there is one.
pub(crate) fn take_along(console: &Console) {
    let moved = (|| {
        let from = c_path(FIRST_PLACE)?;
        // Without a disk there is no such folder.
        sys::stat(&from)?;
        let to = [NEW_ROOT, PLACE].concat();
        make_directories(&to).map_err(|_| Errno::ENOENT)?;
        sys::mount(&from, &c_path(&to)?, c"", MountFlags::MOVE, c"")
    })();
    if moved.is_ok() {
        console.step(format_args!("the disk of the store is at {PLACE}"));
    }
}

/// Waits until the disk shows up.
fn wait_for(
    wanted: Wanted,
    drivers: &mut DeviceDrivers<'_>,
    console: &Console,
) -> Result<Disk, Trouble> {
    let mut found = None;
    let start = sys::boot_time();
    drivers.load_until(Class::Disk, start + SHOW_UP, console, || {
        found = disk::find(&wanted);
        found.is_some()
    });
    found.ok_or(Trouble::Missing {
        wanted,
        seconds: SHOW_UP.as_secs(),
    })
}

/// Mounts the disk, for writing if it can be. Returns why it cannot, if so.
fn mount(path: &str, kind: Kind, place: &str) -> Result<Option<Errno>, Trouble> {
    let failed = |errno| Trouble::Mount {
        path: path.into(),
        kind,
        errno,
    };
    make_directories(place).map_err(|_| failed(Errno::ENOENT))?;
    let mount = |flags| {
        let (source, place, kind) = (c_path(path)?, c_path(place)?, c_path(kind.name())?);
        sys::mount(&source, &place, &kind, flags, c"")
    };
    match mount(MountFlags::NO_DEV_NO_SUID) {
        Ok(()) => Ok(None),
        // Such a disk may still have all that is needed.
        Err(errno @ (Errno::EROFS | Errno::EACCES)) => match mount(MountFlags::READ_ONLY) {
            // The kernel says `EACCES` of a device that is write-protected.
            Ok(()) => Ok(Some(Errno::EROFS)),
            Err(_) => Err(failed(errno)),
        },
        Err(errno) => Err(failed(errno)),
    }
}

fn unmount(place: &str) {
    // If it stays mounted, it is out of sight once the system starts.
    let _ = c_path(place).and_then(|place| sys::unmount(&place));
}

/// Opens the folder of the images, and makes it if it can.
fn open_folder(place: &str, read_only: Option<Errno>) -> Result<Fd, Errno> {
    let path = format!("{place}/{FOLDER}");
    if read_only.is_none() {
        for end in path
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([path.len()])
        {
            let part = path.get(..end).unwrap_or_default();
            if part.len() > place.len() {
                sys::mkdir(&c_path(part)?)?;
            }
        }
    }
    sys::open(&c_path(&path)?, Open::Directory)
}

fn name(image: &Image) -> Result<CString, Errno> {
    c_path(&format!("{}.squashfs", Hex(&image.sha256)))
}

/// Whether a file may be an image: no other is ever removed.
fn is_image(name: &CStr) -> bool {
    let hash = name.to_bytes().strip_suffix(b".squashfs");
    hash.is_some_and(|hash| hash.len() == 64 && hash.iter().all(u8::is_ascii_hexdigit))
}

/// Opens a regular file.
fn open_file(folder: &Fd, name: &CStr, how: Open) -> Result<Fd, Errno> {
    match sys::lstat_at(folder, name)?.kind {
        FileKind::File => sys::open_at(folder, name, how),
        _ => Err(Errno::EINVAL),
    }
}

/// Makes a file, in the place of whatever is there.
fn create_file(folder: &Fd, name: &CStr) -> Result<Fd, Errno> {
    if let Err(Errno::EISDIR | Errno::EPERM) = sys::remove_at(folder, name, false) {
        sys::remove_at(folder, name, true)?;
    }
    drop(sys::create_at(folder, name)?);
    open_file(folder, name, Open::ReadWrite)
}

/// Gives a file its size and, where the file system can, its blocks: a full disk shows before the download.
fn reserve(file: &Fd, size: u64) -> Result<(), Errno> {
    if file.stat()?.size > size {
        file.set_size(size)?;
    }
    match file.allocate(size) {
        Err(Errno::EOPNOTSUPP) => file.set_size(size),
        done => done,
    }
}
