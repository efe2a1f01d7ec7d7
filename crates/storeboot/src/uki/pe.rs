//! PE files: what a stub's headers say, and the same with more sections.
//!
//! UEFI programs are PE32+ files (the PE format's specification, "Optional Header"; UEFI 2.10, section 2.1.1). All sizes
//! and places in their headers have 32 bits.

use object::pe::{
    IMAGE_DIRECTORY_ENTRY_SECURITY, IMAGE_DOS_SIGNATURE, IMAGE_NT_OPTIONAL_HDR64_MAGIC,
    IMAGE_NT_SIGNATURE, IMAGE_SCN_CNT_CODE, IMAGE_SCN_CNT_INITIALIZED_DATA, IMAGE_SCN_MEM_READ,
    IMAGE_SUBSYSTEM_EFI_APPLICATION, ImageDataDirectory, ImageDosHeader, ImageNtHeaders64,
    ImageSectionHeader, Machine,
};
use object::pod::{bytes_of, from_bytes, slice_from_bytes};
use object::{LittleEndian as LE, U16, U32};

/// Bytes in all from which on firmware does not load a file. The headers could express 4 GiB, but firmware needs one free
/// stretch of memory for the file, and found none of 2 GiB on a machine of 16 GiB (systemd/systemd issue 31452).
pub(super) const LIMIT: u64 = 2 << 30;
/// A stub has no more sections, and neither has what is made of it.
const SECTIONS_MAX: usize = 96;

/// The headers of a PE file, and what they say of the rest.
struct Headers<'a> {
    nt: ImageNtHeaders64,
    /// Where these headers begin.
    at: usize,
    directories: &'a [ImageDataDirectory],
    sections: &'a [ImageSectionHeader],
    /// Where the table of sections begins.
    table: usize,
}

impl<'a> Headers<'a> {
    /// Reads the headers of a UEFI program for a machine, which begin a file.
    fn parse(file: &'a [u8], machine: Machine) -> Result<Self, String> {
        let none = || "it is no PE file".to_owned();
        let (dos, _) = from_bytes::<ImageDosHeader>(file).map_err(|()| none())?;
        if dos.e_magic.get(LE) != IMAGE_DOS_SIGNATURE {
            return Err(none());
        }
        let at = dos.e_lfanew.get(LE) as usize;
        let rest = file.get(at..).ok_or_else(none)?;
        let (nt, rest) = from_bytes::<ImageNtHeaders64>(rest).map_err(|()| none())?;
        if nt.signature.get(LE) != IMAGE_NT_SIGNATURE {
            return Err(none());
        }
        if nt.optional_header.magic.get(LE) != IMAGE_NT_OPTIONAL_HDR64_MAGIC {
            return Err("it is no PE32+ file".into());
        }
        let found = nt.file_header.machine.get(LE);
        if found != machine {
            return Err(format!(
                "it is for a machine of the type {:#x}, and the kernel's is {:#x}",
                found.0, machine.0
            ));
        }
        let cut = || "its headers are cut off".to_owned();
        let count = nt.optional_header.number_of_rva_and_sizes.get(LE) as usize;
        let (directories, _) =
            slice_from_bytes::<ImageDataDirectory>(rest, count).map_err(|()| cut())?;
        let optional = size_of_val(&nt.optional_header) + size_of_val(directories);
        if usize::from(nt.file_header.size_of_optional_header.get(LE)) != optional {
            return Err("its headers have sizes that contradict each other".into());
        }
        let table = at + size_of::<ImageNtHeaders64>() + size_of_val(directories);
        let count = usize::from(nt.file_header.number_of_sections.get(LE));
        let (sections, _) = file
            .get(table..)
            .and_then(|rest| slice_from_bytes::<ImageSectionHeader>(rest, count).ok())
            .ok_or_else(cut)?;
        Ok(Self {
            nt: *nt,
            at,
            directories,
            sections,
            table,
        })
    }
}

/// Checks that a kernel, whose first bytes these are, is one that UEFI can start.
pub(super) fn check_kernel(head: &[u8], machine: Machine) -> Result<(), String> {
    Headers::parse(head, machine)
        .map(drop)
        .map_err(|reason| format!("UEFI cannot start it: {reason}"))
}

/// A section to be added.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) size: u64,
    pub(super) is_code: bool,
}

/// The beginning of a file with more sections, and where these go.
#[derive(Debug)]
pub(super) struct Plan {
    /// The stub with its new headers, up to the first of the new sections.
    pub(super) start: Vec<u8>,
    /// Where each section begins in the file.
    pub(super) offsets: Vec<u64>,
    /// Bytes of the whole file.
    pub(super) size: u64,
}

