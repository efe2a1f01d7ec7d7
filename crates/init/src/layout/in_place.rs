//! Layout `in-place`: the store images are where the boot loader put them, in the initrd that the kernel retained.

use alloc::vec::Vec;

use storeboot_index::Image;

use crate::block_device::BlockDevice;
use crate::context::Context;
use crate::error::{Error, NotShown, SHOWS_INITRD};
use crate::image;
use crate::kernel_version;
use crate::paths::{RETAINED_INITRD, c_path};
use crate::sys::{self, Errno, Fd, Open};

/// The retained initrd, and where images were found in it so far.
pub(crate) struct Initrd {
    file: Fd,
    size: u64,
    /// How far from its expected offset the last image was found. The next one has likely moved as far.
    shift: i64,
}

impl Initrd {
    /// Opens the initrd that the kernel retained, or says why it did not.
    pub(crate) fn open(context: &Context) -> Result<Self, Error> {
        let unreadable = |errno| Error::Read {
            path: RETAINED_INITRD.into(),
            errno,
        };
        let file = match c_path(RETAINED_INITRD).and_then(|path| sys::open(&path, Open::Read)) {
            Err(Errno::ENOENT) => {
                let release = context.release.clone();
                let why = why_not_shown(&release, context.cmdline.retain_initrd);
                return Err(Error::InitrdNotShown { release, why });
            }
            opened => opened.map_err(unreadable)?,
        };
        let size = file.stat().map_err(unreadable)?.size;
        Ok(Self {
            file,
            size,
            shift: 0,
        })
    }

    /// Finds one image and attaches it.
    pub(crate) fn attach(
        &mut self,
        context: &Context,
        image: &Image,
    ) -> Result<BlockDevice, Error> {
        let name = &image.path;
        let unreadable = |errno| Error::Read {
            path: RETAINED_INITRD.into(),
            errno,
        };
        let guesses = guesses(image.offset, self.shift);
        let found =
            image::find(&self.file, self.size, &image.superblock, &guesses).map_err(unreadable)?;
        let Some(offset) = found else {
            return Err(not_found(image, self.size));
        };
        if let Some(expected) = image.offset {
            self.shift = offset.cast_signed().wrapping_sub(expected.cast_signed());
        }
        match image.offset {
            Some(expected) if expected == offset => {
                context.console.step(format_args!(
                    "{name} is at byte {offset} of the initrd, as expected"
                ));
            }
            expected => context.console.step(format_args!(
                "{name} was found at byte {offset} of the initrd, not at {expected:?}"
            )),
        }
        let end = offset.saturating_add(image.size);
        if end > self.size {
            return Err(Error::InitrdCutOff {
                name: name.clone(),
                found: self.size,
                expected: end,
            });
        }
        context.verify(&self.file, offset, image, name)?;
        context.attach(&self.file, offset, image)
    }
}

/// The offsets to try first: the expected one, and that one moved like the image before it.
fn guesses(expected: Option<u64>, shift: i64) -> Vec<u64> {
    let moved = expected.and_then(|offset| offset.checked_add_signed(shift));
    let mut guesses: Vec<u64> = expected.into_iter().chain(moved).collect();
    guesses.dedup();
    guesses
}

/// An image that should end behind the initrd's end was cut off; another one was never there.
fn not_found(image: &Image, size: u64) -> Error {
    let name = image.path.clone();
    match image.offset.map(|offset| offset.saturating_add(image.size)) {
        Some(expected) if expected > size => Error::InitrdCutOff {
            name,
            found: size,
            expected,
        },
        _ => Error::ImageNotFound { name, size },
    }
}

/// Distributions may backport the file to older kernels, so the version counts only when the file is missing.
fn why_not_shown(release: &str, retained: bool) -> NotShown {
    match kernel_version::version(release) {
        Some(version) if version < SHOWS_INITRD => NotShown::OldKernel,
        _ if !retained => NotShown::NotRetained,
        _ => NotShown::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_for_a_missing_initrd() {
        assert_eq!(
            why_not_shown("6.1.0-56-cloud-amd64", true),
            NotShown::OldKernel
        );
        assert_eq!(why_not_shown("6.7.12", false), NotShown::OldKernel);
        assert_eq!(why_not_shown("6.8.0", false), NotShown::NotRetained);
        assert_eq!(why_not_shown("7.0.1", false), NotShown::NotRetained);
        assert_eq!(why_not_shown("6.12.1", true), NotShown::Unknown);
        assert_eq!(why_not_shown("odd", true), NotShown::Unknown);
    }

    #[test]
    fn an_image_that_moved_takes_the_others_along() {
        assert_eq!(guesses(Some(4096), 0), [4096]);
        assert_eq!(guesses(Some(4096), 512), [4096, 4608]);
        assert_eq!(guesses(Some(4096), -5000), [4096]);
        assert_eq!(guesses(None, 512), [0; 0]);
    }

    #[test]
    fn a_cut_is_told_from_a_stranger() {
        let image = |offset| Image {
            path: "i".into(),
            size: 4096,
            offset,
            sha256: [0; 32],
            superblock: [0; 96],
            verity: None,
            hot: None,
        };
        assert!(matches!(
            not_found(&image(Some(1000)), 5095),
            Error::InitrdCutOff {
                found: 5095,
                expected: 5096,
                ..
            }
        ));
        assert!(matches!(
            not_found(&image(Some(1000)), 5096),
            Error::ImageNotFound { size: 5096, .. }
        ));
        assert!(matches!(
            not_found(&image(None), 10),
            Error::ImageNotFound { .. }
        ));
    }
}
