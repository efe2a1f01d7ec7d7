//! An initrd of store paths and links to them, for another stage 1 than storeboot's: what nixpkgs' `makeInitrd` and
//! `makeInitrdNG` make.

mod elf;
mod needed;
#[cfg(test)]
mod tests;
mod tree;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::compress::{Compression, Lz4Level, SegmentOptions, SegmentWriter, zeros_after};
use crate::error::OUTPUT;
use crate::pack::large_files::LargeFiles;
use crate::pack::solid;
use crate::{Context, Error, Store, output};
use needed::Selection;
pub use needed::{Dlopen, Needed, Priority};
use tree::Tree;

/// What an initrd holds besides a store.
///
/// ```
/// use storeboot::{Context, Ramdisk};
///
/// let mut initrd = Vec::new();
/// Ramdisk::new("gzip:9".parse()?).write(None, &mut initrd, &Context::new())?;
/// assert_eq!(initrd[..2], [0x1f, 0x8b]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ramdisk {
    /// Symbolic links: their names in the initrd, and what they point to, a path in the store.
    pub links: Vec<(String, String)>,
    /// The files of the store to pack, with what the programs among them load. `None` packs all of the store.
    pub needed: Option<Vec<Needed>>,
    /// Files that go before everything else, such as microcode.
    pub prepend: Vec<PathBuf>,
    /// How all but the prepended files is packed.
    pub compression: Compression,
}

impl Ramdisk {
    /// An initrd without any links.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self {
            links: Vec::new(),
            needed: None,
            prepend: Vec::new(),
            compression,
        }
    }

    /// Writes the initrd: the prepended files, and one archive with the usual folders, the links, and the store's
    /// files. There is no registration in it.
    ///
    /// # Errors
    /// [`Error::Content`] where a link cannot be made as asked or a needed file is not in the closure; where a file
    /// cannot be read, is larger than newc can say, or `out` cannot be written.
    pub fn write(
        &self,
        store: Option<&Store>,
        out: impl Write,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let written = self.write_to(store, context.token().watch(out), context);
        context.token().settle(written)
    }

    fn write_to(
        &self,
        store: Option<&Store>,
        mut out: impl Write,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let mut tree = Tree::default();
        for (name, source) in &self.links {
            check_source(store, source)?;
            tree.link(name, source)?;
        }
        for needed in self.needed.iter().flatten() {
            check_source(store, &needed.source)?;
        }
        for file in &self.prepend {
            let size = output::copy(file, &mut out, OUTPUT.as_ref())?;
            // How the file is compressed is not known: lz4 is the form that needs most zeros behind it.
            let zeros = zeros_after(Compression::Lz4(Lz4Level::MIN), size);
            io::copy(&mut io::Read::take(io::repeat(0), zeros), &mut out)
                .map_err(Error::write(OUTPUT))?;
        }
        let options = SegmentOptions::new(self.compression).threads(context.threads());
        let failed = |source| Error::Archive {
            archive: "the initrd".into(),
            source,
        };
        let out = SegmentWriter::new(out, options).map_err(Error::write(OUTPUT))?;
        let mut writer = storeboot_cpio::Writer::new(out);
        tree.write(&mut writer).map_err(failed)?;
        match (store, &self.needed) {
            (Some(store), Some(needed)) => {
                Selection::of(store, needed, context)?.write(store, &mut writer, context)?;
            }
            (Some(store), None) => {
                let files = store.part(Default::default(), false);
                let folder = store.folder();
                (writer, _) =
                    solid::write_members(&files, folder, LargeFiles::Refused, writer, context)?;
            }
            (None, _) => {}
        }
        let out = writer.finish().map_err(failed)?;
        out.finish().map(drop).map_err(Error::write(OUTPUT))
    }
}

/// What a link points to must be there, in a path of the closure.
fn check_source(store: Option<&Store>, source: &str) -> Result<(), Error> {
    let refuse = |reason: String| Error::Content {
        path: source.into(),
        reason,
    };
    let store = store.ok_or_else(|| refuse("there is no closure that it could be in".into()))?;
    let file = store.find(source.trim_end_matches('/')).map_err(refuse)?;
    match fs::symlink_metadata(&file) {
        Ok(_) => Ok(()),
        Err(error) => Err(refuse(error.to_string())),
    }
}