/// Adds sections to a stub, in this order, behind those that it has.
pub(super) fn plan(stub: &[u8], machine: Machine, new: &[Section]) -> Result<Plan, Refusal> {
    let Headers {
        mut nt,
        at,
        directories,
        sections,
        table,
    } = Headers::parse(stub, machine)?;
    let optional = &mut nt.optional_header;
    if optional.subsystem.get(LE) != IMAGE_SUBSYSTEM_EFI_APPLICATION {
        return Err("it is no program for UEFI".to_owned().into());
    }
    let security = directories.get(IMAGE_DIRECTORY_ENTRY_SECURITY);
    if security.is_some_and(|entry| entry.virtual_address.get(LE) != 0) {
        return Err(
            "it is signed, and no section can be added to what is signed"
                .to_owned()
                .into(),
        );
    }
    let alignment = |value: u32| match value.is_power_of_two() && value <= 64 << 10 {
        true => Ok(u64::from(value)),
        false => Err(format!("its sections are aligned to {value}")),
    };
    let in_memory = alignment(optional.section_alignment.get(LE))?;
    let in_file = alignment(optional.file_alignment.get(LE))?;

    // Where the new headers have to end, and where what is there ends, in memory and in the file.
    let mut first = stub.len() as u64;
    let (mut memory_end, mut file_end) = (0, 0);
    for section in sections {
        if let Some(new) = new.iter().find(|new| name(new.name) == section.name) {
            return Err(format!("it has a section {} already", new.name).into());
        }
        let [address, size, offset, length] = [
            section.virtual_address,
            section.virtual_size,
            section.pointer_to_raw_data,
            section.size_of_raw_data,
        ]
        .map(|field| u64::from(field.get(LE)));
        memory_end = memory_end.max(address + size.max(length));
        if length > 0 {
            file_end = file_end.max(offset + length);
            first = first.min(offset);
        }
        first = first.min(address);
    }
    if file_end > stub.len() as u64 {
        return Err("it is cut off".to_owned().into());
    }
    let count = sections.len() + new.len();
    let table_end = (table + count * size_of::<ImageSectionHeader>()) as u64;
    if table_end > first || count > SECTIONS_MAX {
        return Err(format!("its headers have no room for {} more sections", new.len()).into());
    }

    let mut headers = Vec::new();
    let mut offsets = Vec::new();
    let mut added = u64::from(optional.size_of_initialized_data.get(LE));
    let start_end = file_end.next_multiple_of(in_file);
    file_end = start_end;
    let large = || {
        let sizes = new.iter().map(|section| section.size);
        Refusal::Large(sizes.fold(start_end, u64::saturating_add))
    };
    for section in new {
        // The sizes are what a manifest says. Sums of those below the limit are far from any overflow.
        if section.size >= LIMIT {
            return Err(large());
        }
        let address = memory_end.next_multiple_of(in_memory);
        let length = section.size.next_multiple_of(in_file);
        memory_end = address + section.size;
        offsets.push(file_end);
        let flags = match section.is_code {
            true => IMAGE_SCN_CNT_CODE,
            false => IMAGE_SCN_CNT_INITIALIZED_DATA,
        };
        if file_end + length >= LIMIT || memory_end >= LIMIT {
            return Err(large());
        }
        // All of these are below the limit, which has 31 bits.
        let field = |value: u64| U32::new(LE, value as u32);
        headers.push(ImageSectionHeader {
            name: name(section.name),
            virtual_size: field(section.size),
            virtual_address: field(address),
            size_of_raw_data: field(length),
            pointer_to_raw_data: field(file_end),
            pointer_to_relocations: field(0),
            pointer_to_linenumbers: field(0),
            number_of_relocations: U16::new(LE, 0),
            number_of_linenumbers: U16::new(LE, 0),
            characteristics: U32::new(LE, flags | IMAGE_SCN_MEM_READ),
        });
        file_end += length;
        added += section.size;
    }
    let field = |value: u64| {
        let value = u32::try_from(value).map_err(|_| "its headers have sizes beyond 4 GiB");
        value.map(|value| U32::new(LE, value))
    };
    optional.size_of_initialized_data = field(added)?;
    optional.size_of_image = field(memory_end.next_multiple_of(in_memory))?;
    let headers_end = table_end.next_multiple_of(in_file).min(first);
    let told = u64::from(optional.size_of_headers.get(LE));
    optional.size_of_headers = field(told.max(headers_end))?;
    // UEFI does not look at it.
    optional.check_sum = U32::new(LE, 0);
    nt.file_header.number_of_sections = U16::new(LE, count as u16);
    // A table of symbols would lie where the first section goes. Programs have no use for one.
    nt.file_header.pointer_to_symbol_table = U32::new(LE, 0);
    nt.file_header.number_of_symbols = U32::new(LE, 0);

    let mut start = stub.to_vec();
    start.resize(start_end as usize, 0);
    put(&mut start, at, bytes_of(&nt));
    let table_at = table + size_of_val(sections);
    for (number, header) in headers.iter().enumerate() {
        let at = table_at + number * size_of::<ImageSectionHeader>();
        put(&mut start, at, bytes_of(header));
    }
    Ok(Plan {
        start,
        offsets,
        size: file_end,
    })
}

/// Why there is no plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The stub cannot be used.
    Stub(String),
    /// It would have about so many bytes.
    Large(u64),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Stub(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::Stub(reason.into())
    }
}

fn name(text: &str) -> [u8; 8] {
    let mut name = [0; 8];
    for (to, from) in name.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    name
}

/// Writes bytes over those that are there. The headers were read from there, so there is room.
fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in file.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

/// Where the signatures of a PE file with these first bytes are: their offset and their length.
pub(super) fn certificates(head: &[u8], machine: Machine) -> Result<Option<(u64, u64)>, String> {
    let headers = Headers::parse(head, machine)?;
    let entry = headers.directories.get(IMAGE_DIRECTORY_ENTRY_SECURITY);
    let place = entry.map(|entry| {
        // This one entry has a place in the file, and no address.
        let [offset, size] = [entry.virtual_address, entry.size].map(|field| field.get(LE));
        (u64::from(offset), u64::from(size))
    });
    Ok(place.filter(|(_, size)| *size > 0))
}
