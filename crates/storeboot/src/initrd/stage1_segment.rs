//! The segment that holds stage 1, the modules it loads and the index.

use storeboot_cpio::{Metadata, WriteError, Writer};
use storeboot_index::{CHUNKS_PATH, Chunks, INDEX_PATH, Index};

use crate::modules::Module;

/// Where module `number` lies in the initrd.
pub(crate) fn module_path(number: usize, module: &Module) -> String {
    format!("storeboot/modules/{number:02}-{}.ko", module.name)
}

/// The archive that the kernel unpacks first: enough to say what is wrong where the rest of the initrd is missing.
pub(crate) fn archive(stage1: &[u8], modules: &[Module]) -> Result<Vec<u8>, WriteError> {
    let mut archive = Writer::new(Vec::new());
    for directory in ["dev", "proc", "sys", "storeboot", "storeboot/modules"] {
        archive.directory(directory, &Metadata::directory())?;
    }
    // The kernel opens it for stage 1 before anything is mounted.
    archive.char_device("dev/console", &Metadata::mode(0o600), 5, 1)?;
    archive.file("init", &Metadata::executable(), stage1.len() as u64, stage1)?;
    for (number, module) in modules.iter().enumerate() {
        let data = module.data.as_slice();
        archive.file(
            module_path(number, module),
            &Metadata::file(),
            data.len() as u64,
            data,
        )?;
    }
    archive.finish()
}

/// The archive that goes behind another initrd: the program with which its stage 1 attaches the store.
pub(crate) fn attach(program: &[u8]) -> Result<Vec<u8>, WriteError> {
    let mut archive = Writer::new(Vec::new());
    archive.directory("storeboot", &Metadata::directory())?;
    let size = program.len() as u64;
    archive.file("storeboot/attach", &Metadata::executable(), size, program)?;
    archive.finish()
}

/// An archive with the index, and before it the list of chunks, if there is one.
pub(crate) fn index(index: &Index, chunks: Option<&Chunks>) -> Result<Vec<u8>, WriteError> {
    let mut archive = Writer::new(Vec::new());
    archive.directory("storeboot", &Metadata::directory())?;
    let mut put =
        |path, bytes: &[u8]| archive.file(path, &Metadata::file(), bytes.len() as u64, bytes);
    if let Some(chunks) = chunks {
        put(CHUNKS_PATH, &chunks.to_bytes())?;
    }
    put(INDEX_PATH, index.to_string().as_bytes())?;
    archive.finish()
}
