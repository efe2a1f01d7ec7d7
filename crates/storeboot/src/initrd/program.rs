//! Whether a kernel can start a program, by what the program's file says of itself.

use object::elf::{self, FileHeader32, FileHeader64, Machine};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

use crate::kernel::Architecture;

/// The bytes at a file's start that [`check_start`] needs.
pub(crate) const START: usize = 256;

/// Refuses what cannot be the only program of an initrd: that has to run without a loader and without libraries.
///
/// The error says what the file is instead.
pub(crate) fn check_static(file: &[u8], kernel: Architecture) -> Result<(), String> {
    let faulty = match file {
        [] => Some("it is empty".into()),
        [b'#', b'!', ..] => Some("it is a script".into()),
        _ => match FileKind::parse(file) {
            Ok(FileKind::Elf64) => fault::<FileHeader64<Endianness>>(file, &machines(kernel)[..1])
                .or_else(|| match linkage(file) {
                    Ok(Linkage::Static) => None,
                    Ok(Linkage::Dynamic) => Some("it is linked dynamically".into()),
                    Ok(Linkage::NoProgram) => Some("it is an ELF file, but no program".into()),
                    Err(error) => Some(format!("it is damaged or cut off ({error})")),
                }),
            Ok(FileKind::Elf32) => Some("it is a 32-bit program".into()),
            _ => Some("it is no ELF program".into()),
        },
    };
    match faulty {
        None => Ok(()),
        Some(reason) => Err(format!(
            "{reason}; what is wanted is a static program for {kernel}, such as storeboot-init"
        )),
    }
}

/// Refuses what the kernel surely does not start, by the first [`START`] bytes of the file. An initrd may hold a loader
/// and an interpreter besides, and kernels run programs of 32 bits, too.
///
/// The error says what the file is instead.
pub(crate) fn check_start(start: &[u8], kernel: Architecture) -> Result<(), String> {
    let faulty = match start {
        [] => Some("it is empty".into()),
        [b'#', b'!', ..] => None,
        _ => match FileKind::parse(start) {
            Ok(FileKind::Elf64) => fault::<FileHeader64<Endianness>>(start, &machines(kernel)),
            Ok(FileKind::Elf32) => fault::<FileHeader32<Endianness>>(start, &machines(kernel)),
            _ => Some("it is neither an ELF program nor a script".into()),
        },
    };
    match faulty {
        None => Ok(()),
        Some(reason) => Err(format!("{reason}, and the kernel is for {kernel}")),
    }
}

/// Machines whose programs the kernel runs, its own first.
fn machines(kernel: Architecture) -> [Machine; 2] {
    match kernel {
        Architecture::X86_64 => [elf::EM_X86_64, elf::EM_386],
        Architecture::Aarch64 => [elf::EM_AARCH64, elf::EM_ARM],
    }
}

/// What is wrong with the ELF header, if anything is, where programs are to be for one of these machines.
fn fault<Elf: FileHeader<Endian = Endianness>>(
    file: &[u8],
    machines: &[Machine],
) -> Option<String> {
    let Ok((header, endian)) = Elf::parse(file).and_then(|header| Ok((header, header.endian()?)))
    else {
        return Some("its ELF header is damaged".into());
    };
    let machine = header.e_machine(endian);
    let name = match machine {
        elf::EM_X86_64 => "x86_64",
        elf::EM_386 => "i386",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_ARM => "arm",
        elf::EM_RISCV => "riscv",
        _ => "another processor",
    };
    match endian {
        Endianness::Little if machines.contains(&machine) => None,
        Endianness::Little => Some(format!("it is a program for {name}")),
        Endianness::Big => Some(format!("it is a program for {name}, big-endian")),
    }
}

enum Linkage {
    Static,
    Dynamic,
    NoProgram,
}

