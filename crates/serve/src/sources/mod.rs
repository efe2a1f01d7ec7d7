//! From what the rules name to directories that can be had.

use std::sync::Arc;

use crate::{Directory, Offers, Source};

/// Whether what the rules name can be had.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Found {
    /// It can.
    Ready(Arc<Directory>),
    /// Not yet: it is being built. Ask again in two seconds.
    Later {
        /// What is being built.
        what: String,
    },
    /// It cannot.
    Failed {
        /// Why, in one sentence.
        reason: String,
    },
}

/// Finds directories, and keeps them on offer.
#[derive(Debug)]
pub struct Sources {
    offers: Arc<Offers>,
}

impl Sources {
    /// Puts what it finds on offer.
    pub fn new(offers: Arc<Offers>) -> Self {
        Self { offers }
    }

    /// Finds what a rule names.
    pub async fn find(&self, source: &Source) -> Found {
        let Source::Directory(path) = source.clone() else {
            return Found::Failed {
                reason: format!("{source} cannot be built here"),
            };
        };
        let opened = tokio::task::spawn_blocking(move || Directory::open(&path)).await;
        match opened {
            Ok(Ok(directory)) => Found::Ready(self.offers.add(directory)),
            Ok(Err(error)) => Found::Failed {
                reason: error.to_string(),
            },
            Err(_) => Found::Failed {
                reason: "the server is ending".into(),
            },
        }
    }
}
