//! Why modules cannot be collected.

use std::io;
use std::path::{Path, PathBuf};

/// Why the modules could not be collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModulesError {
    /// A folder or a file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder has no modules in it.
    #[error(
        "{} holds no kernel modules: there is no lib/modules/{release}, nor usr/lib/modules/{release}, nor modules.builtin or kernel/ in it",
        folder.display()
    )]
    NoModules {
        /// The folder.
        folder: PathBuf,
        /// The kernel's release.
        release: String,
    },
    /// The folder has modules for other kernels than the one at hand.
    #[error(
        "{} holds modules for {}, but none for the kernel's release {release}",
        folder.display(),
        found.join(", ")
    )]
    OtherReleases {
        /// The folder with one folder per release.
        folder: PathBuf,
        /// The kernel's release.
        release: String,
        /// The releases there are.
        found: Vec<String>,
    },
    /// A module that was asked for is not there.
    #[error(
        "there is no module {name} in {}, and it is not built into Linux {release}",
        folder.display()
    )]
    NotFound {
        /// The module.
        name: String,
        /// The folder of the release.
        folder: PathBuf,
        /// The kernel's release.
        release: String,
    },
    /// A module that another one depends on is not there.
    #[error(
        "the module {needed_by} needs {name}, which is not in {} and is not built into Linux {release}",
        folder.display()
    )]
    DependencyNotFound {
        /// The module that is missing.
        name: String,
        /// The module that needs it.
        needed_by: String,
        /// The folder of the release.
        folder: PathBuf,
        /// The kernel's release.
        release: String,
    },
    /// The kernel has no dm-verity.
    #[error(
        "Linux {release} has no dm-verity (CONFIG_DM_VERITY), which hash trees need: it is neither built in nor a module in {}",
        folder.display()
    )]
    NoVerity {
        /// The folder of the release.
        folder: PathBuf,
        /// The kernel's release.
        release: String,
    },
    /// The kernel lacks what a store that is fetched while the system runs needs.
    #[error(
        "Linux {release} has no {module} ({option}), which a store that is fetched while the system runs needs: it is neither built in nor a module in {}",
        folder.display()
    )]
    NoStream {
        /// The module.
        module: &'static str,
        /// The kernel's option for it.
        option: &'static str,
        /// The folder of the release.
        folder: PathBuf,
        /// The kernel's release.
        release: String,
    },
    /// A name that no module can have.
    #[error("{name:?} cannot be the name of a kernel module")]
    Name {
        /// The name.
        name: String,
    },
    /// A module was built for another kernel.
    #[error(
        "the module {} was built for Linux {built_for}, but the kernel is {release}: it would not load",
        path.display()
    )]
    OtherKernel {
        /// The module.
        path: PathBuf,
        /// The release it was built for.
        built_for: String,
        /// The kernel's release.
        release: String,
    },
    /// A file is not a kernel module, or is damaged.
    #[error("the module {} cannot be used: {reason}", path.display())]
    Damaged {
        /// The module.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Modules that need each other.
    #[error("the modules {} need each other in a circle", circle.join(" -> "))]
    Circle {
        /// The modules; the first one again at the end.
        circle: Vec<String>,
    },
    /// The device drivers cannot be listed.
    #[error("the device drivers cannot be listed for stage 1: {reason}")]
    Unlistable {
        /// What is wrong.
        reason: storeboot_index::Reason,
    },
    /// There are more modules than can be.
    #[error("more than {limit} modules are needed; something is wrong with the dependencies")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
}

impl ModulesError {
    /// The file or folder that it is about, where there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. }
            | Self::OtherKernel { path, .. }
            | Self::Damaged { path, .. } => Some(path),
            Self::NoModules { folder, .. }
            | Self::OtherReleases { folder, .. }
            | Self::NotFound { folder, .. }
            | Self::NoVerity { folder, .. }
            | Self::NoStream { folder, .. }
            | Self::DependencyNotFound { folder, .. } => Some(folder),
            Self::Name { .. }
            | Self::Circle { .. }
            | Self::Unlistable { .. }
            | Self::TooMany { .. } => None,
        }
    }
}