/// Looks at what the kernel loads of a program.
fn linkage(file: &[u8]) -> Result<Linkage, String> {
    let failed = |error: object::Error| error.to_string();
    let header = FileHeader64::<Endianness>::parse(file).map_err(failed)?;
    let endian = header.endian().map_err(failed)?;
    if !matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) {
        return Ok(Linkage::NoProgram);
    }
    let mut entry_is_loaded = false;
    let entry = header.e_entry(endian);
    for segment in header.program_headers(endian, file).map_err(failed)? {
        let kind = segment.p_type(endian);
        if kind == elf::PT_INTERP {
            return Ok(Linkage::Dynamic);
        }
        let entries = segment.dynamic(endian, file).map_err(failed)?;
        if entries.is_some_and(|all| all.iter().any(|one| one.d_tag(endian) == elf::DT_NEEDED)) {
            return Ok(Linkage::Dynamic);
        }
        if kind == elf::PT_LOAD {
            let data = segment.data(endian, file);
            let size = data.map_err(|()| "a segment goes beyond its end")?.len() as u64;
            let start = segment.p_vaddr(endian);
            entry_is_loaded |= entry.checked_sub(start).is_some_and(|at| at < size);
        }
    }
    // A library, for one, begins nowhere.
    Ok(match entry_is_loaded {
        true => Linkage::Static,
        false => Linkage::NoProgram,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An ELF file of 64 bits with one segment, which holds all of it, and one more header.
    pub(crate) fn program(kernel: Architecture) -> Vec<u8> {
        let mut file = vec![0; 0x1000];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &elf::ET_EXEC.0.to_le_bytes());
        put(18, &machines(kernel)[0].0.to_le_bytes());
        put(20, &1_u32.to_le_bytes()); // version
        put(24, &0x40_0800_u64.to_le_bytes()); // entry
        put(32, &64_u64.to_le_bytes()); // where the program headers are
        put(52, &64_u16.to_le_bytes()); // size of this header
        put(54, &56_u16.to_le_bytes()); // size of a program header
        put(56, &2_u16.to_le_bytes()); // number of program headers
        put(64, &elf::PT_LOAD.0.to_le_bytes());
        put(64 + 16, &0x40_0000_u64.to_le_bytes()); // address
        put(64 + 32, &0x1000_u64.to_le_bytes()); // bytes in the file
        put(64 + 40, &0x1000_u64.to_le_bytes()); // bytes in memory
        file
    }

    /// The same with other bytes somewhere.
    fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut file = program(Architecture::X86_64);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    }

    #[test]
    fn a_static_program_of_the_kernels_architecture_is_taken() {
        for kernel in [Architecture::X86_64, Architecture::Aarch64] {
            check_static(&program(kernel), kernel).expect("a program");
        }
        // One that can be anywhere.
        let anywhere = with(16, &elf::ET_DYN.0.to_le_bytes());
        check_static(&anywhere, Architecture::X86_64).expect("a program");
    }

    #[test]
    fn anything_else_is_refused_with_what_it_is() {
        let program = with(0, b"");
        for (file, what) in [
            (vec![], "empty"),
            (b"#!/bin/sh\n".to_vec(), "script"),
            (b"stage 1".to_vec(), "no ELF program"),
            (with(4, &[1]), "32-bit"),
            (with(5, &[2]), "big-endian"),
            (self::program(Architecture::Aarch64), "for aarch64"),
            (with(16, &elf::ET_REL.0.to_le_bytes()), "no program"),
            (with(24, &[0; 8]), "no program"),
            (with(120, &elf::PT_INTERP.0.to_le_bytes()), "dynamically"),
            (program[..0xfff].to_vec(), "cut off"),
            (program[..80].to_vec(), "cut off"),
            (program[..40].to_vec(), "damaged"),
        ] {
            let error = check_static(&file, Architecture::X86_64).unwrap_err();
            assert!(error.contains(what), "{error} for {what}");
            assert!(error.contains("for x86_64"), "{error}");
        }
    }

    #[test]
    fn a_library_that_is_needed_is_found() {
        let mut file = with(120, &elf::PT_DYNAMIC.0.to_le_bytes());
        file[128..136].copy_from_slice(&0x800_u64.to_le_bytes()); // offset
        file[152..160].copy_from_slice(&32_u64.to_le_bytes()); // bytes
        check_static(&file, Architecture::X86_64).expect("nothing is needed");
        file[0x800] = 1;
        let error = check_static(&file, Architecture::X86_64).unwrap_err();
        assert!(error.contains("dynamically"), "{error}");
    }

    #[test]
    fn the_start_of_a_program_is_enough_to_see_its_processor() {
        let start = |file: &[u8]| file[..file.len().min(START)].to_vec();
        let kernel = Architecture::X86_64;
        for file in [
            with(120, &elf::PT_INTERP.0.to_le_bytes()),
            with(18, &elf::EM_386.0.to_le_bytes()),
            b"#!/bin/sh\n".to_vec(),
        ] {
            check_start(&start(&file), kernel).expect("it may run");
        }
        for (file, what) in [
            (program(Architecture::Aarch64), "for aarch64"),
            (b"init".to_vec(), "neither"),
            (vec![], "empty"),
        ] {
            let error = check_start(&start(&file), kernel).unwrap_err();
            assert!(error.contains(what), "{error} for {what}");
        }
    }
}
