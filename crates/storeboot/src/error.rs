use std::io;
use std::path::{Path, PathBuf};

use crate::Layout;
use crate::kernel::KernelVersion;

/// Why a closure was not packed, or a netboot directory not made.
///
/// Its text is one sentence without the cause, which [`source`](std::error::Error::source) tells. For people, join them
/// all:
///
/// ```
/// fn sentence(error: &dyn std::error::Error) -> String {
///     let causes = std::iter::successors(Some(error), |error| error.source());
///     let texts: Vec<String> = causes.map(ToString::to_string).collect();
///     texts.join(": ")
/// }
///
/// let error = storeboot::inspect("/no/such/file".as_ref()).unwrap_err();
/// assert!(sentence(&error).starts_with("cannot read /no/such/file: No such file"));
/// assert_eq!(error.path(), Some("/no/such/file".as_ref()));
/// assert!(error.io_error().is_some());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The build was cancelled by its [`Cancel`](crate::Cancel).
    #[error("the build was cancelled")]
    Cancelled,
    /// The system starts no more threads.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
    /// The closure is not sound, or not there.
    #[error(transparent)]
    Closure(storeboot_closure::Error),
    /// A store image cannot be written.
    #[error("cannot write {image}")]
    Image {
        /// Which image.
        image: String,
        /// What is wrong.
        source: storeboot_squashfs::Error,
    },
    /// An archive cannot be written.
    #[error("cannot write the archive {archive}")]
    Archive {
        /// Which archive.
        archive: String,
        /// What is wrong.
        source: storeboot_cpio::WriteError,
    },
    /// The kernel cannot be used.
    #[error(transparent)]
    Kernel(#[from] crate::kernel::KernelError),
    /// A kernel module is missing or cannot be used.
    #[error(transparent)]
    Modules(#[from] crate::modules::ModulesError),
    /// The index would be one that stage 1 refuses.
    #[error("stage 1 would refuse the index of the initrd")]
    Index(#[from] storeboot_index::Reason),
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not a boot profile.
    #[error("cannot use the boot profile {}", path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: crate::profile::ProfileError,
    },
    /// Something that a Nix store does not hold: a device, a socket, a named pipe.
    #[error("{} is neither a file, a directory nor a symbolic link; a store path holds nothing else", path.display())]
    Special {
        /// The file.
        path: PathBuf,
    },
    /// The store is one that no stage 1 makes available.
    #[error(
        "a store at {store_dir} cannot be booted: stage 1 makes it available at /nix/store, and nowhere else"
    )]
    StoreDir {
        /// Where the store's paths say that it is.
        store_dir: String,
    },
    /// `init` is not a program of the closure.
    #[error("the init {init} cannot start the system: {reason}")]
    Init {
        /// What was asked for.
        init: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The kernel would not take the command line as it is meant.
    #[error("the kernel command line cannot be used: {0}")]
    CommandLine(String),
    /// The initrd whose stage 1 is to be used is none, or one that lacks something.
    #[error("{} cannot be stage 1: {reason}", path.display())]
    Initrd {
        /// The initrd.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The program that is to be stage 1 is none that the kernel could start.
    #[error("{} cannot be stage 1: {reason}", path.display())]
    Stage1 {
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Modules for an initrd that loads its own.
    #[error(
        "{} loads its own modules, and none can be added to it; put loop, squashfs and overlay into it where it is built", path.display()
    )]
    ModulesWithInitrd {
        /// The initrd.
        path: PathBuf,
    },
    /// An option that is for layout `fetch`.
    #[error("{option} is for layout fetch, and the layout is {layout}")]
    NotFetched {
        /// What was given.
        option: &'static str,
        /// The layout that there is.
        layout: Layout,
    },
    /// Drivers are asked for, or their firmware, and there are no modules.
    #[error("{option} cannot be put into the initrd: there is no folder of modules")]
    NoModules {
        /// What was asked for.
        option: &'static str,
    },
    /// Stage 1 cannot fetch from this URL.
    #[error("stage 1 cannot fetch the store: {0}")]
    StoreUrl(String),
    /// The disk that is to keep the store is named in another way than stage 1 knows.
    #[error(
        "{0:?} names no disk that could keep the store: write LABEL=…, UUID=…, PARTUUID=… or /dev/…, without blanks and quotes"
    )]
    Keep(String),
    /// The kernel is too old for the layout.
    #[error(
        "layout {layout} needs Linux {needed} or newer and this kernel is {version}; use layout file or direct"
    )]
    LayoutNeedsKernel {
        /// The layout asked for.
        layout: Layout,
        /// The kernel there is.
        version: KernelVersion,
        /// The oldest kernel that would do.
        needed: &'static str,
    },
    /// The place of the output is taken.
    #[error("{} is there already and is not {expected}; it is left as it is", path.display())]
    OutputTaken {
        /// The output asked for.
        path: PathBuf,
        /// What it might have been.
        expected: &'static str,
    },
    /// Something cannot be in an initrd as asked.
    #[error("the initrd cannot hold {path}: {reason}")]
    Content {
        /// The link, or what it points to.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer is not one of this closure, or not whole.
    #[error("the layer {} cannot be used: {reason}", path.display())]
    Layer {
        /// The layer's folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What was built before is not as it should be.
    #[error("{}: {reason}", path.display())]
    Fault {
        /// The netboot directory's file, the initrd or the store image.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// systemd's stub is not installed.
    #[error(
        "there is no {}: install systemd's stub (Debian: apt install systemd-boot-efi), or name its file with --stub", path.display()
    )]
    NoStub {
        /// Where Debian puts it.
        path: PathBuf,
    },
    /// A file is no stub for this kernel.
    #[error("{} is no stub that sections can be added to: {reason}", path.display())]
    Stub {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A netboot directory cannot become one file that UEFI starts.
    #[error("{} cannot be in one file for UEFI: {reason}", path.display())]
    NotUki {
        /// The directory, or the file in it.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A command has not signed what it was to sign.
    #[error("the command {command:?} has not signed the file: {reason}")]
    Sign {
        /// The command.
        command: String,
        /// What it did instead.
        reason: String,
    },
    /// A file has no key.
    #[error("{} has no key to sign with", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: crate::KeyError,
    },
    /// A netboot directory is not signed by a key that is trusted.
    #[error("{} is not signed by a key that is trusted: {reason}", path.display())]
    Unsigned {
        /// Its manifest.
        path: PathBuf,
        /// What is there instead.
        reason: String,
    },
    /// A file cannot be cut, and is too large by itself.
    #[error(
        "{name} makes a store image of {size} bytes and an image may have {limit}; a larger limit or a smaller file would do"
    )]
    FileOverLimit {
        /// The file in the store.
        name: String,
        /// Bytes of the image that it is in.
        size: u64,
        /// Bytes that an image may have.
        limit: u64,
    },
    /// The limit of an image's size is so low that there would be too many.
    #[error(
        "the store needs more than {limit} images, and stage 1 mounts no more; larger images or fewer layers would do"
    )]
    TooManyImages {
        /// How many there may be.
        limit: usize,
    },
    /// An image of a layer has no hash tree of dm-verity, and all images are to have one.
    #[error(
        "{} has no hash tree of dm-verity, which all store images are to have: build its layer again with hash trees",
        path.display()
    )]
    LayerWithoutVerity {
        /// The image.
        path: PathBuf,
    },
    /// Layout `direct` is to have hash trees of dm-verity.
    #[error(
        "hash trees of dm-verity are for store images, and layout direct has none; use layout in-place, file or fetch"
    )]
    VerityWithoutImages,
    /// The store cannot be fetched while the system runs.
    #[error("the store cannot be fetched while the system runs: {0}")]
    Stream(&'static str),
    /// There are more images than stage 1 can fetch while the system runs.
    #[error(
        "the store needs more than {limit} images, and stage 1 fetches no more while the system runs; larger images or fewer layers would do"
    )]
    TooManyStreamed {
        /// How many there may be.
        limit: usize,
    },
    /// A part of the build did not come out as computed: a defect of storeboot.
    #[error(
        "the initrd did not come out as computed ({0}); this is a defect of storeboot, please report it"
    )]
    Inconsistent(String),
    /// The attributes of the derivation are not those that the builder takes.
    #[error("the derivation's attributes cannot be used: {0}")]
    Attributes(String),
}

