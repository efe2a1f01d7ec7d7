//! Which machine gets what.

use std::path::PathBuf;

use crate::Machine;

/// Where a netboot directory comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A folder that `storeboot build` wrote.
    Directory(PathBuf),
}

/// What a machine gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What it boots.
    pub source: Source,
    /// More words for the kernel's command line.
    pub append: Vec<String>,
    /// The host name that it gets.
    pub host_name: Option<String>,
    /// Archives that the kernel unpacks after the initrd: for this machine only.
    pub archives: Vec<PathBuf>,
}

/// Which machine gets what.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    default: Option<Choice>,
}

impl Rules {
    /// Every machine gets the same.
    pub fn same_for_all(source: Source) -> Self {
        Self {
            default: Some(Choice {
                source,
                append: Vec::new(),
                host_name: None,
                archives: Vec::new(),
            }),
        }
    }

    /// What a machine gets. `None`: there is nothing for it.
    pub fn choose(&self, _machine: &Machine) -> Option<Choice> {
        self.default.clone()
    }
}
