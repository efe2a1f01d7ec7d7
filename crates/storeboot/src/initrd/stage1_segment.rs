//! The segment that holds stage 1, the modules it loads and the index.

use storeboot_cpio::{Metadata, WriteError, Writer};
use storeboot_index::{INDEX_PATH, Index};

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

/// An archive with the index alone.
pub(crate) fn index(index: &Index) -> Result<Vec<u8>, WriteError> {
    let text = index.to_string();
    let mut archive = Writer::new(Vec::new());
    archive.directory("storeboot", &Metadata::directory())?;
    archive.file(
        INDEX_PATH,
        &Metadata::file(),
        text.len() as u64,
        text.as_bytes(),
    )?;
    archive.finish()
}
