//! A store that the library packs, with what has to be in its image.

use std::fs::File;
use std::path::Path;

use storeboot::{Context, Format, Pack, Store};
use storeboot_closure::{Registration, StoreDir, StoreRoot, graph_from_value};

use crate::fixture::Fixture;
use crate::listing::Listing;

/// A tree, and what has to be in its image.
pub struct Sample {
    /// The tree.
    pub store: Store,
    /// The content of its image.
    pub expected: Listing,
}

impl Sample {
    /// The whole of a fixture.
    #[must_use]
    pub fn new(fixture: &Fixture) -> Self {
        let closure =
            graph_from_value(fixture.closure.clone(), &StoreDir::default()).expect("a closure");
        let mut registration = Vec::new();
        closure
            .write_registration(&mut registration, Registration::ClosureInfo)
            .expect("complete");
        Self {
            store: Store::new(closure, StoreRoot::under(&fixture.root), &Context::new())
                .expect("it is there"),
            expected: fixture.recipe.listing(&registration),
        }
    }

    /// Packs it into an image.
    pub fn image(&self, path: &Path, pack: &Pack) {
        let file = File::create(path).expect("a file");
        pack.write(&self.store, file, &Context::new())
            .expect("packed");
    }
}

/// A store image with this compression and block size.
#[must_use]
pub fn squashfs(compression: &str, block_size: u32) -> Pack {
    let mut pack = Pack::new(Format::Squashfs);
    pack.compression = Some(compression.parse().expect("a compression"));
    pack.block_size = block_size;
    pack
}
