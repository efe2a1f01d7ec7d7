//! Reads a rules file again when it changes.

use std::fs::{self, Metadata};
use std::future::{Future, pending};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Rules, Source};
use crate::error::sentence;
use crate::{Desk, Error, regular};

/// A file has so many bytes at most.
const MAX_SIZE: u64 = 4 << 20;
/// How often the file is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// A rules file that may change.
#[derive(Debug)]
pub struct RulesFile {
    path: PathBuf,
    fallback: Option<Source>,
    /// The file whose rules count, or whose error was told of.
    read: Seen,
    /// The file of the last look.
    last: Seen,
}

type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Opens what new rules name.
async fn open(desk: &Desk, rules: Arc<Rules>, told: &(impl Fn(News<'_>) + Sync)) {
    let sources = rules.sources();
    desk.sources.keep_only(&sources);
    for error in rules.lacking_archives() {
        told(News::Lacking(&sentence(&error)));
    }
    for source in sources {
        if let Some(reason) = desk.sources.try_out(source).await {
            told(News::Lacking(&reason));
        }
    }
}

/// What became of a rules file that changed.
#[derive(Debug)]
pub enum News<'a> {
    /// Its rules count from now on.
    Taken,
    /// Something that they name cannot be had now, with the reason. It may come later.
    Lacking(&'a str),
    /// It cannot be used, and the rules that were there stay.
    Refused(&'a Error),
}

/// What tells a file from another, and from itself before it was written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    File {
        inode: (u64, u64),
        size: u64,
        modified: (i64, i64),
        changed: (i64, i64),
    },
    Nothing(io::ErrorKind),
}

impl Seen {
    fn at(path: &Path) -> Self {
        let of = |metadata: Metadata| Self::File {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        fs::metadata(path).map_or_else(|error| Self::Nothing(error.kind()), of)
    }
}

impl RulesFile {
    /// Reads the file. `fallback` is for the machines that no rule names anything for.
    ///
    /// # Errors
    /// [`Error::Read`] where it cannot be read or is larger than 4 MiB, [`Error::Rules`] where it is not understood.
    pub fn open(path: &Path, fallback: Option<Source>) -> Result<(Self, Rules), Error> {
        // Looked at before it is read: what is written in between is noticed as a change.
        let seen = Seen::at(path);
        let file = Self {
            path: path.into(),
            fallback,
            read: seen,
            last: seen,
        };
        let rules = file.read()?;
        Ok((file, rules))
    }

    /// The rules, if the file is another since the last call. A file that is still being written to counts once it
    /// stays the same from one call to the next.
    ///
    /// # Errors
    /// As [`Self::open`], once for each change.
    pub fn changed(&mut self) -> Result<Option<Rules>, Error> {
        let seen = Seen::at(&self.path);
        let rests = seen == self.last;
        self.last = seen;
        if seen == self.read || !rests {
            return Ok(None);
        }
        self.read = seen;
        self.read().map(Some)
    }

    /// Gives the desk the rules of the file whenever it changes, and opens the directories that they name. Where the file
    /// cannot be used, the rules that were there stay.
    pub async fn follow(mut self, desk: &Desk, told: impl Fn(News<'_>) + Sync) {
        let mut opening: Work<'_> = Box::pin(pending());
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // What a directory takes to open must not keep a file from being read that was mended meanwhile.
            tokio::select! {
                () = &mut opening => opening = Box::pin(pending()),
                _ = ticks.tick() => match self.changed() {
                    Ok(None) => {}
                    Ok(Some(rules)) => {
                        told(News::Taken);
                        desk.set_rules(rules);
                        opening = Box::pin(open(desk, desk.rules(), &told));
                    }
                    Err(error) => told(News::Refused(&error)),
                },
            }
        }
    }

    fn read(&self) -> Result<Rules, Error> {
        let text = regular::open(&self.path).and_then(|file| regular::text(file, MAX_SIZE));
        let text = text.map_err(Error::read(&self.path))?;
        let rules = Rules::parse(&text, &self.path)?;
        Ok(match &self.fallback {
            Some(source) => rules.or_default(source.clone()),
            None => rules,
        })
    }
}
