use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::NarHash;

/// Why a closure cannot be read, checked or used.
///
/// Its text leaves out the cause, which is its [`source`](std::error::Error::source).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is wrong with a file's content.
    #[error("cannot use {}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<Error>,
    },
    /// A description of a closure could not be read.
    #[error("cannot read the description of the closure")]
    Read {
        /// The system's error.
        source: io::Error,
    },
    /// A registration or a NAR could not be written.
    #[error("cannot write the registration or the NAR")]
    Write {
        /// The system's error.
        source: io::Error,
    },
    /// A description of a closure is longer than any real one.
    #[error("it is longer than {limit} bytes, and no description of a closure is")]
    InputTooLong {
        /// The limit.
        limit: u64,
    },
    /// A text form is not what Nix writes.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A JSON form is not what Nix writes.
    #[error("not the JSON that Nix writes: {reason}")]
    Json {
        /// What is wrong and where.
        reason: String,
    },
    /// A string is not a store path.
    #[error("{path:?} is not a path in the store {store_dir}: {reason}")]
    NotAStorePath {
        /// The string.
        path: String,
        /// The store directory it should be in.
        store_dir: String,
        /// What is wrong.
        reason: String,
    },
    /// A string is not a NAR hash.
    #[error("{hash:?} is not a NAR hash: {reason}")]
    BadHash {
        /// The string.
        hash: String,
        /// What is wrong.
        reason: String,
    },
    /// Nix does not know a path, or has only a part of it.
    #[error("Nix says that {path:?} is not valid: it is not in the store it was asked about")]
    Invalid {
        /// The path.
        path: String,
    },
    /// The closure has no path.
    #[error("it names no store path")]
    Empty,
    /// More paths than any real closure has.
    #[error("it has more than {limit} store paths, and no closure has")]
    TooManyPaths {
        /// The limit.
        limit: usize,
    },
    /// A path refers to another one that is not in the closure.
    #[error("the closure is not closed: {path} refers to {reference}, which is not in it")]
    NotClosed {
        /// The path.
        path: String,
        /// The reference that is missing.
        reference: String,
    },
    /// A path is described twice, with different data.
    #[error("{path} is described twice, with different {what}")]
    Conflict {
        /// The path.
        path: String,
        /// What is different.
        what: &'static str,
    },
    /// Paths refer to each other in a cycle.
    #[error("store paths refer to each other in a cycle, which Nix never makes: {}", cycle.join(" -> "))]
    Cycle {
        /// The cycle. Its first path is also its last one.
        cycle: Vec<String>,
    },
    /// Two files of one closureInfo folder disagree.
    #[error("{}: registration and {file} disagree: {reason}", dir.display())]
    Disagree {
        /// The folder.
        dir: PathBuf,
        /// The other file.
        file: &'static str,
        /// About what.
        reason: String,
    },
    /// Store paths are not on this machine.
    #[error(
        "{} of the closure's {total} store paths {} not there, first {}",
        missing.len(),
        if missing.len() == 1 { "is" } else { "are" },
        missing.first().map_or_else(String::new, |path| path.display().to_string())
    )]
    Missing {
        /// Where they should be; there is at least one.
        missing: Vec<PathBuf>,
        /// How many paths the closure has.
        total: usize,
    },
    /// A file cannot be examined or read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file of a tree cannot be examined.
    #[error("cannot read {}", path.display())]
    Tree {
        /// The file.
        path: PathBuf,
        /// The error of the tree.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A NAR cannot hold the file, or the file changed while it was read.
    #[error("cannot hash {}: {reason}", path.display())]
    NotForNar {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A root is neither in the store nor a link into it.
    #[error("{} is not in the store {}, nor a link into it", path.display(), store.display())]
    NotInStore {
        /// The root.
        path: PathBuf,
        /// The store.
        store: PathBuf,
    },
    /// Nix cannot be started.
    #[error("cannot run nix-store to ask for the closure")]
    NoNix {
        /// The system's error.
        source: io::Error,
    },
    /// Nix failed.
    #[error("{command} failed ({status}): {said}")]
    Nix {
        /// What was run, without the paths.
        command: String,
        /// How it ended.
        status: String,
        /// The end of its messages, in one line.
        said: String,
    },
    /// The files in the store are not those that were registered.
    #[error(
        "{path} is not what was registered: its NAR has {found_size} bytes and hash {found}, \
         registered were {} bytes and {}",
        size.map_or("unknown".to_owned(), |size| size.to_string()),
        hash.map_or("no hash".to_owned(), |hash| hash.to_string())
    )]
    Changed {
        /// The path.
        path: String,
        /// The registered hash.
        hash: Option<NarHash>,
        /// The registered size.
        size: Option<u64>,
        /// The hash of the files.
        found: NarHash,
        /// The size of the files' NAR.
        found_size: u64,
    },
    /// A hash or size is needed and not known.
    #[error("the NAR hash or size of {path} is not known; compute them from its files first")]
    Incomplete {
        /// The path.
        path: String,
    },
    /// The caller ended the work.
    #[error("the work on the closure was cancelled")]
    Cancelled,
}

impl Error {
    /// The file or folder on this machine that cannot be used. `None` where the error is not about one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::InFile { path, .. }
            | Self::Disagree { dir: path, .. }
            | Self::File { path, .. }
            | Self::Tree { path, .. }
            | Self::NotForNar { path, .. }
            | Self::NotInStore { path, .. } => Some(path),
            Self::Missing { missing, .. } => missing.first().map(PathBuf::as_path),
            _ => None,
        }
    }

    /// The system's error, if there is one.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::InFile { source, .. } => source.io_error(),
            Self::Read { source }
            | Self::Write { source }
            | Self::File { source, .. }
            | Self::NoNix { source } => Some(source),
            Self::Tree { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }

    /// Names the file that has the error.
    pub(crate) fn in_file(self, path: impl Into<PathBuf>) -> Self {
        Self::InFile {
            path: path.into(),
            source: Box::new(self),
        }
    }

    pub(crate) fn line(line: usize, reason: impl ToString) -> Self {
        Self::Line {
            line,
            reason: reason.to_string(),
        }
    }
}
