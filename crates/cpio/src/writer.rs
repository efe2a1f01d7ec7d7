use std::io::{self, Read, Write};

use crate::header::{ALIGN, HEADER_LEN, RawHeader, padding};
use crate::name;
use crate::{FileType, Metadata, PATH_MAX, TRAILER, WriteError};

type Result<T> = std::result::Result<T, WriteError>;

/// How much of a file's data is in memory at once.
const BUFFER: usize = 128 * 1024;

/// Writes a newc archive.
///
/// Members appear in the order of the calls and get inode numbers in that order, so the same calls
/// make the same bytes. The kernel silently skips a member whose directory does not exist yet:
/// write directories before what is in them.
///
/// Names are bytes, with or without a leading slash; they are written as they are.
#[derive(Debug)]
pub struct Writer<W> {
    writer: W,
    start: u64,
    position: u64,
    ino: u32,
    buffer: Vec<u8>,
    last_directory: Option<(Vec<u8>, Metadata)>,
    broken: bool,
}

impl<W: Write> Writer<W> {
    /// Begins an archive.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            start: 0,
            position: 0,
            ino: 0,
            buffer: Vec::new(),
            last_directory: None,
            broken: false,
        }
    }

    /// Begins an archive at byte `offset` (a multiple of 4) of a larger file;
    /// [`aligned_file`](Self::aligned_file) and [`position`](Self::position) count from that file's start.
    ///
    /// ```
    /// let writer = storeboot_cpio::Writer::with_offset(Vec::new(), 1024)?;
    /// assert_eq!(writer.position(), 1024);
    /// # Ok::<(), storeboot_cpio::WriteError>(())
    /// ```
    pub fn with_offset(writer: W, offset: u64) -> Result<Self> {
        if !offset.is_multiple_of(ALIGN) {
            return Err(WriteError::BadOffset { offset });
        }
        Ok(Self {
            start: offset,
            position: offset,
            ..Self::new(writer)
        })
    }

    /// Where the next member begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Writes a directory.
    pub fn directory(&mut self, name: impl AsRef<[u8]>, meta: &Metadata) -> Result<()> {
        let name = name.as_ref();
        self.padded_directory(name, name.len() + 1, meta)?;
        self.last_directory = Some((name.to_vec(), *meta));
        Ok(())
    }

    /// Writes a symbolic link.
    pub fn symlink(
        &mut self,
        name: impl AsRef<[u8]>,
        meta: &Metadata,
        target: impl AsRef<[u8]>,
    ) -> Result<()> {
        let (name, target) = (name.as_ref(), target.as_ref());
        if target.is_empty() || target.len() > PATH_MAX || target.contains(&0) {
            return Err(WriteError::BadTarget {
                name: name::display(name),
                length: target.len(),
            });
        }
        let header = self.header(name, FileType::Symlink, meta)?;
        self.member(name, name.len() + 1, header, target.len() as u64, target)
    }

    /// Writes a character device.
    pub fn char_device(
        &mut self,
        name: impl AsRef<[u8]>,
        meta: &Metadata,
        major: u32,
        minor: u32,
    ) -> Result<()> {
        self.device(name.as_ref(), FileType::CharDevice, meta, major, minor)
    }

    /// Writes a block device.
    pub fn block_device(
        &mut self,
        name: impl AsRef<[u8]>,
        meta: &Metadata,
        major: u32,
        minor: u32,
    ) -> Result<()> {
        self.device(name.as_ref(), FileType::BlockDevice, meta, major, minor)
    }

    /// Writes a file whose data is the next `size` bytes of `data`, which must end there.
    pub fn file(
        &mut self,
        name: impl AsRef<[u8]>,
        meta: &Metadata,
        size: u64,
        data: impl Read,
    ) -> Result<()> {
        let name = name.as_ref();
        let header = self.header(name, FileType::File, meta)?;
        self.member(name, name.len() + 1, header, size, data)
    }

    /// Writes a file whose data begins at a multiple of `align` (a power of two from 4 to 4096,
    /// counted as in [`with_offset`](Self::with_offset)), and returns where that is.
    ///
    /// The name is padded with NUL bytes, at most up to [`PATH_MAX`], which is as far as the
    /// kernel reads one. Where that does not suffice, the last directory is written once more
    /// with a padded name; a reader then sees it twice, which changes nothing. A long name without a
    /// directory before it can be the error [`WriteError::CannotAlign`].
    ///
    /// ```
    /// use storeboot_cpio::{Metadata, Writer};
    ///
    /// let mut writer = Writer::new(Vec::new());
    /// let offset = writer.aligned_file("image", &Metadata::file(), 4096, 4, &b"hsqs"[..])?;
    /// assert_eq!(offset % 4096, 0);
    /// assert_eq!(&writer.finish()?[offset as usize..][..4], b"hsqs");
    /// # Ok::<(), storeboot_cpio::WriteError>(())
    /// ```
    pub fn aligned_file(
        &mut self,
        name: impl AsRef<[u8]>,
        meta: &Metadata,
        align: u64,
        size: u64,
        data: impl Read,
    ) -> Result<u64> {
        let name = name.as_ref();
        if !align.is_power_of_two() || !(ALIGN..=4096).contains(&align) {
            return Err(WriteError::BadAlign {
                name: name::display(name),
                align,
            });
        }
        // All errors come before a padding member is written.
        self.check_size(name, size)?;
        self.header(name, FileType::File, meta)?;
        self.make_room(name, align)?;
        let header = self.header(name, FileType::File, meta)?;
        let namesize = name.len() + 1 + self.name_padding(self.position, name, align);
        let offset = (self.position + (HEADER_LEN + namesize) as u64).next_multiple_of(ALIGN);
        self.member(name, namesize, header, size, data)?;
        Ok(offset)
    }

    /// Writes one file with several names. They share an inode number, and the data follows the
    /// last of them, as GNU cpio writes hard links, and as it, bsdtar and the kernel read them.
    ///
    /// ```
    /// use storeboot_cpio::{Metadata, Writer};
    ///
    /// let mut writer = Writer::new(Vec::new());
    /// writer.hard_links(&["gunzip", "zcat"], &Metadata::executable(), 4, &b"\x7fELF"[..])?;
    /// # Ok::<(), storeboot_cpio::WriteError>(())
    /// ```
    pub fn hard_links(
        &mut self,
        names: &[impl AsRef<[u8]>],
        meta: &Metadata,
        size: u64,
        data: impl Read,
    ) -> Result<()> {
        let Some((last, others)) = names.split_last() else {
            return Err(WriteError::NoNames);
        };
        let last = last.as_ref();
        self.check_size(last, size)?;
        for name in others {
            self.check(name.as_ref(), meta)?;
        }
        let header = RawHeader {
            nlink: u32::try_from(names.len()).unwrap_or(u32::MAX),
            ..self.header(last, FileType::File, meta)?
        };
        for name in others {
            self.empty(name.as_ref(), header)?;
        }
        self.member(last, last.len() + 1, header, size, data)
    }

    /// Ends the archive with its trailer. The output ends on a multiple of 4 bytes, and not on one of
    /// 512 as on tapes: nothing that reads an initrd needs that.
    pub fn finish(mut self) -> Result<W> {
        let trailer = RawHeader {
            nlink: 1,
            ..RawHeader::default()
        };
        self.empty(TRAILER, trailer)?;
        let position = self.position;
        self.writer
            .flush()
            .map_err(|source| WriteError::Write { position, source })?;
        Ok(self.writer)
    }

    fn padded_directory(&mut self, name: &[u8], namesize: usize, meta: &Metadata) -> Result<()> {
        let header = RawHeader {
            // As on most file systems: one for its name, one for its own `.`.
            nlink: 2,
            ..self.header(name, FileType::Directory, meta)?
        };
        self.member(name, namesize, header, 0, io::empty())
    }

    fn device(
        &mut self,
        name: &[u8],
        kind: FileType,
        meta: &Metadata,
        major: u32,
        minor: u32,
    ) -> Result<()> {
        let header = RawHeader {
            rmaj: major,
            rmin: minor,
            ..self.header(name, kind, meta)?
        };
        self.empty(name, header)
    }

    fn check(&self, name: &[u8], meta: &Metadata) -> Result<()> {
        name::check(name)?;
        if meta.mode & !0o7777 != 0 {
            return Err(WriteError::BadMode {
                name: name::display(name),
                mode: meta.mode,
            });
        }
        if self.broken {
            return Err(WriteError::Broken);
        }
        Ok(())
    }

    fn check_size(&self, name: &[u8], size: u64) -> Result<u32> {
        u32::try_from(size).map_err(|_| WriteError::FileTooLarge {
            name: name::display(name),
            size,
        })
    }

    /// The header of the next inode. It writes nothing, so it may be called more than once.
    fn header(&self, name: &[u8], kind: FileType, meta: &Metadata) -> Result<RawHeader> {
        self.check(name, meta)?;
        let ino = self.ino.checked_add(1);
        Ok(RawHeader {
            ino: ino.ok_or_else(|| WriteError::TooManyMembers {
                name: name::display(name),
            })?,
            mode: kind.bits() | meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            nlink: 1,
            mtime: meta.mtime,
            ..RawHeader::default()
        })
    }

    fn empty(&mut self, name: &[u8], header: RawHeader) -> Result<()> {
        self.member(name, name.len() + 1, header, 0, io::empty())
    }

    fn member(
        &mut self,
        name: &[u8],
        namesize: usize,
        header: RawHeader,
        size: u64,
        data: impl Read,
    ) -> Result<()> {
        let header = RawHeader {
            filesize: self.check_size(name, size)?,
            namesize: u32::try_from(namesize).map_err(|_| WriteError::NameTooLong {
                name: name::display(name),
                length: name.len(),
            })?,
            ..header
        };
        if self.broken {
            return Err(WriteError::Broken);
        }
        // An error between here and the end leaves a part of a member in the archive.
        self.broken = true;
        self.put(&header.to_bytes())?;
        self.put(name)?;
        let end = HEADER_LEN + namesize;
        let nuls = namesize - name.len() + padding(end as u64);
        self.put(&[0; PATH_MAX + 4][..nuls])?;
        self.copy(name, size, data)?;
        self.put(&[0; 4][..padding(self.position - self.start)])?;
        self.broken = false;
        self.ino = self.ino.max(header.ino);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        put(&mut self.writer, &mut self.position, bytes)
    }

    fn copy(&mut self, name: &[u8], size: u64, mut data: impl Read) -> Result<()> {
        if self.buffer.is_empty() {
            self.buffer.resize(BUFFER, 0);
        }
        let mut got = 0;
        loop {
            // One byte more than is left shows whether the data ends where it should.
            let want = usize::try_from(size - got).map_or(BUFFER, |left| BUFFER.min(left + 1));
            let n = match data.read(&mut self.buffer[..want]) {
                Ok(0) if got < size => {
                    let name = name::display(name);
                    return Err(WriteError::DataTooShort { name, size, got });
                }
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    let name = name::display(name);
                    return Err(WriteError::Read { name, source });
                }
            };
            got += n as u64;
            if got > size {
                let name = name::display(name);
                return Err(WriteError::DataTooLong { name, size });
            }
            put(&mut self.writer, &mut self.position, &self.buffer[..n])?;
        }
    }

    /// How many more NUL bytes `name` needs so that the data of a member at `position` begins at a
    /// multiple of `align`: a multiple of 4, since up to 3 follow any name.
    fn name_padding(&self, position: u64, name: &[u8], align: u64) -> usize {
        let end = position + (HEADER_LEN + name.len() + 1) as u64;
        let end = end.next_multiple_of(ALIGN);
        (end.next_multiple_of(align) - end) as usize
    }

    /// Writes the last directory again where `name` alone cannot be padded far enough.
    fn make_room(&mut self, name: &[u8], align: u64) -> Result<()> {
        let room = PATH_MAX - (name.len() + 1);
        let missing = self.name_padding(self.position, name, align);
        if missing <= room {
            return Ok(());
        }
        let cannot = |missing: usize| WriteError::CannotAlign {
            name: name::display(name),
            align,
            missing: missing as u64,
        };
        let Some((directory, meta)) = self.last_directory.clone() else {
            return Err(cannot(missing));
        };
        // Both names are padded: the file's as far as it goes, the directory's by what is left.
        let least = directory.len() + 1;
        let end = self.position + (HEADER_LEN + least) as u64;
        let missing = self.name_padding(end.next_multiple_of(ALIGN), name, align);
        let rest = missing.saturating_sub(room);
        let namesize = least + rest.next_multiple_of(ALIGN as usize);
        if namesize > PATH_MAX {
            return Err(cannot(missing));
        }
        // With an inode number of its own, like any member: bsdtar takes a second directory with
        // the same one for a hard link.
        self.padded_directory(&directory, namesize, &meta)
    }
}

fn put(writer: &mut impl Write, position: &mut u64, bytes: &[u8]) -> Result<()> {
    writer
        .write_all(bytes)
        .map_err(|source| WriteError::Write {
            position: *position,
            source,
        })?;
    *position += bytes.len() as u64;
    Ok(())
}
