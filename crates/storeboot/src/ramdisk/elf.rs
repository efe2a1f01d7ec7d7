//! What an ELF file has the loader load, as its headers say.

use std::cell::Cell;
use std::fs::File;
use std::ops::Range;

use object::elf::{
    DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, FileHeader32, FileHeader64,
    PT_LOAD,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::read::{self, ReadCache, ReadRef, StringTable};
use object::{Endianness, FileKind};

/// Most libraries, and most folders with libraries, that one file may name. Large programs have some hundred.
pub(super) const NAMES_MAX: usize = 1024;

/// What is read of one file at most. [`ReadCache`] keeps all of it, and headers may lead to the same bytes many times.
const READ_MAX: u64 = 64 << 20;

/// The largest section of notes about libraries. Those of systemd's programs have less than 4 KiB.
const DLOPEN_MAX: u64 = 1 << 20;

/// The section in which a program lists the libraries that it loads by itself:
/// <https://systemd.io/ELF_DLOPEN_METADATA/>.
const DLOPEN: &[u8] = b".note.dlopen";

/// The names that the loader looks for, and where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Loads {
    /// The loader itself.
    pub(super) interpreter: Option<Vec<u8>>,
    /// Libraries by their names.
    pub(super) libraries: Vec<Vec<u8>>,
    /// Folders with libraries, in the order in which they are searched.
    pub(super) folders: Vec<Vec<u8>>,
    /// Notes about libraries that the program may load by itself: JSON.
    pub(super) dlopen: Vec<Vec<u8>>,
}

/// Why nothing is known of a file.
enum Fault {
    /// It is no sound ELF file.
    Unsound,
    /// It is one, but has more than a program has.
    Large(String),
}

impl From<read::Error> for Fault {
    fn from(_: read::Error) -> Self {
        Self::Unsound
    }
}

/// A file of which no more than [`READ_MAX`] is read.
#[derive(Clone, Copy)]
struct Limited<'a> {
    cache: &'a ReadCache<File>,
    left: &'a Cell<u64>,
}

impl Limited<'_> {
    /// Counts bytes that are read. At the limit, nothing is left for good.
    fn take(self, bytes: u64) -> Result<(), ()> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or(0));
        left.map(drop).ok_or(())
    }
}

impl<'a> ReadRef<'a> for Limited<'a> {
    fn len(self) -> Result<u64, ()> {
        self.cache.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.take(size)?;
        self.cache.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let found = self.cache.read_bytes_at_until(range, delimiter);
        // What goes with each string in the cache counts, too. `ReadCache` looks no further than 4 KiB for its end.
        self.take(found.map_or(4096, |string| string.len() as u64 + 64))?;
        found
    }
}

/// Reads what a file loads: nothing, if it is no sound ELF file. Such a file is data in an initrd like any other.
///
/// The error says what it has too much of.
pub(super) fn loads(file: File) -> Result<Loads, String> {
    let (cache, left) = (ReadCache::new(file), Cell::new(READ_MAX));
    let data = Limited {
        cache: &cache,
        left: &left,
    };
    let found = match FileKind::parse(data) {
        Ok(FileKind::Elf32) => read::<FileHeader32<Endianness>, _>(data),
        Ok(FileKind::Elf64) => read::<FileHeader64<Endianness>, _>(data),
        _ => return Ok(Loads::default()),
    };
    match found {
        _ if left.get() == 0 => Err(format!(
            "its headers lead to more than {} MiB",
            READ_MAX >> 20
        )),
        Ok(found) => Ok(found),
        Err(Fault::Unsound) => Ok(Loads::default()),
        Err(Fault::Large(reason)) => Err(reason),
    }
}

