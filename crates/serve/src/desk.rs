//! What the parts of the server share.

use std::sync::{Arc, PoisonError, RwLock};

use crate::loaders::Loaders;
use crate::{Offers, Rules, Sources, Watch};

/// What the parts of the server share.
#[derive(Debug)]
pub struct Desk {
    /// The directories that can be had.
    pub offers: Arc<Offers>,
    /// Where directories come from.
    pub sources: Sources,
    /// How far each machine is.
    pub watch: Watch,
    /// The boot loaders.
    pub loaders: Loaders,
    rules: RwLock<Arc<Rules>>,
}

impl Desk {
    /// Has nothing on offer yet.
    pub fn new(offers: Arc<Offers>, sources: Sources, loaders: Loaders, rules: Rules) -> Self {
        Self {
            offers,
            sources,
            watch: Watch::default(),
            loaders,
            rules: RwLock::new(Arc::new(rules)),
        }
    }

    /// The rules of this moment.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other rules from now on.
    pub fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}
