//! How the store lies in the initrd: one module for each layout.

pub(crate) mod direct;
mod fetch;
mod file;
mod in_place;

use storeboot_index::Chunks;

use crate::initrd::InitrdWriter;
use crate::kernel::{KernelImage, KernelVersion};
use crate::pack::image_files::{self, Hashes, ImageFile, MEMBER_MAX};
use crate::pack::{PackRequest, note_no_archives};
use crate::{Error, Layout};
use direct::DirectStore;
use fetch::FetchedStore;

/// Whose stage 1 finds the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Our own.
    Storeboot,
    /// That of another initrd, NixOS's for one, with the help of `/storeboot/attach`.
    Other,
}

/// The store, ready to be written to the initrd.
pub(crate) enum PreparedStore<'a> {
    /// Images that the kernel unpacks to files.
    File(Vec<ImageFile>, Host),
    /// Images that stay where they are.
    InPlace(Vec<ImageFile>),
    /// The files themselves, which are packed when they are written.
    Direct(DirectStore<'a>),
    /// Images that are not in the initrd.
    Fetch(FetchedStore<'a>),
}

/// The default: the layout that needs least memory, where the kernel can do it.
pub(crate) fn default_for(kernel: &KernelVersion) -> Layout {
    if in_place::works_on(kernel) {
        Layout::InPlace
    } else {
        Layout::File
    }
}

/// Refuses a layout that the kernel cannot boot.
pub(crate) fn check(layout: Layout, kernel: &KernelVersion) -> Result<(), Error> {
    match layout {
        Layout::InPlace if !in_place::works_on(kernel) => Err(Error::LayoutNeedsKernel {
            layout,
            version: kernel.clone(),
            needed: in_place::OLDEST_KERNEL,
        }),
        Layout::InPlace | Layout::File | Layout::Direct | Layout::Fetch => Ok(()),
    }
}

/// Bytes of a store image at most, for what the user says. Before Linux 6.8, images over 2 GiB were seen to arrive
/// damaged in an initrd; later, what a member of an archive can hold is the limit. An image beside the initrd has none.
pub(crate) fn image_limit(layout: Layout, kernel: &KernelVersion, said: Option<u64>) -> u64 {
    match layout {
        Layout::Fetch => said.unwrap_or(u64::MAX),
        Layout::InPlace | Layout::File | Layout::Direct => {
            let default = if kernel.at_least(6, 8) {
                4 << 30
            } else {
                2 << 30
            };
            said.unwrap_or(default).min(MEMBER_MAX)
        }
    }
}

/// What the layout needs to know of each image.
pub(crate) fn hashes(layout: Layout) -> Hashes {
    match layout {
        Layout::Fetch => Hashes::Chunks,
        Layout::InPlace | Layout::File | Layout::Direct => Hashes::Whole,
    }
}

/// What the layout puts on the kernel's command line.
pub(crate) fn arguments(layout: Layout, kernel: &KernelImage) -> &'static [&'static str] {
    match layout {
        Layout::Fetch => &[],
        Layout::InPlace => &["retain_initrd"],
        Layout::File | Layout::Direct if kernel.initramfs_options() == Some(false) => &[],
        // A kernel that does not know it passes it on to init, which does no harm.
        Layout::File | Layout::Direct => &["initramfs_options=size=95%"],
    }
}

pub(crate) fn pack(
    layout: Layout,
    host: Host,
    request: PackRequest<'_>,
) -> Result<PreparedStore<'_>, Error> {
    if layout != Layout::Direct {
        note_no_archives(request.archives, request.context);
    }
    Ok(match layout {
        Layout::File => PreparedStore::File(image_files::pack(request)?, host),
        Layout::InPlace => PreparedStore::InPlace(image_files::pack(request)?),
        Layout::Direct => PreparedStore::Direct(DirectStore::new(request, host)),
        Layout::Fetch => PreparedStore::Fetch(FetchedStore::pack(request)?),
    })
}