/// The name of an output where its path is not known yet.
pub(crate) const OUTPUT: &str = "the output";

/// A cancelled build has one error, wherever it stood.
impl From<storeboot_closure::Error> for Error {
    fn from(error: storeboot_closure::Error) -> Self {
        match error {
            storeboot_closure::Error::Cancelled => Self::Cancelled,
            error => Self::Closure(error),
        }
    }
}

impl Error {
    /// Names the output that could not be written. Its content is at `written` until it is complete.
    pub(crate) fn of_output(self, written: &Path, output: &Path) -> Self {
        let (path, source) = match self {
            Self::Image {
                source: storeboot_squashfs::Error::Write(source),
                ..
            }
            | Self::Archive {
                source: storeboot_cpio::WriteError::Write { source, .. },
                ..
            } => (written.into(), source),
            Self::Write { path, source } if path == Path::new(OUTPUT) => (written.into(), source),
            Self::Write { path, source } => (path, source),
            other => return other,
        };
        let path = match path.strip_prefix(written) {
            Ok(inside) if inside == Path::new("") => output.into(),
            Ok(inside) => output.join(inside),
            Err(_) => path,
        };
        Self::Write { path, source }
    }

    /// Names the folder that an archive could not be written to.
    pub(crate) fn of_scratch(self, scratch: &Path) -> Self {
        match self {
            Self::Archive {
                source: storeboot_cpio::WriteError::Write { source, .. },
                ..
            } => Self::Write {
                path: scratch.into(),
                source,
            },
            other => other,
        }
    }

    /// The file or folder that it is about, where there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. }
            | Self::Write { path, .. }
            | Self::Profile { path, .. }
            | Self::Special { path }
            | Self::Initrd { path, .. }
            | Self::ModulesWithInitrd { path }
            | Self::LayerWithoutVerity { path }
            | Self::OutputTaken { path, .. }
            | Self::Layer { path, .. }
            | Self::Key { path, .. }
            | Self::Unsigned { path, .. }
            | Self::NoStub { path }
            | Self::Stub { path, .. }
            | Self::NotUki { path, .. }
            | Self::Fault { path, .. } => Some(path),
            Self::Kernel(error) => Some(error.path()),
            Self::Modules(error) => error.path(),
            _ => None,
        }
    }

    /// The system's error, if this error or one of its causes is one.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source())
            .find_map(|error| error.downcast_ref())
    }

    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }
}
