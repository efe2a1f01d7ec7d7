//! A store as one store image.

use std::io::{Seek, Write};
use std::sync::Arc;

use storeboot_cache::Cache;
use storeboot_squashfs::{Options, Summary};

use super::recipe::{Blocks, Recipes};
use super::split::{Images, SplitSink};
use crate::store::{read_ahead, walk};
use crate::{Error, Progress, REGISTRATION, Store};

impl Store {
    /// Writes a store image: a squashfs whose root is the content of the store directory.
    ///
    /// # Errors
    /// Where a file cannot be read or is not what a store holds, and where `out` cannot be written.
    pub fn write_image(
        &self,
        out: impl Write + Seek,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        self.write_image_with(out, options, None, progress)
    }

    /// As [`Self::write_image`]; what the cache has is neither read nor compressed again, and what it has not is kept. The
    /// image is the same without it.
    ///
    /// # Errors
    /// As [`Self::write_image`]; and where a store path is not what its NAR hash says.
    pub fn write_image_with(
        &self,
        out: impl Write + Seek,
        options: &Options,
        cache: Option<&Arc<Cache>>,
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        let mut images = One {
            out: Some(out),
            summary: Summary::default(),
        };
        self.write_images(&mut images, options, u64::MAX, cache, progress)?;
        Ok(images.summary)
    }

    /// Writes the store as images of at most `limit` bytes each.
    pub(crate) fn write_images(
        &self,
        images: &mut impl Images,
        options: &Options,
        limit: u64,
        cache: Option<&Arc<Cache>>,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        progress.begin("packing the store image", self.packed_size());
        let mut options = options.clone();
        if let Some(cache) = cache {
            options.cache = Some(Arc::new(Blocks(Arc::clone(cache))));
        }
        let mut sink = SplitSink::new(images, &options, limit);
        let paths: Vec<_> = self.packed().collect();
        let done = |sink: &SplitSink<'_, _>| progress.reached(sink.content_size());
        match cache {
            None => read_ahead::feed(self, &paths, &mut sink, done)?,
            Some(cache) => {
                Recipes::new(self, cache, options.block_size).pack(&paths, &mut sink, done)?;
            }
        }
        if self.is_registered() {
            let (size, registration) = self.registration()?;
            let name = REGISTRATION.as_bytes();
            sink.content(name, walk::FILE, size, registration, &mut Vec::new())?;
        }
        sink.finish()
    }
}

/// One image, whatever its size.
struct One<W> {
    out: Option<W>,
    summary: Summary,
}

impl<W: Write + Seek> Images for One<W> {
    type Out = W;

    fn next(&mut self) -> Result<W, Error> {
        self.out
            .take()
            .ok_or_else(|| Error::Inconsistent("one image became two".into()))
    }

    fn done(&mut self, _: W, summary: Summary) -> Result<(), Error> {
        self.summary = summary;
        Ok(())
    }
}