fn read<'data, Elf, R>(data: R) -> Result<Loads, Fault>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let mut found = Loads::default();
    let segments = header.program_headers(endian, data)?;
    let mut dynamic = None;
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, data)? {
            found.interpreter = Some(interpreter.to_vec());
        }
        if let Some(entries) = segment.dynamic(endian, data)?
            && dynamic.replace(entries).is_some()
        {
            return Err(Fault::Large(
                "it has more than one list of what it loads (PT_DYNAMIC)".into(),
            ));
        }
    }
    let entries: Vec<(_, u64)> = dynamic
        .unwrap_or_default()
        .iter()
        .map(|entry| (entry.d_tag(endian), entry.d_val(endian).into()))
        .take_while(|(tag, _)| *tag != DT_NULL)
        .collect();
    let value = |wanted| {
        let mut entries = entries.iter();
        entries.find_map(|&(tag, value)| (tag == wanted).then_some(value))
    };
    let strings = match (value(DT_STRTAB), value(DT_STRSZ)) {
        (Some(address), Some(size)) => {
            // The table is where it lies when the file is loaded.
            let start = segments.iter().find_map(|segment| {
                let begin: u64 = segment.p_vaddr(endian).into();
                let offset: u64 = segment.p_offset(endian).into();
                let inside = address.checked_sub(begin)?;
                (segment.p_type(endian) == PT_LOAD && inside < segment.p_filesz(endian).into())
                    .then(|| offset.checked_add(inside))?
            });
            let start = start.ok_or(Fault::Unsound)?;
            StringTable::new(data, start, start.saturating_add(size))
        }
        _ => StringTable::default(),
    };
    let named = |wanted, what: &str| {
        let mut names = Vec::new();
        for (_, offset) in entries.iter().filter(|(tag, _)| *tag == wanted) {
            let offset = u32::try_from(*offset).map_err(|_| Fault::Unsound)?;
            let name = strings.get(offset).map_err(|()| Fault::Unsound)?;
            push(&mut names, name, what)?;
        }
        Ok::<_, Fault>(names)
    };
    found.libraries = named(DT_NEEDED, LIBRARIES)?;
    // As the loader does: the older list counts only where the newer one is missing.
    let mut paths = named(DT_RUNPATH, FOLDERS)?;
    if paths.is_empty() {
        paths = named(DT_RPATH, FOLDERS)?;
    }
    for list in &paths {
        for folder in list.split(|&byte| byte == b':') {
            if !folder.is_empty() {
                push(&mut found.folders, folder, FOLDERS)?;
            }
        }
    }
    let sections = header.sections(endian, data)?;
    if let Some((_, section)) = sections.section_by_name(endian, DLOPEN) {
        if section.sh_size(endian).into() > DLOPEN_MAX {
            return Err(Fault::Large(format!(
                "its .note.dlopen has more than {DLOPEN_MAX} bytes"
            )));
        }
        if let Some(mut notes) = section.notes(endian, data)? {
            while let Some(note) = notes.next()? {
                // The text ends at the first zero byte; padding follows.
                let text = note.desc().split(|&byte| byte == 0).next();
                found.dlopen.push(text.unwrap_or_default().to_vec());
            }
        }
    }
    Ok(found)
}

const LIBRARIES: &str = "libraries";
const FOLDERS: &str = "folders with libraries";

