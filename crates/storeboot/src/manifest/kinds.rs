//! What layouts, files and segments are called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the store lies in the initrd.
///
/// ```
/// use storeboot::Layout;
///
/// assert_eq!("in-place".parse(), Ok(Layout::InPlace));
/// assert_eq!(Layout::InPlace.to_string(), "in-place");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Layout {
    /// The kernel unpacks each store image to a file.
    File,
    /// The store images stay where the boot loader put them and are mounted from there.
    InPlace,
    /// The kernel unpacks the store itself; there are no images.
    Direct,
    /// The store images lie beside the initrd: stage 1 fetches them, and checks each chunk.
    Fetch,
}

impl Layout {
    /// The layout as the index names it for stage 1.
    pub(crate) fn in_index(self) -> storeboot_index::Layout {
        match self {
            Self::File => storeboot_index::Layout::File,
            Self::InPlace => storeboot_index::Layout::InPlace,
            Self::Direct => storeboot_index::Layout::Direct,
            Self::Fetch => storeboot_index::Layout::Fetch,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_index().fmt(f)
    }
}

impl FromStr for Layout {
    type Err = storeboot_index::UnknownLayout;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name.parse()? {
            storeboot_index::Layout::File => Self::File,
            storeboot_index::Layout::InPlace => Self::InPlace,
            storeboot_index::Layout::Direct => Self::Direct,
            storeboot_index::Layout::Fetch => Self::Fetch,
        })
    }
}

/// What a file of a netboot directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileKind {
    /// The kernel.
    Kernel,
    /// The whole initrd.
    Initrd,
    /// One segment of the initrd.
    Segment,
    /// A store image that stage 1 fetches.
    Image,
    /// The kernel's command line.
    CommandLine,
    /// A script that boots the rest.
    Script,
    /// A software bill of materials of what it boots.
    Sbom,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kernel => "kernel",
            Self::Initrd => "initrd",
            Self::Segment => "segment",
            Self::Image => "image",
            Self::CommandLine => "command-line",
            Self::Script => "script",
            Self::Sbom => "sbom",
        })
    }
}

/// What a segment of an initrd is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SegmentKind {
    /// A file of the user's that goes before all others.
    Prepended,
    /// Stage 1 with its modules.
    #[serde(rename = "stage-1")]
    Stage1,
    /// The program by which another stage 1 gets at the store.
    Attach,
    /// Device drivers that stage 1 chooses from, and their firmware.
    Drivers,
    /// The index; in layout `fetch` with the hashes of the images' chunks.
    Index,
    /// The store, or one of its images.
    Store,
}

impl fmt::Display for SegmentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prepended => "prepended",
            Self::Stage1 => "stage-1",
            Self::Attach => "attach",
            Self::Drivers => "drivers",
            Self::Index => "index",
            Self::Store => "store",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_calls_them_what_messages_call_them() {
        let json = |value| serde_json::to_string(&value).expect("text");
        for kind in [
            SegmentKind::Prepended,
            SegmentKind::Stage1,
            SegmentKind::Attach,
            SegmentKind::Drivers,
            SegmentKind::Index,
            SegmentKind::Store,
        ] {
            assert_eq!(json(serde_json::json!(kind)), format!("\"{kind}\""));
        }
        for kind in [
            FileKind::Kernel,
            FileKind::Initrd,
            FileKind::Segment,
            FileKind::Image,
            FileKind::CommandLine,
            FileKind::Script,
        ] {
            assert_eq!(json(serde_json::json!(kind)), format!("\"{kind}\""));
        }
        for layout in [Layout::File, Layout::InPlace, Layout::Direct, Layout::Fetch] {
            assert_eq!(json(serde_json::json!(layout)), format!("\"{layout}\""));
            assert_eq!(layout.to_string().parse(), Ok(layout));
        }
    }
}
