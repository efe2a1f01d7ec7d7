//! What an ELF file has the loader load, as its headers say.

use std::fs::File;

use object::elf::{
    DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, FileHeader32, FileHeader64,
    PT_LOAD,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::read::{ReadCache, ReadRef, StringTable};
use object::{Endianness, FileKind};

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

/// Reads what a file loads: nothing, if it is no sound ELF file. Such a file is data in an initrd like any other.
pub(super) fn loads(file: File) -> Loads {
    let cache = ReadCache::new(file);
    let found = match FileKind::parse(&cache) {
        Ok(FileKind::Elf32) => read::<FileHeader32<Endianness>, _>(&cache),
        Ok(FileKind::Elf64) => read::<FileHeader64<Endianness>, _>(&cache),
        _ => return Loads::default(),
    };
    found.unwrap_or_default()
}

fn read<'data, Elf, R>(data: R) -> Option<Loads>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let mut found = Loads::default();
    let segments = header.program_headers(endian, data).ok()?;
    let mut entries = Vec::new();
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, data).ok()? {
            found.interpreter = Some(interpreter.to_vec());
        }
        for entry in segment.dynamic(endian, data).ok()?.unwrap_or_default() {
            match entry.d_tag(endian) {
                DT_NULL => break,
                tag => entries.push((tag, entry.d_val(endian).into())),
            }
        }
    }
    let value = |wanted| {
        let mut entries = entries.iter();
        entries.find_map(|&(tag, value): &(_, u64)| (tag == wanted).then_some(value))
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
            StringTable::new(data, start?, start?.saturating_add(size))
        }
        _ => StringTable::default(),
    };
    let named = |wanted| {
        entries
            .iter()
            .filter(move |(tag, _)| *tag == wanted)
            .map(|&(_, offset)| {
                u32::try_from(offset)
                    .ok()
                    .and_then(|offset| strings.get(offset).ok())
                    .map(<[u8]>::to_vec)
            })
            .collect::<Option<Vec<_>>>()
    };
    found.libraries = named(DT_NEEDED)?;
    // As the loader does: the older list counts only where the newer one is missing.
    let mut paths = named(DT_RUNPATH)?;
    if paths.is_empty() {
        paths = named(DT_RPATH)?;
    }
    found.folders = paths
        .iter()
        .flat_map(|list| list.split(|&byte| byte == b':'))
        .filter(|folder| !folder.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    let sections = header.sections(endian, data).ok()?;
    if let Some((_, section)) = sections.section_by_name(endian, DLOPEN)
        && let Some(mut notes) = section.notes(endian, data).ok()?
    {
        while let Some(note) = notes.next().ok()? {
            // The text ends at the first zero byte; padding follows.
            let text = note.desc().split(|&byte| byte == 0).next();
            found.dlopen.push(text.unwrap_or_default().to_vec());
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_loads_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let program = std::env::current_exe().expect("a test is a program");
        let program = std::fs::read(program).expect("it is there");
        let mut damaged = program[..4096].to_vec();
        damaged[64..].fill(0xff);
        for content in [&b"#!/bin/sh\n"[..], b"", b"\x7fELF", &damaged] {
            std::fs::write(&path, content).expect("written");
            let found = loads(File::open(&path).expect("it is there"));
            assert_eq!(found, Loads::default());
        }
    }
}
