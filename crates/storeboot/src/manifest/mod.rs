//! `manifest.json`: what a netboot directory holds, for programs and for `storeboot verify`.

mod kinds;
mod verity;

use serde::{Deserialize, Serialize};

use crate::kernel::Architecture;
pub use kinds::{FileKind, Layout, SegmentKind};
pub use verity::Verity;

/// The version of the manifest's form. It is raised when a field changes its meaning or is removed.
pub const SCHEMA: u32 = 1;

/// A netboot directory described. Sizes and offsets are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// How the store lies in the initrd.
    pub layout: Layout,
    /// The program that stage 1 starts.
    pub init: String,
    /// The kernel command line, as in `kernelAppend`.
    pub command_line: String,
    /// Bytes of memory that a machine with BIOS needs to boot it, an estimate.
    pub memory: u64,
    /// Bytes of memory that a machine with UEFI needs to boot it, where firmware and kernel each hold a copy of the
    /// initrd: an estimate. 0 where the manifest does not tell, as those that were written before there was this
    /// number.
    #[serde(default)]
    pub memory_uefi: u64,
    /// The kernel.
    pub kernel: Kernel,
    /// What was packed.
    pub closure: ClosureSize,
    /// Every file of the directory but the manifest, by name.
    pub files: Vec<FileEntry>,
    /// The stretches of the initrd, in their order. Zero bytes may lie between them.
    pub segments: Vec<Segment>,
    /// The store images, in the order of their mounting.
    pub images: Vec<Image>,
}

/// The kernel of a netboot directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Kernel {
    /// Its file in the directory.
    pub file: String,
    /// Its release, as `uname -r` prints it.
    pub version: String,
    /// Its architecture.
    pub architecture: Architecture,
}

/// How large a closure is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClosureSize {
    /// Number of store paths.
    pub paths: u64,
    /// Bytes of all NARs.
    pub nar_size: u64,
}

/// A file of a netboot directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Its size.
    pub size: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// A stretch of the initrd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Segment {
    /// What it is for.
    pub kind: SegmentKind,
    /// Where it begins in the initrd.
    pub offset: u64,
    /// Its size.
    pub size: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// How it is compressed; `None` for prepended files, where it is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compression: Option<String>,
}

/// A store image, inside the initrd or beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Image {
    /// The name of its member; in layout `fetch`, of its file in the directory.
    pub path: String,
    /// Where it begins in the initrd; `None` where it is a file of the directory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offset: Option<u64>,
    /// Its size, with its padding and its hash tree.
    pub size: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// How its blocks are compressed.
    pub compression: String,
    /// The hash tree of dm-verity at its end, where it was built with one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verity: Option<Verity>,
    /// Bytes from its beginning that stage 2 waits for, besides the tables at its end: where the rest is fetched while the
    /// system runs ([`Netboot::stream`](crate::Netboot::stream)).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hot_size: Option<u64>,
}

/// Checks that an image of this size has so many hot bytes, if it has any.
pub(crate) fn check_hot(hot_size: Option<u64>, size: u64) -> Result<(), String> {
    match hot_size {
        Some(hot) if hot > size => Err(format!(
            "it has {size} bytes, and {hot} of them are to be hot"
        )),
        _ => Ok(()),
    }
}

impl Manifest {
    /// The manifest as the text of `manifest.json`.
    ///
    /// # Errors
    /// Never in practice: nothing in it fails to serialise.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Reads a manifest of a schema that this version knows.
    ///
    /// # Errors
    /// Where the text is not a manifest, or one of a later schema.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let version: Version = serde_json::from_str(text)?;
        if version.schema != SCHEMA {
            return Err(serde::de::Error::custom(format!(
                "the manifest has schema {}, this storeboot knows {SCHEMA}",
                version.schema
            )));
        }
        serde_json::from_str(text)
    }
}
