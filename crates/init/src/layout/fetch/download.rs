//! The download of what is missing, to a disk or to memory.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use storeboot_fetch::{Limits, Next, Plan, Sink, Url, download};
use storeboot_index::{Chunks, Image};

use super::files::Files;
use super::keep::Kept;
use super::machine::Machine;
use super::progress::Rate;
use super::{Error, available, total};
use crate::console::Console;
use crate::context::Context;
use crate::mib::MiB;
use crate::network::Resolver;
use crate::sys::Errno;

/// The limits of a download while the system runs. It may wait for a chunk, so no request is long; and it sets up the
/// network anew, so a connection that is silent is soon given up.
fn beside_the_system(patience: Duration) -> Limits {
    Limits {
        patience,
        chunks_per_request: 1,
        connect: Duration::from_secs(5),
        silence: Duration::from_secs(5),
        longest_wait: Duration::from_secs(5),
        ..Limits::default()
    }
}

/// A part of the chunks.
pub(super) struct Part<'a> {
    /// For each chunk of each image, whether it is there already.
    pub there: &'a [Vec<bool>],
    /// For each chunk of each image, whether it is left for later.
    pub later: &'a [Vec<bool>],
    /// What is asked for next.
    pub next: &'a dyn Fn() -> Next,
    /// Whether the booted system runs already.
    pub runs: bool,
}

/// What is to be there in the end, and the places that have it.
pub(super) struct Download<'a> {
    images: &'a [Image],
    chunks: &'a Chunks,
    places: Vec<Url>,
    limits: Limits,
    console: &'a Console,
}

impl<'a> Download<'a> {
    /// Reads the command line.
    pub(super) fn new(context: &'a Context, chunks: &'a Chunks) -> Result<Self, Error> {
        Ok(Self {
            images: &context.index.images,
            chunks,
            places: places(&context.cmdline.store)?,
            limits: Limits {
                patience: context.cmdline.patience(),
                ..Limits::default()
            },
            console: &context.console,
        })
    }

    /// Gets what is missing, and returns the files: on the disk, or in memory where there is none or it fails.
    pub(super) fn run(
        &self,
        kept: Option<Kept<'_>>,
        resolver: &mut Resolver,
    ) -> Result<Files, Error> {
        let kept = match kept {
            None => None,
            Some(kept) => match self.to_disk(kept, resolver)? {
                Ok(files) => return Ok(files),
                Err(kept) => Some(kept),
            },
        };
        available::check(total(self.images), self.console)?;
        let mut files = Files::in_memory(self.images).map_err(Error::Memory)?;
        let there = match kept {
            Some(kept) => kept.rescue(self.chunks, &files).map_err(Error::Memory)?,
            None => Vec::new(),
        };
        self.all(&there, &mut files, resolver)?;
        Ok(files)
    }

    /// The same on a disk only. A disk that fails gets a message, and is given back.
    fn to_disk<'k>(
        &self,
        mut kept: Kept<'k>,
        resolver: &mut Resolver,
    ) -> Result<Result<Files, Kept<'k>>, Error> {
        if !kept.is_whole() {
            let mut files = match kept.prepare(self.console) {
                Ok(files) => files,
                Err(trouble) => {
                    self.console.warning(&trouble);
                    return Ok(Err(kept));
                }
            };
            match self.all(kept.right(), &mut files, resolver) {
                Err(Error::Memory(errno)) => {
                    self.console.warning(&kept.not_written(errno));
                    return Ok(Err(kept));
                }
                done => done?,
            }
        }
        match kept.finish(self.console) {
            Ok(files) => Ok(Ok(files)),
            Err(trouble) => {
                self.console.warning(&trouble);
                Ok(Err(kept))
            }
        }
    }

    /// Fetches all chunks that are not there.
    pub(super) fn all(
        &self,
        there: &[Vec<bool>],
        sink: &mut impl Sink<Error = Errno>,
        resolver: &mut Resolver,
    ) -> Result<(), Error> {
        self.console.info(&format_args!(
            "fetching the store, {} in {}",
            MiB(total(self.images)),
            Counted(self.images.len(), "image")
        ));
        let part = Part {
            there,
            later: &[],
            next: &Next::default,
            runs: false,
        };
        self.fetch(&part, sink, resolver)
    }

    /// Fetches a part of the chunks.
    pub(super) fn fetch(
        &self,
        part: &Part<'_>,
        sink: &mut impl Sink<Error = Errno>,
        resolver: &mut Resolver,
    ) -> Result<(), Error> {
        let image = |(number, (image, chunks)): (usize, (&'a Image, &'a Vec<[u8; 32]>))| {
            storeboot_fetch::Image {
                path: &image.path,
                size: image.size,
                chunks,
                present: list_of(part.there, number),
                later: list_of(part.later, number),
            }
        };
        let images = self.images.iter().zip(self.chunks.images()).enumerate();
        let plan = Plan {
            images: images.map(image).collect(),
            places: self.places.clone(),
            limits: match part.runs {
                true => beside_the_system(self.limits.patience),
                false => self.limits,
            },
        };
        let mut machine = Machine {
            console: self.console,
            resolver,
            next: part.next,
            runs: part.runs,
        };
        let summary = download(&plan, &mut machine, sink)?;
        let millis = u64::try_from(summary.time.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        self.console.info(&format_args!(
            "fetched {} in {}.{} s, {}, with {}",
            MiB(summary.bytes),
            millis / 1000,
            millis % 1000 / 100,
            Rate(summary.bytes.saturating_mul(1000) / millis),
            Counted(
                usize::try_from(summary.requests).unwrap_or(usize::MAX),
                "request"
            ),
        ));
        Ok(())
    }
}

/// The list of an image, where there are lists.
fn list_of(lists: &[Vec<bool>], image: usize) -> Vec<bool> {
    lists.get(image).cloned().unwrap_or_default()
}

/// The URLs of `storeboot.store`.
fn places(words: &[String]) -> Result<Vec<Url>, Error> {
    if words.is_empty() {
        return Err(Error::NoPlace);
    }
    let parse = |word: &String| word.parse().map_err(Error::BadPlace);
    words.iter().map(parse).collect()
}

/// A number of things.
struct Counted(usize, &'static str);

impl core::fmt::Display for Counted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_urls() {
        let places = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| String::from(*word)).collect();
            places(&words)
        };
        assert!(matches!(places(&[]), Err(Error::NoPlace)));
        assert!(matches!(
            places(&["http://a/b", "https://c"]),
            Err(Error::BadPlace(_))
        ));
        assert_eq!(places(&["http://a/b", "http://[::1]:81"]).unwrap().len(), 2);
    }
}