impl PreparedStore<'_> {
    /// The images as the index tells of them, for a store whose segments begin at `start`, a multiple of
    /// [`crate::initrd::PAGE`].
    pub(crate) fn index_images(&self, start: u64) -> Vec<storeboot_index::Image> {
        match self {
            Self::File(images, host) => file::index_images(images, *host),
            Self::InPlace(images) => in_place::index_images(images, start),
            Self::Direct(_) => Vec::new(),
            Self::Fetch(images) => images.index_images(),
        }
    }

    /// The hashes of the images' chunks, if stage 1 needs them.
    pub(crate) fn chunks(&self) -> Option<Chunks> {
        match self {
            Self::File(..) | Self::InPlace(_) | Self::Direct(_) => None,
            Self::Fetch(images) => Some(images.chunks()),
        }
    }

    /// Writes the store's segments, or the files beside the initrd; returns the images as the manifest tells of them.
    pub(crate) fn write(
        &self,
        initrd: &mut InitrdWriter,
    ) -> Result<Vec<crate::manifest::Image>, Error> {
        match self {
            Self::File(images, host) => file::write(images, *host, initrd),
            Self::InPlace(images) => in_place::write(images, initrd),
            Self::Direct(archives) => archives.write(initrd).map(|()| Vec::new()),
            Self::Fetch(images) => images.write(),
        }
    }

    /// Bytes of the store's segments that come behind the index, but for a few pages around them.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::File(images, _) | Self::InPlace(images) => {
                images.iter().map(|image| image.size).sum()
            }
            Self::Direct(_) | Self::Fetch(_) => 0,
        }
    }

    /// Bytes in rootfs when the kernel has unpacked the store's segments.
    pub(crate) fn unpacked(&self) -> u64 {
        match self {
            Self::File(..) => self.size(),
            Self::InPlace(_) | Self::Fetch(_) => 0,
            Self::Direct(archives) => archives.unpacked(),
        }
    }

    /// The number of entries that the kernel makes of the store's segments, where it is not a few.
    pub(crate) fn entries(&self) -> u64 {
        match self {
            Self::File(..) | Self::InPlace(_) | Self::Fetch(_) => 0,
            Self::Direct(archives) => archives.entries(),
        }
    }

    /// Bytes that the kernel takes to unpack them, besides.
    pub(crate) fn window(&self) -> u64 {
        match self {
            Self::File(..) | Self::InPlace(_) | Self::Fetch(_) => 0,
            Self::Direct(archives) => archives.window(),
        }
    }

    /// Bytes that stage 1 fetches into memory when the initrd is gone.
    pub(crate) fn fetched(&self) -> u64 {
        match self {
            Self::File(..) | Self::InPlace(_) | Self::Direct(_) => 0,
            Self::Fetch(images) => images.size(),
        }
    }
}

/// Whether `initramfs_options=` surely works: then rootfs may take 95 % of the memory, else half of it.
pub(crate) fn lifts_rootfs_limit(kernel: &KernelImage) -> bool {
    kernel
        .initramfs_options()
        .unwrap_or_else(|| has_initramfs_options(&kernel.version))
}

/// What the version tells, for kernels that cannot be looked into.
///
/// The option came with Linux 6.18, and the stable series took it over in the autumn of 2025. The releases here are
/// later ones, as a wrong "no" only makes the estimate too high. A distribution's release may not tell its patch level;
/// then it is 0.
fn has_initramfs_options(version: &KernelVersion) -> bool {
    let series = (version.major, version.minor);
    let taken_over = [(6, 17, 10), (6, 12, 60), (6, 6, 120), (6, 1, 160)];
    version.at_least(6, 18)
        || taken_over
            .into_iter()
            .any(|(major, minor, patch)| series == (major, minor) && version.patch >= patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Architecture, KernelForm};

    fn kernel(release: &str, initramfs_options: Option<bool>) -> KernelImage {
        KernelImage {
            path: "bzImage".into(),
            architecture: Architecture::X86_64,
            form: KernelForm::BzImage,
            version: release.parse().expect(release),
            options: initramfs_options.into(),
            size: 64 << 20,
            address: 16 << 20,
        }
    }

    #[test]
    fn the_rootfs_limit_is_lifted_from_late_stable_releases_on() {
        let lifts = |text: &str| lifts_rootfs_limit(&kernel(text, None));
        for text in ["6.18.0", "7.2.13", "6.12.95+deb12-cloud-amd64", "6.1.192"] {
            assert!(lifts(text), "{text}");
        }
        for text in ["6.1.0-50-cloud-amd64", "6.12.30", "6.16.20", "5.10.999"] {
            assert!(!lifts(text), "{text}");
        }
    }

    #[test]
    fn what_the_kernel_holds_counts_more_than_its_version() {
        assert!(lifts_rootfs_limit(&kernel(
            "6.1.0-50-cloud-amd64",
            Some(true)
        )));
        assert!(!lifts_rootfs_limit(&kernel("6.18.0", Some(false))));
    }

    #[test]
    fn the_option_is_left_out_where_the_kernel_surely_does_not_know_it() {
        let option = &["initramfs_options=size=95%"][..];
        for layout in [Layout::File, Layout::Direct] {
            assert_eq!(arguments(layout, &kernel("6.1.0", Some(true))), option);
            assert_eq!(arguments(layout, &kernel("6.1.0", None)), option);
            assert!(arguments(layout, &kernel("6.1.0", Some(false))).is_empty());
        }
        let in_place = arguments(Layout::InPlace, &kernel("6.12.0", Some(false)));
        assert_eq!(in_place, ["retain_initrd"]);
    }
}
