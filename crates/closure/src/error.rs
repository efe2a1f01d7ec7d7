use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::NarHash;

/// Why there is no closure, or why it is of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is wrong with a file's content.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<Error>,
    },
    /// A description of a closure could not be read.
    #[error("cannot read it: {source}")]
    Read {
        /// What the system said.
        source: io::Error,
    },
    /// A registration or a NAR could not be written.
    #[error("cannot write: {source}")]
    Write {
        /// What the system said.
        source: io::Error,
    },
    /// A description of a closure is longer than any real one.
    #[error("it is longer than {limit} bytes, which no closure's description is")]
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
    /// A string that should be a store path is none.
    #[error("{path:?} is not a path in the store {store_dir}: {reason}")]
    NotAStorePath {
        /// The string.
        path: String,
        /// The store directory it should be in.
        store_dir: String,
        /// What is wrong.
        reason: String,
    },
    /// A string that should be a NAR hash is none.
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
    /// There is not one path.
    #[error("it names no store path at all")]
    Empty,
    /// More paths than any real closure has.
    #[error("it has more than {limit} store paths, which no closure has")]
    TooManyPaths {
        /// The limit.
        limit: usize,
    },
    /// A path has a reference to another that is not there.
    #[error("the closure is not closed: {path} refers to {reference}, which is not in it")]
    NotClosed {
        /// Who refers.
        path: String,
        /// What is missing.
        reference: String,
    },
    /// A path is there twice, and not with the same data.
    #[error("{path} is there twice, with different {what}")]
    Conflict {
        /// The path.
        path: String,
        /// What is different.
        what: &'static str,
    },
    /// Paths that refer to each other in a ring.
    #[error("store paths refer to each other in a ring, which Nix never makes: {}", cycle.join(" -> "))]
    Cycle {
        /// The ring; the first path is there again at its end.
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
    /// Store paths that are not on this machine.
    #[error(
        "{} of the closure's {total} store paths {} not there, first {}",
        missing.len(), if missing.len() == 1 { "is" } else { "are" }, missing.first().map_or_else(String::new, |path| path.display().to_string())
    )]
    Missing {
        /// Where they should be; there is at least one.
        missing: Vec<PathBuf>,
        /// How many paths the closure has.
        total: usize,
    },
    /// A file could not be examined or read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of a tree could not be looked at.
    #[error("cannot read {}: {source}", path.display())]
    Tree {
        /// The file.
        path: PathBuf,
        /// What its tree said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that a NAR cannot hold, or that changed while it was read.
    #[error("cannot hash {}: {reason}", path.display())]
    NotForNar {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A root that is neither in the store nor a link into it.
    #[error("{} is not in the store {}, nor a link into it", path.display(), store.display())]
    NotInStore {
        /// The root.
        path: PathBuf,
        /// The store.
        store: PathBuf,
    },
    /// Nix could not be started.
    #[error(
        "cannot run nix-store to ask for the closure: {source}; without Nix, give the closure as a \
         file (path-info, closure-info or graph)"
    )]
    NoNix {
        /// What the system said.
        source: io::Error,
    },
    /// Nix failed.
    #[error("{command} failed ({status}): {said}")]
    Nix {
        /// What was run, without the paths.
        command: String,
        /// How it ended.
        status: String,
        /// Its complaint.
        said: String,
    },
    /// What lies in the store is not what the closure says.
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
        /// The hash of what is there.
        found: NarHash,
        /// The size of what is there.
        found_size: u64,
    },
    /// A hash or size was needed and is not known.
    #[error(
        "the NAR hash or size of {path} is not known; they must be computed from its files first"
    )]
    Incomplete {
        /// The path.
        path: String,
    },
}

impl Error {
    /// Says in which file it is wrong.
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
