//! Writes a store as images.

use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;

use storeboot_squashfs::{Compression, Options, Summary};

use super::nar_check;
use super::recipe::{Blocks, Recipes};
use super::split::{Images, SplitSink};
use crate::profile::hot::HotFiles;
use crate::store::walk;
use crate::{Context, Error, Profile, REGISTRATION, Store};

/// How images are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageForm<'a> {
    pub(crate) compression: Compression,
    /// Bytes of a block.
    pub(crate) block_size: u32,
    /// Whether there is an export table.
    pub(crate) export: bool,
    /// Bytes of an image at most.
    pub(crate) limit: u64,
    /// The boot profile by which files come first.
    pub(crate) profile: Option<&'a Path>,
}

/// Writes a store as one image: a squashfs whose root is the content of the store directory.
pub(crate) fn write_image(
    store: &Store,
    form: ImageForm<'_>,
    out: impl Write + Seek,
    context: &Context<'_>,
) -> Result<(), Error> {
    write_images(store, form, &mut One(Some(out)), context)
}

/// Writes a store as one image or, past the limit, as several.
pub(crate) fn write_images(
    store: &Store,
    form: ImageForm<'_>,
    images: &mut impl Images,
    context: &Context<'_>,
) -> Result<(), Error> {
    context.begin("packing the store image", store.packed_size())?;
    let cache = context.the_cache();
    let mut options = Options::new()
        .compression(form.compression)
        .block_size(form.block_size)
        .export(form.export)
        .pool(Arc::clone(context.pool()?));
    if let Some(cache) = cache {
        options = options.cache(Arc::new(Blocks(Arc::clone(cache))));
    }
    let paths: Vec<_> = store.packed().collect();
    let hot = match form.profile {
        None => HotFiles::default(),
        Some(file) => {
            let profile = Profile::read(file)?;
            let hot = HotFiles::find(&profile, store, &paths, form.block_size)?;
            context.note(&hot.summary(file));
            hot
        }
    };
    let mut sink = SplitSink::new(
        images,
        &options,
        (form.limit, form.block_size),
        &hot,
        context.token(),
    );
    let done = |sink: &SplitSink<'_, _>| context.reached(sink.content_size());
    match cache {
        None => nar_check::feed(store, &paths, context, &mut sink, done)?,
        Some(cache) => {
            Recipes::new(store, cache, form.block_size, context.token())
                .pack(&paths, &mut sink, done)?;
        }
    }
    if store.is_registered() {
        let (size, registration) = store.registration()?;
        let name = REGISTRATION.as_bytes();
        sink.content(name, walk::FILE, size, registration, &mut Vec::new())?;
    }
    sink.finish()
}

/// One image, whatever its size.
struct One<W>(Option<W>);

impl<W: Write + Seek> Images for One<W> {
    type Out = W;

    fn next(&mut self) -> Result<W, Error> {
        self.0
            .take()
            .ok_or_else(|| Error::Inconsistent("one image became two".into()))
    }

    fn done(&mut self, _: W, _: Summary) -> Result<(), Error> {
        Ok(())
    }
}
