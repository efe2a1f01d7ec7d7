//! Puts files together that are larger than a member of an archive may be.
//!
//! In layout `direct`, the kernel unpacks such a file as an empty one of mode [`UNFINISHED`], and its data as parts in
//! a folder of its own, with a list of their offsets. Each part is removed after it is copied, so the file takes no
//! more memory than its data and one part. The file has a hole where there is no part.
//!
//! Lists and parts may come from any archive of the initrd. So each directory of a path is opened by itself, without
//! following a link, and only an unfinished file is written to.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use storeboot_index::{LIST, MAX_LIST, PARTS_PATH, Part, PartedFile, UNFINISHED};

use crate::cleanup;
use crate::console::Console;
use crate::error::Error;
use crate::paths::{c_path, read_all, rooted};
use crate::store::MTIME;
use crate::sys::{self, Errno, Fd, FileKind, Open, Stat};
use crate::write_at::write_all_at;

/// How much is copied at once.
const BUFFER: usize = 256 << 10;

/// Puts all large files of the store at this place together, and removes their parts.
pub(crate) fn put_together(store: &str, console: &Console) -> Result<(), Error> {
    put_together_in(&rooted(PARTS_PATH), store, console)
}

fn put_together_in(parts: &str, store: &str, console: &Console) -> Result<(), Error> {
    let unusable = |path: &str| {
        let path = path.to_string();
        move |errno| Error::Directory { path, errno }
    };
    let folder = match c_path(parts).and_then(|path| sys::open(&path, Open::Directory)) {
        Err(Errno::ENOENT) => return Ok(()),
        opened => opened.map_err(unusable(parts))?,
    };
    let mut putting = Putting {
        store: c_path(store)
            .and_then(|path| sys::open(&path, Open::Directory))
            .map_err(unusable(store))?,
        place: store,
        buffer: alloc::vec![0; BUFFER],
        console,
    };
    let mut failed = None;
    let listed = sys::for_each_entry(&folder, |name| {
        let path = format!("{parts}/{}", name.to_string_lossy());
        let one = sys::open_at(&folder, name, Open::Directory)
            .map_err(unusable(&path))
            .and_then(|one| putting.file(&one, &path));
        one.map_err(|error| {
            failed = Some(error);
            Errno::EIO
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    listed.map_err(unusable(parts))?;
    // Only now, since removing disturbs the listing. Little is left by then.
    let (outer, name) = parts.rsplit_once('/').unwrap_or_default();
    if let (Ok(outer), Ok(name)) = (c_path(outer), c_path(name))
        && let Ok(outer) = sys::open(&outer, Open::Directory)
    {
        cleanup::remove(&outer, &name);
    }
    Ok(())
}

struct Putting<'a> {
    store: Fd,
    /// Its path, for messages.
    place: &'a str,
    buffer: Vec<u8>,
    console: &'a Console,
}

impl Putting<'_> {
    /// Puts one file together from an open folder, whose path is for messages.
    fn file(&mut self, folder: &Fd, path: &str) -> Result<(), Error> {
        let list = list(folder).map_err(|errno| Error::Read {
            path: format!("{path}/{LIST}"),
            errno,
        })?;
        let file = PartedFile::parse(&list).map_err(|error| Error::BadList {
            path: format!("{path}/{LIST}"),
            error,
        })?;
        let name = format!("{}/{}", self.place, String::from_utf8_lossy(&file.path));
        let failed = |errno| Error::NotPutTogether {
            file: name.clone(),
            errno,
            room: sys::room(folder).ok(),
        };
        let (outer, own_name) = self.outer(&file.path).map_err(failed)?;
        let stat = sys::lstat_at(&outer, &own_name).map_err(failed)?;
        if !is_unfinished(&stat) {
            self.console.info(&format_args!(
                "{name} comes from another archive in the initrd; its parts are not used"
            ));
            return Ok(());
        }
        let target = sys::open_at(&outer, &own_name, Open::Write).map_err(failed)?;
        target.set_size(file.size).map_err(failed)?;
        for (number, part) in file.parts.iter().enumerate() {
            self.part(folder, number, part, &target)
                .map_err(|fault| match fault {
                    Fault::Failed(errno) => failed(errno),
                    Fault::Size(found) => Error::PartMissing {
                        file: name.clone(),
                        part: format!("{path}/{number}"),
                        found,
                        expected: part.size,
                        room: sys::room(folder).ok(),
                    },
                })?;
        }
        let like = Stat {
            mode: file.mode().into(),
            modified: MTIME,
            ..stat
        };
        sys::make_alike_at(&outer, &own_name, &like).map_err(failed)?;
        let (size, count) = (file.size, file.parts.len());
        self.console.step(format_args!(
            "put {name} together, {size} bytes of {count} parts"
        ));
        Ok(())
    }

    /// Copies one part to its place and removes it.
    fn part(&mut self, folder: &Fd, number: usize, part: &Part, target: &Fd) -> Result<(), Fault> {
        let name = c_path(&number.to_string())?;
        match sys::lstat_at(folder, &name) {
            Ok(stat) if stat.kind != FileKind::File => return Err(Fault::Size(None)),
            Ok(stat) if stat.size != part.size => return Err(Fault::Size(Some(stat.size))),
            Err(Errno::ENOENT) => return Err(Fault::Size(None)),
            stat => drop(stat?),
        }
        let source = sys::open_at(folder, &name, Open::Read)?;
        let mut done = 0;
        while done < part.size {
            let want = usize::try_from(part.size - done).map_or(BUFFER, |left| left.min(BUFFER));
            let bytes = &mut self.buffer[..want];
            let len = source.read_at(bytes, done)?;
            if len == 0 {
                return Err(Fault::Size(Some(done)));
            }
            write_all_at(target, &bytes[..len], part.offset + done)?;
            done += len as u64;
        }
        drop(source);
        // This gives its memory back before the next one is copied.
        sys::remove_at(folder, &name, false)?;
        Ok(())
    }

    /// Opens the directory that a file of the store is in, and returns it with the file's name there.
    fn outer(&self, path: &[u8]) -> Result<(Fd, CString), Errno> {
        let c_name = |name: &[u8]| CString::new(name).map_err(|_| Errno::EINVAL);
        let mut outer = sys::open_at(&self.store, c".", Open::Directory)?;
        let mut names = path.split(|&byte| byte == b'/');
        let last = names.next_back().unwrap_or_default();
        for name in names {
            outer = sys::open_at(&outer, &c_name(name)?, Open::Directory)?;
        }
        Ok((outer, c_name(last)?))
    }
}

/// Why a part is not in its place.
enum Fault {
    /// It has this many bytes, or is missing.
    Size(Option<u64>),
    /// It cannot be read or written.
    Failed(Errno),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

/// Whether it is as it was packed, or half done. A file that another archive has put in its place is not.
fn is_unfinished(stat: &Stat) -> bool {
    stat.kind == FileKind::File && stat.mode & 0o7777 == u32::from(UNFINISHED)
}

/// Reads the list in an open folder.
fn list(folder: &Fd) -> Result<Vec<u8>, Errno> {
    let name = c_path(LIST)?;
    if sys::lstat_at(folder, &name)?.kind != FileKind::File {
        return Err(Errno::EINVAL);
    }
    read_all(&sys::open_at(folder, &name, Open::Read)?, MAX_LIST)
}

#[cfg(test)]
mod tests;