/// Adds a name, unless there are as many as one file may have.
fn push(names: &mut Vec<Vec<u8>>, name: &[u8], what: &str) -> Result<(), Fault> {
    if names.len() == NAMES_MAX {
        return Err(Fault::Large(format!(
            "it names more than {NAMES_MAX} {what}"
        )));
    }
    names.push(name.to_vec());
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use object::elf::{DynamicTag, PT_DYNAMIC, PT_INTERP, ProgramType};

    use super::*;

    /// An ELF file with these segments: their types, places in the file and sizes.
    fn elf(segments: &[(ProgramType, u64, u64)]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([3_u16, 62].map(u16::to_le_bytes).concat());
        file.extend(1_u32.to_le_bytes());
        // The program headers follow this header.
        file.extend([0_u64, 64, 0].map(u64::to_le_bytes).concat());
        file.extend(0_u32.to_le_bytes());
        let count = u16::try_from(segments.len()).expect("few");
        file.extend([64, 56, count, 64, 0, 0].map(u16::to_le_bytes).concat());
        for (kind, offset, size) in segments {
            file.extend([kind.0, 4].map(u32::to_le_bytes).concat());
            let fields = [*offset, *offset, *offset, *size, *size, 8];
            file.extend(fields.map(u64::to_le_bytes).concat());
        }
        file
    }

    /// A program whose dynamic section has these entries.
    pub(crate) fn program(entries: &[(DynamicTag, &str)]) -> Vec<u8> {
        let segments = 2;
        let dynamic_at = 64 + 56 * segments;
        let size = 16 * (entries.len() as u64 + 3);
        let strings_at = dynamic_at + size;
        let mut dynamic = Vec::new();
        let mut strings = vec![0];
        for (tag, text) in entries {
            dynamic.push((*tag, strings.len() as u64));
            strings.extend(text.as_bytes());
            strings.push(0);
        }
        let strings_size = strings.len() as u64;
        dynamic.push((DT_STRTAB, strings_at));
        dynamic.push((DT_STRSZ, strings_size));
        dynamic.push((DT_NULL, 0));
        let mut file = elf(&[
            (PT_LOAD, 0, strings_at + strings_size),
            (PT_DYNAMIC, dynamic_at, size),
        ]);
        for (tag, value) in dynamic {
            file.extend([tag.0 as u64, value].map(u64::to_le_bytes).concat());
        }
        file.extend(strings);
        file
    }

    /// What is said of a file with these bytes, and zeros behind them up to a size.
    fn loads_of(content: &[u8], size: usize) -> Result<Loads, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, content).expect("written");
        let file = File::options()
            .write(true)
            .open(&path)
            .expect("it is there");
        file.set_len(size.max(content.len()) as u64)
            .expect("made longer");
        loads(File::open(&path).expect("it is there"))
    }

    #[test]
    fn what_is_no_program_loads_nothing() {
        let program = std::env::current_exe().expect("a test is a program");
        let program = std::fs::read(program).expect("it is there");
        let mut damaged = program[..4096].to_vec();
        damaged[64..].fill(0xff);
        for content in [&b"#!/bin/sh\n"[..], b"", b"\x7fELF", &damaged] {
            assert_eq!(loads_of(content, 0), Ok(Loads::default()));
        }
    }

    #[test]
    fn names_are_read_up_to_a_number_of_them() {
        let folders = vec!["f"; NAMES_MAX].join(":");
        let mut entries = vec![(DT_NEEDED, "lib.so"); NAMES_MAX];
        entries.push((DT_RUNPATH, &folders));
        let found = loads_of(&program(&entries), 0).expect("as many as there may be");
        assert_eq!(found.libraries.len(), NAMES_MAX);
        assert_eq!(found.folders.len(), NAMES_MAX);
        let refused = |tag, text: &str| {
            let mut entries = entries.clone();
            entries.push((tag, text));
            loads_of(&program(&entries), 0)
        };
        let expected = |what| Err(format!("it names more than 1024 {what}"));
        assert_eq!(refused(DT_NEEDED, "lib.so"), expected("libraries"));
        assert_eq!(refused(DT_RUNPATH, "f"), expected("folders with libraries"));
    }

    #[test]
    fn one_list_of_libraries_is_read() {
        let list = (PT_DYNAMIC, 512, 1024);
        let one = loads_of(&elf(&[list]), 2048);
        assert_eq!(one, Ok(Loads::default()));
        let error = loads_of(&elf(&[list, list]), 2048).expect_err("two lists");
        assert!(error.contains("more than one list"), "{error}");
    }

    #[test]
    fn headers_that_lead_to_the_same_bytes_are_given_up() {
        const MIB: u64 = 1 << 20;
        // `ReadCache` would keep each of them.
        let segments: Vec<_> = (0..65).map(|at| (PT_INTERP, MIB + at, MIB)).collect();
        let file = elf(&segments);
        assert!(loads_of(&elf(&segments[1..63]), 3 << 20).is_ok());
        let error = loads_of(&file, 3 << 20).expect_err("too much");
        assert_eq!(error, "its headers lead to more than 64 MiB");
    }
}
