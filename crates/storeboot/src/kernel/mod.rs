//! Which kernel a file is: its architecture, its form and its version.
//!
//! The layout depends on the version (`/sys/firmware/initrd` came with Linux 6.8), the name of the file in the
//! netboot directory on the architecture. Both are read from the image itself, by the rules of
//! `Documentation/arch/x86/boot.rst` and `Documentation/arch/arm64/booting.rst`; nothing is guessed from names.

mod arm64;
mod scan;
#[cfg(test)]
mod tests;
mod version;
mod x86;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

pub use version::{KernelVersion, ParseVersionError};

/// Bytes at the start of a file that tell what it is; the x86 setup header ends before.
const HEAD: usize = 0x400;
/// No kernel is larger in memory, or wants to be behind (x86's `KERNEL_IMAGE_SIZE`); what a header says beyond is not
/// believed.
pub(crate) const SIZE_MAX: u64 = 1 << 30;

/// A kernel that a netboot directory can hold.
///
/// ```no_run
/// use storeboot::kernel::KernelImage;
///
/// let kernel = KernelImage::read("/boot/vmlinuz".as_ref())?;
/// if kernel.version.at_least(6, 8) {
///     println!("{} shows the initrd in /sys/firmware/initrd", kernel.version);
/// }
/// # Ok::<(), storeboot::kernel::KernelError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KernelImage {
    /// The file.
    pub path: PathBuf,
    /// What it runs on.
    pub architecture: Architecture,
    /// How it is packed.
    pub form: KernelForm,
    /// Its version.
    pub version: KernelVersion,
    /// Bytes of memory from its address on that are its own while it starts: x86's `init_size`, arm64's `image_size`.
    pub size: u64,
    /// Where in memory it wants to be, counted from the beginning: x86's `pref_address`, arm64's `text_offset`.
    pub address: u64,
    /// What [`Self::initramfs_options`] found.
    pub(crate) options: OnceLock<Option<bool>>,
}

/// What a kernel runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Architecture {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm, little endian.
    Aarch64,
}

/// How a kernel is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KernelForm {
    /// x86's self-extracting image.
    BzImage,
    /// arm64's plain `Image`.
    Image,
    /// An EFI program that unpacks an `Image` (`CONFIG_EFI_ZBOOT`): UEFI firmware and iPXE start it as it is.
    Zboot,
}

impl Architecture {
    /// The name of the kernel's file in a netboot directory.
    ///
    /// ```
    /// use storeboot::kernel::Architecture;
    ///
    /// assert_eq!(Architecture::X86_64.file_name(), "bzImage");
    /// assert_eq!(Architecture::Aarch64.file_name(), "Image");
    /// ```
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::X86_64 => "bzImage",
            Self::Aarch64 => "Image",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        })
    }
}

/// Why a file is not taken as a kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The file could not be read.
    #[error("cannot read the kernel {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} cannot be booted: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it is instead, and what would do.
        reason: String,
    },
}

impl KernelError {
    /// The kernel's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. } | Self::Unusable { path, .. } => path,
        }
    }
}

impl KernelImage {
    /// Looks into a kernel: an x86_64 `bzImage`, an arm64 `Image`, or an arm64 EFI zboot image.
    ///
    /// # Errors
    /// When the file cannot be read, or is none of these, or does not tell its version.
    pub fn read(path: &Path) -> Result<Self, KernelError> {
        let read = |source| KernelError::Read {
            path: path.into(),
            source,
        };
        let (head, file) = open(path).map_err(read)?;
        match identify(&head, file) {
            Ok(found) => Ok(Self {
                path: path.into(),
                architecture: found.architecture,
                form: found.form,
                version: found.version,
                size: found.size.min(SIZE_MAX),
                address: found.address.min(SIZE_MAX),
                options: found.initramfs_options,
            }),
            Err(Fault::Read(source)) => Err(read(source)),
            Err(Fault::Unusable(reason)) => Err(KernelError::Unusable {
                path: path.into(),
                reason,
            }),
        }
    }

    /// Whether it takes `initramfs_options=`, by which rootfs may take more than half of the memory. Distributions
    /// carry the change in kernels whose version does not tell, so the kernel itself is searched for the parameter's
    /// name. `None` where it is packed in a way that is not known here (bzip2, lzma, lzo) or does not unpack.
    ///
    /// The first call may have to unpack the kernel, which takes a third of a second.
    #[must_use]
    pub fn initramfs_options(&self) -> Option<bool> {
        *self.options.get_or_init(|| match self.form {
            // What cannot be unpacked here may well unpack itself: it is for the machine to say.
            KernelForm::BzImage => x86::initramfs_options(&self.path).unwrap_or_default(),
            // Their version is found in the same search.
            KernelForm::Image | KernelForm::Zboot => None,
        })
    }
}

/// What the readers of the forms say; the path is added above them.
#[derive(Debug)]
enum Fault {
    Read(io::Error),
    Unusable(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

fn unusable<T>(reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Unusable(reason.into()))
}

/// What the readers of the forms find.
struct Found {
    architecture: Architecture,
    form: KernelForm,
    version: KernelVersion,
    /// Empty where nobody has searched for it yet.
    initramfs_options: OnceLock<Option<bool>>,
    size: u64,
    address: u64,
}

/// The file, and its first bytes.
fn open(path: &Path) -> io::Result<(Vec<u8>, File)> {
    let mut file = File::open(path)?;
    let mut head = Vec::with_capacity(HEAD);
    (&mut file).take(HEAD as u64).read_to_end(&mut head)?;
    Ok((head, file))
}

fn identify(head: &[u8], file: File) -> Result<Found, Fault> {
    if x86::is(head) {
        x86::bz_image(head, file)
    } else if arm64::is_image(head) {
        arm64::image(file)
    } else if arm64::is_zboot(head) {
        arm64::zboot(head, file)
    } else {
        unusable(what_else(head))
    }
}

/// Names the usual mistakes.
fn what_else(head: &[u8]) -> &'static str {
    match head {
        [] => "the file is empty",
        [0x7f, b'E', b'L', b'F', ..] => {
            "it is an ELF file (vmlinux); take the bzImage (x86_64) or Image (aarch64) of the same build"
        }
        [0x1f, 0x8b, ..] => {
            "it is packed with gzip, which no firmware unpacks; give the plain Image (gzip -d)"
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            "it is packed with zstd, which no firmware unpacks; give the plain Image (zstd -d)"
        }
        [b'M', b'Z', ..] => {
            "it is an EFI program without a Linux kernel's header; a unified kernel image has to be taken apart first"
        }
        _ => {
            "it is no Linux kernel that is known here: an x86_64 bzImage, an arm64 Image or an arm64 zboot image"
        }
    }
}
